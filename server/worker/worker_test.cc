#include "server/worker/worker.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "server/ipc/worker_channel.h"
#include "server/os/thread.h"
#include "server/os/unix_socket.h"
#include "server/telemetry/export_counters.h"
#include "server/telemetry/log.h"
#include "server/vhost_user/message.h"
#include "server/worker/fake_guest.h"
#include "server/worker/gated_filesystem.h"

namespace fsd::worker {
namespace {

using internal::FromWorker;
using internal::ToWorker;
using internal::WorkerStatus;
using vhost_user::FrontendRequest;

constexpr auto kPending = static_cast<uint64_t>(GatedFilesystem::kPendingNode);
constexpr auto kBlocking = static_cast<uint64_t>(GatedFilesystem::kBlockingNode);

// A supervisor's end of a channel.
class FakeSupervisor {
 public:
  explicit FakeSupervisor(const std::string& path)
      : channel_(*os::ConnectUnix(path, os::SocketType::kSeqPacket)) {}

  void Hello(uint32_t version = ipc::kProtocolVersion, uint32_t oldest = 0) {
    ToWorker message;
    message.mutable_hello()->set_version(version);
    message.mutable_hello()->set_oldest_version(oldest);
    Send(message);
  }
  std::optional<ipc::WorkerChannel::WithFds> Adopt() {
    ToWorker message;
    message.mutable_adopt();
    Send(message);
    if (!AwaitReadable(channel_.fd())) return std::nullopt;
    auto handed = channel_.ReceiveFromWorkerWithFds();
    EXPECT_TRUE(handed.ok()) << handed.status().ToString();
    return handed.ok() ? *std::move(handed) : std::nullopt;
  }
  void Send(const ToWorker& message) { ASSERT_TRUE(channel_.Send(message).ok()); }
  void SendRaw(std::span<const std::byte> bytes) {
    ASSERT_TRUE(os::SendWithFds(channel_.fd(), bytes, {}).ok());
  }
  void SetDraining(bool draining) {
    ToWorker message;
    message.mutable_set_draining()->set_draining(draining);
    Send(message);
  }
  // The worker's next message; nothing if it has closed the channel.
  std::optional<FromWorker> Next() {
    if (!AwaitReadable(channel_.fd())) return std::nullopt;
    auto message = channel_.ReceiveFromWorker();
    return message.ok() ? *std::move(message) : std::nullopt;
  }
  // Reads on until a status has this state; nothing if none comes.
  std::optional<WorkerStatus> AwaitState(WorkerStatus::State state) {
    while (std::optional<FromWorker> message = Next()) {
      if (message->has_status() && message->status().state() == state) return message->status();
    }
    return std::nullopt;
  }
  std::optional<WorkerStatus> Query() {
    ToWorker message;
    message.mutable_query_status();
    Send(message);
    const std::optional<FromWorker> answer = Next();
    return answer.has_value() ? std::optional(answer->status()) : std::nullopt;
  }

 private:
  ipc::WorkerChannel channel_;
};

// A VMM that knows just enough to run one request queue. Without protocol features, so the ring is
// enabled when it starts.
class FakeFrontEnd {
 public:
  explicit FakeFrontEnd(const std::string& path)
      : socket_(*os::ConnectUnix(path, os::SocketType::kStream)) {}

  int fd() const { return socket_.get(); }
  void Tell(FrontendRequest request, std::span<const std::byte> body,
            std::span<const int> fds = {}) {
    const vhost_user::MessageHeader header{.request = static_cast<uint32_t>(request),
                                           .flags = vhost_user::kVersion,
                                           .size = static_cast<uint32_t>(body.size())};
    std::vector<std::byte> bytes(sizeof header + body.size());
    std::memcpy(bytes.data(), &header, sizeof header);
    std::ranges::copy(body, bytes.begin() + sizeof header);
    ASSERT_EQ(*os::SendWithFds(fd(), bytes, fds), bytes.size());
  }
  template <typename T>
  void Tell(FrontendRequest request, const T& payload, std::span<const int> fds = {}) {
    Tell(request, std::as_bytes(std::span(&payload, 1)), fds);
  }
  // The answer's body, a T; nothing if the connection is closed.
  template <typename T>
  std::optional<T> Answer() {
    std::array<std::byte, sizeof(vhost_user::MessageHeader) + sizeof(T)> bytes;
    if (!AwaitReadable(fd())) return std::nullopt;
    const ssize_t got = ::recv(fd(), bytes.data(), bytes.size(), MSG_WAITALL);
    if (got != static_cast<ssize_t>(bytes.size())) return std::nullopt;
    T payload;
    std::memcpy(&payload, bytes.data() + sizeof(vhost_user::MessageHeader), sizeof payload);
    return payload;
  }
  std::optional<uint64_t> Features() {
    Tell(FrontendRequest::kGetFeatures, std::span<const std::byte>());
    return Answer<uint64_t>();
  }

  // Shares the guest's memory and starts its ring as the first request queue, with a FUSE_INIT.
  void Mount(const FakeGuest& guest, FakeRing& ring) {
    constexpr uint32_t kQueue = 1;
    constexpr uint64_t kVersion1 = 1ULL << 32;
    const virtqueue::VirtqueueSetup setup = ring.setup();
    Tell(FrontendRequest::kSetOwner, std::span<const std::byte>());
    Tell(FrontendRequest::kSetFeatures, kVersion1);
    struct {
      uint32_t count = 1;
      uint32_t padding = 0;
      vhost_user::MemoryRegion region{.guest_address = FakeGuest::kGuestBase,
                                      .size = FakeGuest::kMemoryBytes,
                                      .user_address = FakeGuest::kUserBase,
                                      .mmap_offset = 0};
    } table;
    const int memory[] = {guest.memory_fd()};
    Tell(FrontendRequest::kSetMemTable, table, memory);
    Tell(FrontendRequest::kSetVringNum, vhost_user::VringState{kQueue, setup.size});
    Tell(FrontendRequest::kSetVringBase, vhost_user::VringState{kQueue, 0});
    Tell(FrontendRequest::kSetVringAddr,
         vhost_user::VringAddress{.index = kQueue,
                                  .flags = 0,
                                  .descriptor = setup.descriptor_address,
                                  .used = setup.used_address,
                                  .available = setup.available_address,
                                  .log = 0});
    const int call[] = {ring.call_fd()};
    Tell(FrontendRequest::kSetVringCall, uint64_t{kQueue}, call);
    const int kick[] = {ring.kick_fd()};
    Tell(FrontendRequest::kSetVringKick, uint64_t{kQueue}, kick);
    ring.OfferInit(0);
    ring.Kick();
    ASSERT_TRUE(ring.AwaitUsed(1));
  }
  // Whether the worker closes the connection, saying nothing.
  bool AwaitClosed() {
    std::byte byte;
    return AwaitReadable(fd()) && ::recv(fd(), &byte, 1, 0) <= 0;
  }
  void Close() { socket_.reset(); }

 private:
  os::UniqueFd socket_;
};

class WorkerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char directory[] = "/tmp/fsd-worker-XXXXXX";
    ASSERT_NE(::mkdtemp(directory), nullptr);
    directory_ = directory;
    auto filesystem = std::make_unique<GatedFilesystem>();
    filesystem_ = filesystem.get();
    internal::WorkerSpec spec;
    spec.set_version(ipc::kProtocolVersion);
    spec.set_export_uid("uid-1");
    spec.mutable_spec()->set_id("test");
    spec.mutable_spec()->set_tag("myfs");
    spec.mutable_history()->set_restarts(7);
    auto worker = Worker::Create(
        {.spec = spec,
         .control_listener = *os::ListenUnix(control_path(), os::SocketType::kSeqPacket, {}),
         .vhost_listener = *os::ListenUnix(vhost_path(), os::SocketType::kStream, {}),
         .filesystem = std::move(filesystem),
         .counters = *telemetry::CreateCounterFile()});
    ASSERT_TRUE(worker.ok()) << worker.status().ToString();
    worker_ = *std::move(worker);
    thread_ = *os::Thread::Start("control", [this] { exit_status_ = worker_->Run(); });
  }
  void TearDown() override {
    if (exit_status_ == kRunning) StopWorker();
    thread_.Join();
    EXPECT_EQ(exit_status_, 0);
    worker_.reset();
    std::filesystem::remove_all(directory_);
  }

  void StopWorker() {
    FakeSupervisor supervisor(control_path());
    supervisor.Hello();
    ToWorker stop;
    stop.mutable_stop();
    supervisor.Send(stop);
    thread_.Join();
  }

  std::string control_path() const { return directory_ + "/control"; }
  std::string vhost_path() const { return directory_ + "/vhost"; }

  static constexpr int kRunning = -1;

  std::string directory_;
  GatedFilesystem* filesystem_ = nullptr;
  std::unique_ptr<Worker> worker_;
  int exit_status_ = kRunning;  // the thread's until it is joined
  os::Thread thread_;
  FakeGuest guest_;
  FakeRing ring_{guest_, 0};
};

TEST_F(WorkerTest, GreetsASupervisorAndTellsItsStatus) {
  FakeSupervisor supervisor(control_path());

  supervisor.Hello();

  const std::optional<FromWorker> hello = supervisor.Next();
  ASSERT_TRUE(hello.has_value());
  EXPECT_EQ(hello->hello().version(), ipc::kProtocolVersion);
  EXPECT_EQ(hello->hello().export_uid(), "uid-1");
  const std::optional<FromWorker> status = supervisor.Next();
  ASSERT_TRUE(status.has_value());
  EXPECT_EQ(status->status().state(), WorkerStatus::STATE_LISTENING);
  EXPECT_FALSE(status->status().has_connection());
}

TEST_F(WorkerTest, StopsWithStatusZero) {
  StopWorker();
  EXPECT_EQ(exit_status_, 0);
}

TEST_F(WorkerTest, StopsWhileAGuestHasMounted) {
  FakeFrontEnd front_end(vhost_path());
  front_end.Mount(guest_, ring_);

  StopWorker();

  EXPECT_EQ(exit_status_, 0);
  EXPECT_TRUE(front_end.AwaitClosed());
}

TEST_F(WorkerTest, AGuestThatMountsWithoutEndDoesNotFloodTheSupervisor) {
  constexpr uint16_t kMounts = 500;
  FakeSupervisor supervisor(control_path());
  supervisor.Hello();
  ASSERT_TRUE(supervisor.AwaitState(WorkerStatus::STATE_LISTENING).has_value());
  FakeFrontEnd front_end(vhost_path());
  front_end.Mount(guest_, ring_);
  for (uint16_t mounts = 1; mounts < kMounts; ++mounts) {
    ring_.Offer(2, FUSE_DESTROY, 0, {}, 0);
    ring_.Kick();
    ASSERT_TRUE(ring_.AwaitUsed(static_cast<uint16_t>(2 * mounts)));
    ring_.OfferInit(0);
    ring_.Kick();
    ASSERT_TRUE(ring_.AwaitUsed(static_cast<uint16_t>(2 * mounts + 1)));
  }

  front_end.Close();

  // It has not read any of it, and its channel is still there.
  EXPECT_TRUE(supervisor.AwaitState(WorkerStatus::STATE_LISTENING).has_value());
}

TEST_F(WorkerTest, AnotherVersionIsAnsweredAndThenClosed) {
  FakeSupervisor supervisor(control_path());
  supervisor.Hello(ipc::kProtocolVersion + 1);
  ASSERT_TRUE(supervisor.Next().has_value());
  EXPECT_FALSE(supervisor.Next().has_value());
}

TEST_F(WorkerTest, ASupervisorThatSendsGarbageLosesOnlyItsChannel) {
  FakeSupervisor good(control_path());
  good.Hello();
  ASSERT_TRUE(good.AwaitState(WorkerStatus::STATE_LISTENING).has_value());
  FakeSupervisor bad(control_path());
  const std::array<std::byte, 4> garbage{std::byte{0xff}, std::byte{0xff}, std::byte{0xff},
                                         std::byte{0xff}};

  bad.SendRaw(garbage);

  EXPECT_FALSE(bad.Next().has_value());
  EXPECT_TRUE(good.Query().has_value());
}

TEST_F(WorkerTest, ACommandBeforeHelloClosesTheChannel) {
  FakeSupervisor supervisor(control_path());
  ToWorker stop;
  stop.mutable_stop();
  supervisor.Send(stop);
  EXPECT_FALSE(supervisor.Next().has_value());
}

TEST_F(WorkerTest, SetsTheLogLevelAndRefusesOneThatIsNone) {
  FakeSupervisor supervisor(control_path());
  supervisor.Hello();
  ASSERT_TRUE(supervisor.AwaitState(WorkerStatus::STATE_LISTENING).has_value());
  ToWorker message;
  message.mutable_set_log_level()->set_log_level(static_cast<int>(telemetry::LogLevel::kDebug));
  supervisor.Send(message);
  ASSERT_TRUE(supervisor.Query().has_value());
  EXPECT_TRUE(telemetry::LogEnabled(telemetry::LogLevel::kDebug));

  telemetry::SetLogLevel(telemetry::LogLevel::kInfo);
  message.mutable_set_log_level()->set_log_level(99);
  supervisor.Send(message);
  EXPECT_FALSE(supervisor.Next().has_value());
}

TEST_F(WorkerTest, OfTooManySupervisorsTheOldestIsClosed) {
  std::vector<std::unique_ptr<FakeSupervisor>> supervisors;
  for (size_t i = 0; i <= SupervisorLinks::kMaxLinks; ++i) {
    supervisors.push_back(std::make_unique<FakeSupervisor>(control_path()));
    supervisors.back()->Hello();
    ASSERT_TRUE(supervisors.back()->AwaitState(WorkerStatus::STATE_LISTENING).has_value());
  }
  EXPECT_FALSE(supervisors.front()->Next().has_value());
  EXPECT_TRUE(supervisors[1]->Query().has_value());
  EXPECT_TRUE(supervisors.back()->Query().has_value());
  supervisors.clear();
}

TEST_F(WorkerTest, ASupervisorThatAdoptsItIsHandedWhatItServesWith) {
  FakeSupervisor supervisor(control_path());
  supervisor.Hello();
  ASSERT_TRUE(supervisor.AwaitState(WorkerStatus::STATE_LISTENING).has_value());

  const auto handed = supervisor.Adopt();

  ASSERT_TRUE(handed.has_value());
  EXPECT_EQ(handed->message.handover().spec().export_uid(), "uid-1");
  EXPECT_EQ(handed->message.handover().spec().history().restarts(), 7u);
  sockaddr_un address{};
  socklen_t size = sizeof address;
  ASSERT_EQ(::getsockname(handed->fds[0].get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  EXPECT_EQ(address.sun_path, vhost_path());
  EXPECT_TRUE(telemetry::IsCounterFile(handed->fds[1].get()));
  // It goes on with them itself.
  FakeFrontEnd front_end(vhost_path());
  EXPECT_TRUE(supervisor.AwaitState(WorkerStatus::STATE_CONNECTED).has_value());
}

TEST_F(WorkerTest, ANewerSupervisorThatSpeaksThisVersionToo) {
  FakeSupervisor supervisor(control_path());
  supervisor.Hello(ipc::kProtocolVersion + 1, ipc::kProtocolVersion);
  EXPECT_TRUE(supervisor.AwaitState(WorkerStatus::STATE_LISTENING).has_value());
  // Field 1007, of one byte: a message of a kind that is to come.
  supervisor.SendRaw(std::as_bytes(std::span("\xfa\x3e\x01x", 4)));
  EXPECT_TRUE(supervisor.Query().has_value());
}

TEST_F(WorkerTest, TellsEachChangeOfState) {
  FakeSupervisor supervisor(control_path());
  supervisor.Hello();
  ASSERT_TRUE(supervisor.AwaitState(WorkerStatus::STATE_LISTENING).has_value());

  FakeFrontEnd front_end(vhost_path());
  ASSERT_TRUE(supervisor.AwaitState(WorkerStatus::STATE_CONNECTED).has_value());
  front_end.Mount(guest_, ring_);
  const std::optional<WorkerStatus> mounted = supervisor.AwaitState(WorkerStatus::STATE_MOUNTED);
  ASSERT_TRUE(mounted.has_value());
  EXPECT_EQ(mounted->connection().fuse_major(), 7u);
  EXPECT_EQ(mounted->connection().queues(), 1u);
  EXPECT_EQ(mounted->connections_accepted(), 1u);
  front_end.Close();
  EXPECT_TRUE(supervisor.AwaitState(WorkerStatus::STATE_LISTENING).has_value());
}

TEST_F(WorkerTest, TellsUnaskedThatInodesAreRefused) {
  FakeSupervisor supervisor(control_path());
  supervisor.Hello();
  ASSERT_TRUE(supervisor.AwaitState(WorkerStatus::STATE_LISTENING).has_value());

  filesystem_->RefuseInode();

  const std::optional<FromWorker> told = supervisor.Next();
  ASSERT_TRUE(told.has_value());
  EXPECT_EQ(told->status().inodes_refused(), 1u);
  EXPECT_TRUE(told->status().inodes_spent());

  filesystem_->ForgetInodes();
  const std::optional<WorkerStatus> asked = supervisor.Query();
  ASSERT_TRUE(asked.has_value());
  EXPECT_FALSE(asked->inodes_spent());

  filesystem_->RefuseInode();
  const std::optional<FromWorker> again = supervisor.Next();
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(again->status().inodes_refused(), 2u);
}

TEST_F(WorkerTest, ASecondFrontEndIsClosedAndTheFirstGoesOn) {
  FakeSupervisor supervisor(control_path());
  supervisor.Hello();
  FakeFrontEnd first(vhost_path());
  ASSERT_TRUE(first.Features().has_value());

  FakeFrontEnd second(vhost_path());

  EXPECT_TRUE(second.AwaitClosed());
  EXPECT_TRUE(first.Features().has_value());
  ASSERT_TRUE(supervisor.AwaitState(WorkerStatus::STATE_CONNECTED).has_value());
  EXPECT_EQ(supervisor.Query()->connections_refused(), 1u);
}

TEST_F(WorkerTest, ServesOneFrontEndAfterAnother) {
  for (size_t i = 0; i < 50; ++i) {
    FakeRing ring(guest_, i % 4);
    FakeFrontEnd front_end(vhost_path());
    front_end.Mount(guest_, ring);
  }
  EXPECT_GE(filesystem_->resets, 50u);
}

TEST_F(WorkerTest, TheNextFrontEndWaitsUntilTheLastOnesRequestsAreDone) {
  FakeSupervisor supervisor(control_path());
  supervisor.Hello();
  ASSERT_TRUE(supervisor.AwaitState(WorkerStatus::STATE_LISTENING).has_value());
  FakeFrontEnd front_end(vhost_path());
  front_end.Mount(guest_, ring_);
  ring_.OfferGetAttributes(2, kPending);
  ring_.Kick();
  ASSERT_TRUE(filesystem_->AwaitPending(1002));

  front_end.Close();
  FakeFrontEnd next(vhost_path());
  // The worker answers, but is not listening yet.
  ASSERT_TRUE(supervisor.AwaitState(WorkerStatus::STATE_MOUNTED).has_value());
  EXPECT_NE(supervisor.Query()->state(), WorkerStatus::STATE_LISTENING);
  ASSERT_TRUE(filesystem_->CompletePending(1002));

  EXPECT_TRUE(next.Features().has_value());
}

TEST_F(WorkerTest, AnswersSupervisorsWhileTheFileSystemHangs) {
  FakeFrontEnd front_end(vhost_path());
  front_end.Mount(guest_, ring_);
  filesystem_->blocking_gate.Close();
  filesystem_->reset_gate.Close();
  ring_.OfferGetAttributes(2, kBlocking);
  ring_.Kick();
  ASSERT_TRUE(filesystem_->blocking_gate.AwaitWaiting(1));
  FakeSupervisor supervisor(control_path());
  supervisor.Hello();

  EXPECT_TRUE(front_end.Features().has_value());
  EXPECT_TRUE(supervisor.AwaitState(WorkerStatus::STATE_MOUNTED).has_value());
  front_end.Close();
  EXPECT_TRUE(supervisor.Query().has_value());
  filesystem_->blocking_gate.Open();
  ASSERT_TRUE(filesystem_->reset_gate.AwaitWaiting(1));
  EXPECT_TRUE(supervisor.Query().has_value());
  filesystem_->reset_gate.Open();

  EXPECT_TRUE(supervisor.AwaitState(WorkerStatus::STATE_LISTENING).has_value());
}

TEST_F(WorkerTest, ListsWhatIsInFlightWhileTheFileSystemHangs) {
  FakeFrontEnd front_end(vhost_path());
  front_end.Mount(guest_, ring_);
  FakeSupervisor supervisor(control_path());
  supervisor.Hello();
  ASSERT_TRUE(supervisor.AwaitState(WorkerStatus::STATE_MOUNTED).has_value());
  ToWorker query;
  query.mutable_list_inflight()->set_max_requests(10);
  query.mutable_list_inflight()->set_number(1);
  supervisor.Send(query);
  std::optional<FromWorker> answer = supervisor.Next();
  ASSERT_TRUE(answer.has_value() && answer->has_inflight());
  EXPECT_EQ(answer->inflight().total(), 0U);

  filesystem_->blocking_gate.Close();
  ring_.OfferGetAttributes(2, kBlocking);
  ring_.Kick();
  ASSERT_TRUE(filesystem_->blocking_gate.AwaitWaiting(1));
  query.mutable_list_inflight()->set_number(2);
  supervisor.Send(query);
  answer = supervisor.Next();
  ASSERT_TRUE(answer.has_value() && answer->has_inflight());
  EXPECT_EQ(answer->inflight().number(), 2U);
  EXPECT_EQ(answer->inflight().total(), 1U);
  ASSERT_EQ(answer->inflight().requests_size(), 1);
  EXPECT_EQ(answer->inflight().requests(0).opcode(), static_cast<uint32_t>(FUSE_GETATTR));
  EXPECT_GT(answer->inflight().requests(0).age_nanos(), 0U);
  query.mutable_list_inflight()->set_max_requests(0);
  supervisor.Send(query);
  answer = supervisor.Next();
  ASSERT_TRUE(answer.has_value() && answer->has_inflight());
  EXPECT_EQ(answer->inflight().requests_size(), 0);
  EXPECT_EQ(answer->inflight().total(), 1U);
  filesystem_->blocking_gate.Open();
}

TEST_F(WorkerTest, AFrontEndThatSendsGarbageIsClosedAndTheNextIsServed) {
  FakeFrontEnd bad(vhost_path());
  bad.Tell(static_cast<FrontendRequest>(0xffffffff), uint64_t{0});
  EXPECT_TRUE(bad.AwaitClosed());

  FakeFrontEnd good(vhost_path());
  EXPECT_TRUE(good.Features().has_value());
}

TEST_F(WorkerTest, WhileItDrainsWhoConnectsIsClosedAndWhoIsConnectedGoesOn) {
  FakeSupervisor supervisor(control_path());
  supervisor.Hello();
  FakeFrontEnd first(vhost_path());
  ASSERT_TRUE(supervisor.AwaitState(WorkerStatus::STATE_CONNECTED).has_value());
  supervisor.SetDraining(true);
  ASSERT_TRUE(supervisor.AwaitState(WorkerStatus::STATE_CONNECTED)->draining());

  FakeFrontEnd second(vhost_path());
  EXPECT_TRUE(second.AwaitClosed());
  EXPECT_TRUE(first.Features().has_value());
  first.Close();
  ASSERT_TRUE(supervisor.AwaitState(WorkerStatus::STATE_LISTENING)->draining());
  FakeFrontEnd third(vhost_path());
  EXPECT_TRUE(third.AwaitClosed());

  supervisor.SetDraining(false);
  ASSERT_FALSE(supervisor.AwaitState(WorkerStatus::STATE_LISTENING)->draining());
  FakeFrontEnd fourth(vhost_path());
  EXPECT_TRUE(fourth.Features().has_value());
}

TEST_F(WorkerTest, TakesOtherLimitsAndSaysSo) {
  FakeSupervisor supervisor(control_path());
  supervisor.Hello();
  ASSERT_FALSE(supervisor.AwaitState(WorkerStatus::STATE_LISTENING)->has_qos());

  ToWorker message;
  message.mutable_set_qos()->mutable_qos()->mutable_read()->set_bytes_per_second(4096);
  supervisor.Send(message);
  EXPECT_EQ(supervisor.AwaitState(WorkerStatus::STATE_LISTENING)->qos().read().bytes_per_second(),
            4096u);

  message.mutable_set_qos()->clear_qos();
  supervisor.Send(message);
  EXPECT_FALSE(supervisor.AwaitState(WorkerStatus::STATE_LISTENING)->has_qos());
}

TEST_F(WorkerTest, EndsTheConnectionAndListensAgain) {
  FakeSupervisor supervisor(control_path());
  supervisor.Hello();
  FakeFrontEnd front_end(vhost_path());
  front_end.Mount(guest_, ring_);
  ASSERT_TRUE(supervisor.AwaitState(WorkerStatus::STATE_MOUNTED).has_value());
  ToWorker disconnect;
  disconnect.mutable_disconnect();

  supervisor.Send(disconnect);

  EXPECT_TRUE(front_end.AwaitClosed());
  EXPECT_TRUE(supervisor.AwaitState(WorkerStatus::STATE_LISTENING).has_value());
  FakeFrontEnd next(vhost_path());
  EXPECT_TRUE(next.Features().has_value());
}

TEST_F(WorkerTest, RetiresOnceNobodyIsConnectedAndThenLeavesNewcomersInTheBacklog) {
  FakeSupervisor supervisor(control_path());
  supervisor.Hello();
  FakeFrontEnd front_end(vhost_path());
  ASSERT_TRUE(supervisor.AwaitState(WorkerStatus::STATE_CONNECTED).has_value());
  ToWorker retire;
  retire.mutable_retire();
  supervisor.Send(retire);
  ASSERT_TRUE(supervisor.AwaitState(WorkerStatus::STATE_CONNECTED)->retiring());
  EXPECT_TRUE(front_end.Features().has_value());

  front_end.Close();

  EXPECT_TRUE(supervisor.AwaitState(WorkerStatus::STATE_LISTENING)->retiring());
  FakeFrontEnd next(vhost_path());
  const std::optional<WorkerStatus> status = supervisor.Query();
  EXPECT_EQ(status->state(), WorkerStatus::STATE_LISTENING);
  EXPECT_EQ(status->connections_accepted(), 1u);
}

TEST(WorkerCreateTest, ASpecOfAnotherVersionIsRefused) {
  internal::WorkerSpec spec;
  spec.set_version(ipc::kProtocolVersion + 1);
  EXPECT_FALSE(Worker::Create({.spec = spec,
                               .control_listener = os::UniqueFd(),
                               .vhost_listener = os::UniqueFd(),
                               .filesystem = std::make_unique<GatedFilesystem>()})
                   .ok());
}

TEST(WorkerCreateTest, AListenerThatIsNoneIsAnError) {
  internal::WorkerSpec spec;
  spec.set_version(ipc::kProtocolVersion);
  spec.mutable_spec()->set_tag("myfs");
  EXPECT_FALSE(Worker::Create({.spec = spec,
                               .control_listener = os::UniqueFd(),
                               .vhost_listener = os::UniqueFd(),
                               .filesystem = std::make_unique<GatedFilesystem>()})
                   .ok());
}

}  // namespace
}  // namespace fsd::worker
