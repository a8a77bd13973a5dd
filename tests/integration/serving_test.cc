// Supervisor, worker, vhost-user, virtqueues, FUSE and the passthrough backend together, driven by
// a front-end without a VM: what must hold whatever a VMM or a guest does.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <random>
#include <span>
#include <sstream>
#include <string>

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
using supervisor::ExportState;

// vhost-user requests that these tests send by hand.
constexpr uint32_t kGetFeatures = 1;
constexpr uint32_t kSetFeatures = 2;
constexpr uint32_t kSetOwner = 3;

std::string Contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream contents;
  contents << file.rdbuf();
  return contents.str();
}

std::string Text(const FuseReply& reply) {
  return {reinterpret_cast<const char*>(reply.body.data()), reply.body.size()};
}

#define ASSERT_OK(expression)                                      \
  do {                                                             \
    const auto& result_ = (expression);                            \
    ASSERT_TRUE(result_.ok()) << fsd::internal::AsStatus(result_); \
  } while (false)

#define EXPECT_OK(expression)                                      \
  do {                                                             \
    const auto& result_ = (expression);                            \
    EXPECT_TRUE(result_.ok()) << fsd::internal::AsStatus(result_); \
  } while (false)

class ServingTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto started = harness::RunningSupervisor::Start(
        std::filesystem::canonical("server/exe/fsd-worker").string());
    ASSERT_TRUE(started.ok()) << started.status();
    supervisor_ = *std::move(started);
  }

  std::string MakeExport(const std::string& id) {
    const auto view = supervisor_->Create(id);
    EXPECT_TRUE(view.ok()) << view.status();
    return view.ok() ? view->record.spec().socket_path() : "";
  }

  std::unique_ptr<FrontEnd> Connect(const std::string& socket, FrontEnd::Options options = {}) {
    auto front_end = FrontEnd::Connect(socket, options);
    EXPECT_TRUE(front_end.ok()) << front_end.status();
    return front_end.ok() ? *std::move(front_end) : nullptr;
  }

  // A front-end that has set everything up, as a guest that has loaded its driver.
  std::unique_ptr<FrontEnd> Attach(const std::string& socket, FrontEnd::Options options = {}) {
    auto front_end = Connect(socket, options);
    if (front_end != nullptr) {
      const absl::Status started = front_end->Start();
      EXPECT_TRUE(started.ok()) << started;
    }
    return front_end;
  }

  std::unique_ptr<harness::RunningSupervisor> supervisor_;
};

TEST_F(ServingTest, AGuestReadsAndWritesTheHostsFiles) {
  const std::string socket = MakeExport("web");
  std::ofstream(supervisor_->share("web") + "/from-host") << "written on the host";
  auto guest = Attach(socket, {.memory_regions = 2});
  FuseClient fuse(*guest);
  ASSERT_OK(fuse.Init());
  ASSERT_OK(supervisor_->WaitFor("web", ExportState::kMounted));

  const auto found = fuse.Lookup(FUSE_ROOT_ID, "from-host");
  ASSERT_OK(found);
  ASSERT_EQ(found->error, 0);
  const uint64_t node = found->As<fuse_entry_out>().nodeid;
  const auto opened = fuse.Open(node, O_RDONLY);
  ASSERT_OK(opened);
  EXPECT_EQ(Text(*fuse.Read(node, opened->As<fuse_open_out>().fh, 8, 100)), "on the host");

  const auto created = fuse.Create(FUSE_ROOT_ID, "from-guest", 0640, O_RDWR);
  ASSERT_OK(created);
  ASSERT_EQ(created->error, 0);
  fuse_open_out open{};
  std::memcpy(&open, created->body.data() + sizeof(fuse_entry_out), sizeof open);
  const std::string data(300'000, 'g');
  const auto written = fuse.Write(created->As<fuse_entry_out>().nodeid, open.fh, 0, data);
  ASSERT_OK(written);
  EXPECT_EQ(written->As<fuse_write_out>().size, data.size());
  EXPECT_EQ(fuse.Fsync(created->As<fuse_entry_out>().nodeid, open.fh)->error, 0);
  EXPECT_EQ(Contents(supervisor_->share("web") + "/from-guest"), data);
}

TEST_F(ServingTest, TheNextFrontEndIsServedOnTheSameSocketByTheSameWorker) {
  const std::string socket = MakeExport("web");
  const auto worker = supervisor_->Get("web")->worker_pid;
  for (int round = 0; round < 50; ++round) {
    auto guest = Attach(socket);
    FuseClient fuse(*guest);
    ASSERT_OK(fuse.Init());
    ASSERT_OK(fuse.GetAttributes(FUSE_ROOT_ID));
    guest.reset();
  }
  const auto view = supervisor_->WaitFor("web", ExportState::kListening);
  ASSERT_OK(view);
  EXPECT_EQ(view->worker_pid, worker);
  EXPECT_EQ(view->restarts, 0u);
}

TEST_F(ServingTest, ASecondFrontEndIsClosedAtOnceAndTheFirstServedOn) {
  const std::string socket = MakeExport("web");
  auto first = Attach(socket);
  FuseClient fuse(*first);
  ASSERT_OK(fuse.Init());
  auto second = Connect(socket);
  EXPECT_TRUE(second->WaitClosed());
  EXPECT_OK(fuse.GetAttributes(FUSE_ROOT_ID).status());
}

TEST_F(ServingTest, AGuestThatRebootsStartsAFreshSession) {
  const std::string socket = MakeExport("web");
  auto guest = Attach(socket);
  FuseClient before(*guest);
  ASSERT_OK(before.Init());
  const auto made = before.MakeDirectory(FUSE_ROOT_ID, "d", 0755);
  ASSERT_OK(made);
  const uint64_t node = made->As<fuse_entry_out>().nodeid;

  // As QEMU reboots: rings stopped and started with fresh contents, no DESTROY, no memory message.
  ASSERT_OK(guest->StopQueues());
  guest->ResetQueues();
  ASSERT_OK(guest->StartQueues());
  FuseClient after(*guest);
  ASSERT_OK(after.Init());
  EXPECT_EQ(after.GetAttributes(node)->error, ESTALE);
  EXPECT_EQ(after.Lookup(FUSE_ROOT_ID, "d")->error, 0);
}

TEST_F(ServingTest, StoppedRingsGoOnWhereTheyWere) {
  const std::string socket = MakeExport("web");
  auto guest = Attach(socket);
  FuseClient fuse(*guest);
  ASSERT_OK(fuse.Init());
  for (int round = 0; round < 20; ++round) {
    ASSERT_OK(fuse.GetAttributes(FUSE_ROOT_ID));
    ASSERT_OK(guest->StopQueues());
    ASSERT_OK(guest->StartQueues());
  }
  EXPECT_EQ(fuse.GetAttributes(FUSE_ROOT_ID)->error, 0);
}

TEST_F(ServingTest, RingsOfEveryKindAreServed) {
  const std::string socket = MakeExport("web");
  for (const uint16_t size : {uint16_t{8}, uint16_t{128}, uint16_t{1024}, uint16_t{4096}}) {
    for (const bool event_index : {false, true}) {
      for (const bool indirect : {false, true}) {
        auto guest = Attach(
            socket, {.queue = {.size = size, .event_index = event_index, .indirect = indirect},
                     .memory_bytes = size_t{256} << 20});
        FuseClient fuse(*guest);
        ASSERT_OK(fuse.Init());
        for (int i = 0; i < 2 * size; ++i) {
          const auto reply = fuse.GetAttributes(FUSE_ROOT_ID);
          ASSERT_OK(reply);
          ASSERT_EQ(reply->error, 0);
        }
      }
    }
  }
}

TEST_F(ServingTest, ManyRequestsInFlightAreEachAnsweredOnce) {
  const std::string socket = MakeExport("web");
  auto guest = Attach(socket, {.queue = {.size = 256}});
  FuseClient fuse(*guest);
  ASSERT_OK(fuse.Init());
  std::map<uint16_t, FuseClient::Submitted> in_flight;
  int answered = 0;
  for (int sent = 0; sent < 5000 || !in_flight.empty();) {
    while (sent < 5000 && in_flight.size() < 200) {
      const auto submitted = fuse.Submit(FUSE_STATFS, FUSE_ROOT_ID, {}, sizeof(fuse_statfs_out));
      ASSERT_OK(submitted);
      in_flight[submitted->head] = *submitted;
      ++sent;
    }
    guest->Kick(1);
    ASSERT_OK(guest->WaitUsed(1));
    while (const auto used = guest->queue(1).PopUsed()) {
      ASSERT_TRUE(in_flight.contains(used->head));
      const auto reply = fuse.ReplyOf(in_flight.at(used->head), used->written);
      ASSERT_OK(reply);
      ASSERT_EQ(reply->error, 0);
      in_flight.erase(used->head);
      ++answered;
    }
  }
  EXPECT_EQ(answered, 5000);
}

TEST_F(ServingTest, AVmmThatDiesAtAnyMomentLeavesTheExportListening) {
  const std::string socket = MakeExport("web");
  const auto worker = supervisor_->Get("web")->worker_pid;
  std::mt19937 random(7);
  for (int round = 0; round < 150; ++round) {
    auto guest = Connect(socket);
    ASSERT_NE(guest, nullptr);
    const unsigned moment = random() % 6;
    if (moment == 1) (void)guest->GetU64(kGetFeatures);
    if (moment == 2) {
      // In the middle of a message.
      const char half[] = {1, 0, 0, 0, 1};
      ASSERT_EQ(::write(guest->socket(), half, sizeof half), 5);
    }
    if (moment >= 3) ASSERT_OK(guest->Start());
    if (moment >= 4) {
      FuseClient fuse(*guest);
      ASSERT_OK(fuse.Init());
      if (moment == 5) {
        // With requests in flight.
        for (int i = 0; i < 20; ++i) {
          (void)fuse.Submit(FUSE_STATFS, FUSE_ROOT_ID, {}, sizeof(fuse_statfs_out));
        }
        guest->Kick(1);
      }
    }
    guest.reset();
  }
  auto guest = Attach(socket);
  FuseClient fuse(*guest);
  ASSERT_OK(fuse.Init());
  EXPECT_EQ(fuse.GetAttributes(FUSE_ROOT_ID)->error, 0);
  EXPECT_EQ(supervisor_->Get("web")->worker_pid, worker);
}

TEST_F(ServingTest, AKilledWorkerIsReplacedOnTheSameSocketAndTheNeighbourNotDisturbed) {
  const std::string socket = MakeExport("victim");
  auto neighbour = Attach(MakeExport("neighbour"));
  FuseClient neighbour_fuse(*neighbour);
  ASSERT_OK(neighbour_fuse.Init());
  auto guest = Attach(socket);
  FuseClient fuse(*guest);
  ASSERT_OK(fuse.Init());

  const pid_t worker = supervisor_->Get("victim")->worker_pid;
  ASSERT_EQ(::kill(worker, SIGKILL), 0);
  EXPECT_TRUE(guest->WaitClosed());
  // A front-end that connects before the new worker is there waits in the socket's backlog.
  auto next = Attach(socket);
  FuseClient next_fuse(*next);
  ASSERT_OK(next_fuse.Init());

  const auto view = supervisor_->WaitFor("victim", ExportState::kMounted);
  ASSERT_OK(view);
  EXPECT_EQ(view->restarts, 1u);
  EXPECT_EQ(neighbour_fuse.GetAttributes(FUSE_ROOT_ID)->error, 0);
}

TEST_F(ServingTest, AnExportInUseIsDeletedOnlyByForce) {
  auto guest = Attach(MakeExport("web"));
  FuseClient fuse(*guest);
  ASSERT_OK(fuse.Init());
  ASSERT_OK(supervisor_->WaitFor("web", ExportState::kMounted));
  EXPECT_EQ(supervisor_->Delete("web", false).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_OK(supervisor_->Delete("web", true));
  EXPECT_TRUE(guest->WaitClosed());
  EXPECT_EQ(supervisor_->Get("web").status().code(), absl::StatusCode::kNotFound);
}

TEST_F(ServingTest, GarbageOnTheSocketEndsThatConnectionOnly) {
  const std::string socket = MakeExport("web");
  auto hostile = Connect(socket);
  const std::string garbage(4096, '\xff');
  ASSERT_EQ(::write(hostile->socket(), garbage.data(), garbage.size()), 4096);
  EXPECT_TRUE(hostile->WaitClosed());
  auto guest = Attach(socket);
  FuseClient fuse(*guest);
  EXPECT_OK(fuse.Init().status());
}

TEST_F(ServingTest, RequestsOutOfOrderGetAnErrorOrTheDoorButNeverACrash) {
  const std::string socket = MakeExport("web");
  const auto worker = supervisor_->Get("web")->worker_pid;
  const uint64_t word = 1;
  for (uint32_t request = 0; request < 60; ++request) {
    for (const bool with_fd : {false, true}) {
      auto hostile = Connect(socket);
      ASSERT_NE(hostile, nullptr);
      const int fds[] = {STDERR_FILENO};
      (void)hostile->Send(request, std::as_bytes(std::span(&word, 1)),
                          with_fd ? std::span<const int>(fds) : std::span<const int>());
      (void)hostile->Send(kSetOwner, {});
      (void)hostile->Send(kSetFeatures, std::as_bytes(std::span(&word, 1)));
      (void)hostile->Send(request, {});
    }
  }
  auto guest = Attach(socket);
  FuseClient fuse(*guest);
  EXPECT_OK(fuse.Init().status());
  EXPECT_EQ(supervisor_->Get("web")->worker_pid, worker);
}

}  // namespace
}  // namespace fsd
