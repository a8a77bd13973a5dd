// Limits on a guest's requests, by real workers: what must hold however slow the machine is. A
// limit is seen by what is not served before its time, or for minutes.
#include <fcntl.h>
#include <signal.h>

#include <chrono>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "server/errors/status_macros.h"
#include "tests/harness/front_end.h"
#include "tests/harness/fuse_client.h"
#include "tests/harness/running_supervisor.h"

namespace fsd {
namespace {

using harness::FrontEnd;
using harness::FuseClient;
using harness::FuseReply;
using internal::ExportSpec;
using supervisor::ExportState;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr uint32_t kMegabyte = 1 << 20;
// At the least rate there is, a READ of a megabyte takes four minutes to make up for: longer than
// anybody here waits (harness::kPatience).
constexpr uint64_t kLeastRate = 4096;

class QosTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto started = harness::RunningSupervisor::Start(
        std::filesystem::canonical("server/exe/fsd-worker").string());
    ASSERT_TRUE(started.ok()) << started.status();
    supervisor_ = *std::move(started);
  }

  // Exports a directory with a file of a megabyte in it, and results in its socket.
  std::string MakeExport(const std::string& id, const std::function<void(ExportSpec&)>& change) {
    std::filesystem::create_directories(supervisor_->share(id));
    std::ofstream(supervisor_->share(id) + "/megabyte") << std::string(kMegabyte, 'm');
    ExportSpec spec;
    spec.set_id(id);
    spec.set_source_path(supervisor_->share(id));
    spec.set_tag(id);
    spec.set_cache(ExportSpec::CACHE_AUTO);
    change(spec);
    const auto view = supervisor_->Create(std::move(spec));
    EXPECT_TRUE(view.ok()) << view.status();
    return view.ok() ? view->record.spec().socket_path() : "";
  }
  static void LimitRequests(ExportSpec& spec) {
    spec.mutable_qos()->mutable_total()->set_operations_per_second(100);
    spec.mutable_qos()->mutable_total()->set_burst_operations(5);
  }
  static void LimitReadBytes(ExportSpec& spec) {
    spec.mutable_qos()->mutable_read()->set_bytes_per_second(kLeastRate);
  }

  static std::unique_ptr<FrontEnd> Mount(const std::string& socket, size_t request_queues = 1) {
    auto front_end = FrontEnd::Connect(socket, {.queues = 1 + request_queues});
    EXPECT_TRUE(front_end.ok()) << front_end.status();
    EXPECT_TRUE((*front_end)->Start().ok());
    EXPECT_TRUE(FuseClient(**front_end).Init().ok());
    return *std::move(front_end);
  }
  // Reads the file of a megabyte.
  static void ReadAll(FuseClient& fuse) {
    const uint64_t node = fuse.Lookup(FUSE_ROOT_ID, "megabyte")->As<fuse_entry_out>().nodeid;
    const uint64_t handle = fuse.Open(node, O_RDONLY)->As<fuse_open_out>().fh;
    const auto read = fuse.Read(node, handle, 0, kMegabyte);
    ASSERT_TRUE(read.ok()) << read.status();
    ASSERT_EQ(read->body.size(), kMegabyte);
  }
  // A GETATTR that is sent, and not waited for.
  static void SendRequest(FuseClient& fuse, FrontEnd& front_end, size_t queue = 1) {
    const fuse_getattr_in in{};
    ASSERT_TRUE(fuse.Submit(FUSE_GETATTR, FUSE_ROOT_ID,
                            harness::Arguments(std::as_bytes(std::span(&in, 1))),
                            sizeof(fuse_attr_out))
                    .ok());
    front_end.Kick(queue);
  }
  static bool IsAnswered(FrontEnd& front_end, size_t queue = 1) {
    return front_end.queue(queue).PopUsed().has_value();
  }
  static bool AwaitAnswer(FrontEnd& front_end) {
    return front_end.WaitUsed(1).ok() && IsAnswered(front_end);
  }
  // One after the other; how long they have taken.
  static milliseconds TimeOf(FuseClient& fuse, int requests) {
    const auto begun = Clock::now();
    for (int i = 0; i < requests; ++i) {
      const auto reply = fuse.GetAttributes(FUSE_ROOT_ID);
      EXPECT_TRUE(reply.ok() && reply->error == 0);
    }
    return std::chrono::duration_cast<milliseconds>(Clock::now() - begun);
  }

  std::unique_ptr<harness::RunningSupervisor> supervisor_;
};

TEST_F(QosTest, NoRequestIsServedBeforeItsTime) {
  const auto guest = Mount(MakeExport("web", LimitRequests));
  FuseClient fuse(*guest);
  EXPECT_GE(TimeOf(fuse, 25), milliseconds((25 - 5) * 10));
}

TEST_F(QosTest, RequestsThatAreSentAtOnceAreServedOneByOne) {
  const auto guest = Mount(MakeExport("web", LimitRequests));
  FuseClient fuse(*guest);
  const auto begun = Clock::now();
  for (int i = 0; i < 25; ++i) SendRequest(fuse, *guest);
  for (int answered = 0; answered < 25; ++answered) ASSERT_TRUE(AwaitAnswer(*guest));
  EXPECT_GE(Clock::now() - begun, milliseconds((25 - 5) * 10));

  const auto counts = supervisor_->Counts("web");
  ASSERT_TRUE(counts.ok()) << counts.status();
  EXPECT_GT(counts->throttled_nanoseconds, 0u);
}

TEST_F(QosTest, WithoutLimitsNothingIsThrottled) {
  const auto guest = Mount(MakeExport("web", [](ExportSpec&) {}));
  FuseClient fuse(*guest);
  TimeOf(fuse, 100);
  EXPECT_EQ(supervisor_->Counts("web")->throttled_nanoseconds, 0u);
}

TEST_F(QosTest, QueuesShareTheLimit) {
  const auto guest = Mount(MakeExport("web",
                                      [](ExportSpec& spec) {
                                        LimitRequests(spec);
                                        spec.set_request_queues(3);
                                      }),
                           3);
  std::vector<FuseClient> fuse;
  for (size_t queue = 1; queue <= 3; ++queue) fuse.emplace_back(*guest, queue);
  const auto begun = Clock::now();
  for (int i = 0; i < 10; ++i) {
    for (size_t queue = 1; queue <= 3; ++queue) SendRequest(fuse[queue - 1], *guest, queue);
  }
  for (size_t queue = 1; queue <= 3; ++queue) {
    for (int answered = 0; answered < 10; ++answered) {
      ASSERT_TRUE(guest->WaitUsed(queue).ok());
      ASSERT_TRUE(IsAnswered(*guest, queue));
    }
  }
  EXPECT_GE(Clock::now() - begun, milliseconds((30 - 5) * 10));
}

TEST_F(QosTest, ARequestBeyondTheLimitIsMadeUpForAndNobodyElseWaits) {
  const auto guest = Mount(MakeExport("web", LimitReadBytes));
  const auto neighbour = Mount(MakeExport("other", [](ExportSpec&) {}));
  FuseClient fuse(*guest);
  FuseClient other(*neighbour);
  ReadAll(fuse);
  SendRequest(fuse, *guest);

  TimeOf(other, 200);
  ReadAll(other);
  EXPECT_FALSE(IsAnswered(*guest));
}

TEST_F(QosTest, AReadIsChargedWhatItReturns) {
  const auto guest = Mount(MakeExport("web", LimitReadBytes));
  FuseClient fuse(*guest);
  std::ofstream(supervisor_->share("web") + "/empty");
  const uint64_t node = fuse.Lookup(FUSE_ROOT_ID, "empty")->As<fuse_entry_out>().nodeid;
  const uint64_t handle = fuse.Open(node, O_RDONLY)->As<fuse_open_out>().fh;
  for (int i = 0; i < 10; ++i) EXPECT_EQ(fuse.Read(node, handle, 0, kMegabyte)->error, 0);
}

TEST_F(QosTest, CopiesAreWrites) {
  const auto guest = Mount(MakeExport("web", [](ExportSpec& spec) {
    spec.mutable_qos()->mutable_write()->set_bytes_per_second(kLeastRate);
  }));
  FuseClient fuse(*guest);
  const uint64_t from = fuse.Lookup(FUSE_ROOT_ID, "megabyte")->As<fuse_entry_out>().nodeid;
  const uint64_t from_handle = fuse.Open(from, O_RDONLY)->As<fuse_open_out>().fh;
  const FuseReply to = *fuse.Create(FUSE_ROOT_ID, "copy", 0644, O_RDWR);
  fuse_open_out open;
  std::memcpy(&open, to.body.data() + sizeof(fuse_entry_out), sizeof open);
  const auto copied =
      fuse.CopyRange({.node = from, .handle = from_handle},
                     {.node = to.As<fuse_entry_out>().nodeid, .handle = open.fh}, kMegabyte);
  ASSERT_TRUE(copied.ok());
  ASSERT_EQ(copied->error, 0);

  SendRequest(fuse, *guest);
  ASSERT_TRUE(FuseClient(*guest, 0).Forget(FUSE_ROOT_ID, 0).ok());
  EXPECT_FALSE(IsAnswered(*guest));
}

TEST_F(QosTest, CopiesThatAreSentAtOnceAreNotMadeAtOnce) {
  const auto guest = Mount(MakeExport("web", [](ExportSpec& spec) {
    spec.mutable_qos()->mutable_total()->set_bytes_per_second(kLeastRate);
  }));
  FuseClient fuse(*guest);
  const uint64_t from = fuse.Lookup(FUSE_ROOT_ID, "megabyte")->As<fuse_entry_out>().nodeid;
  fuse_copy_file_range_in in{};
  in.fh_in = fuse.Open(from, O_RDONLY)->As<fuse_open_out>().fh;
  in.len = kMegabyte;
  const FuseReply to = *fuse.Create(FUSE_ROOT_ID, "copy", 0644, O_RDWR);
  fuse_open_out open;
  std::memcpy(&open, to.body.data() + sizeof(fuse_entry_out), sizeof open);
  in.nodeid_out = to.As<fuse_entry_out>().nodeid;
  in.fh_out = open.fh;
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(fuse.Submit(FUSE_COPY_FILE_RANGE, from,
                            harness::Arguments(std::as_bytes(std::span(&in, 1))),
                            sizeof(fuse_write_out))
                    .ok());
  }
  guest->Kick(1);
  ASSERT_TRUE(AwaitAnswer(*guest));

  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(FuseClient(*guest, 0).Forget(FUSE_ROOT_ID, 0).ok());
    EXPECT_FALSE(IsAnswered(*guest));
  }
}

TEST_F(QosTest, ACopyIsChargedWhatItCopies) {
  const auto guest = Mount(MakeExport("web", [](ExportSpec& spec) {
    spec.mutable_qos()->mutable_write()->set_bytes_per_second(kLeastRate);
  }));
  FuseClient fuse(*guest);
  std::ofstream(supervisor_->share("web") + "/small") << std::string(10, 's');
  const uint64_t from = fuse.Lookup(FUSE_ROOT_ID, "small")->As<fuse_entry_out>().nodeid;
  const uint64_t from_handle = fuse.Open(from, O_RDONLY)->As<fuse_open_out>().fh;
  const FuseReply to = *fuse.Create(FUSE_ROOT_ID, "copy", 0644, O_RDWR);
  fuse_open_out open;
  std::memcpy(&open, to.body.data() + sizeof(fuse_entry_out), sizeof open);
  for (int i = 0; i < 10; ++i) {
    const auto copied =
        fuse.CopyRange({.node = from, .handle = from_handle},
                       {.node = to.As<fuse_entry_out>().nodeid, .handle = open.fh}, INT64_MAX);
    ASSERT_TRUE(copied.ok()) << copied.status();
    EXPECT_EQ(copied->error, 0);
  }
}

TEST_F(QosTest, ForgetsAreServedWhileRequestsWait) {
  const auto guest = Mount(MakeExport("web", LimitReadBytes));
  FuseClient fuse(*guest);
  ReadAll(fuse);
  SendRequest(fuse, *guest);

  FuseClient high_priority(*guest, 0);
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(high_priority.Forget(FUSE_ROOT_ID, 0).ok());
  EXPECT_FALSE(IsAnswered(*guest));
}

TEST_F(QosTest, LiftingALimitServesWhatWaits) {
  const auto guest = Mount(MakeExport("web", LimitReadBytes));
  FuseClient fuse(*guest);
  ReadAll(fuse);
  SendRequest(fuse, *guest);

  const auto updated = supervisor_->Update("web", [](ExportSpec& spec) { spec.clear_qos(); });
  ASSERT_TRUE(updated.ok()) << updated.status();
  ASSERT_EQ(updated->changed.size(), 1u);
  EXPECT_EQ(updated->changed[0].name, "qos");
  EXPECT_EQ(updated->changed[0].effect, supervisor::ChangeEffect::kLive);
  EXPECT_TRUE(AwaitAnswer(*guest));
  ReadAll(fuse);
  ReadAll(fuse);
}

TEST_F(QosTest, ALimitThatIsSetHoldsFromTheAnswerOn) {
  const auto guest = Mount(MakeExport("web", [](ExportSpec&) {}));
  FuseClient fuse(*guest);
  TimeOf(fuse, 10);
  ASSERT_TRUE(supervisor_->Update("web", LimitRequests).ok());
  EXPECT_GE(TimeOf(fuse, 25), milliseconds((25 - 5) * 10));

  // And another, which forgives what the first was exceeded by.
  ASSERT_TRUE(supervisor_
                  ->Update("web",
                           [](ExportSpec& spec) {
                             spec.clear_qos();
                             LimitReadBytes(spec);
                           })
                  .ok());
  ReadAll(fuse);
  SendRequest(fuse, *guest);
  ASSERT_TRUE(FuseClient(*guest, 0).Forget(FUSE_ROOT_ID, 0).ok());
  EXPECT_FALSE(IsAnswered(*guest));
  ASSERT_TRUE(supervisor_
                  ->Update("web",
                           [](ExportSpec& spec) {
                             spec.mutable_qos()->mutable_read()->set_bytes_per_second(kLeastRate +
                                                                                      1);
                           })
                  .ok());
  EXPECT_TRUE(AwaitAnswer(*guest));
}

TEST_F(QosTest, QueuesStopWhileRequestsWait) {
  const auto guest = Mount(MakeExport("web", LimitReadBytes));
  FuseClient fuse(*guest);
  ReadAll(fuse);
  SendRequest(fuse, *guest);

  ASSERT_TRUE(guest->StopQueues().ok());
  EXPECT_FALSE(IsAnswered(*guest));
  ASSERT_TRUE(guest->StartQueues().ok());
  ASSERT_TRUE(supervisor_->Update("web", [](ExportSpec& spec) { spec.clear_qos(); }).ok());
  EXPECT_TRUE(AwaitAnswer(*guest));
}

TEST_F(QosTest, AGuestThatWaitsCanLeaveAndItsExportBeDeleted) {
  auto guest = Mount(MakeExport("web", LimitReadBytes));
  FuseClient fuse(*guest);
  ReadAll(fuse);
  SendRequest(fuse, *guest);
  guest.reset();
  ASSERT_TRUE(supervisor_->WaitFor("web", ExportState::kListening).ok());

  guest = Mount(MakeExport("other", LimitReadBytes));
  FuseClient again(*guest);
  ReadAll(again);
  SendRequest(again, *guest);
  EXPECT_TRUE(supervisor_->Delete("other", true).ok());
  EXPECT_TRUE(guest->WaitClosed());
}

TEST_F(QosTest, TheNextWorkerHasTheLimits) {
  const std::string socket = MakeExport("web", [](ExportSpec&) {});
  ASSERT_TRUE(supervisor_->Update("web", LimitRequests).ok());
  ASSERT_EQ(::kill(supervisor_->Get("web")->worker_pid, SIGKILL), 0);
  ASSERT_TRUE(supervisor_
                  ->WaitFor("web",
                            [](const supervisor::ExportView& view) {
                              return view.restarts == 1 && view.state == ExportState::kListening;
                            })
                  .ok());
  const auto guest = Mount(socket);
  FuseClient fuse(*guest);
  EXPECT_GE(TimeOf(fuse, 25), milliseconds((25 - 5) * 10));
}

}  // namespace
}  // namespace fsd
