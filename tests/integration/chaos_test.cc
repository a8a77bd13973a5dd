// A hostile guest and a hostile VMM have an export to themselves, and a worker behind its jail; the
// guest of another export goes on with its work and notices nothing, nor does either of them leave
// anything behind.
#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "server/errors/status_macros.h"
#include "server/telemetry/log.h"
#include "tests/harness/front_end.h"
#include "tests/harness/fuse_client.h"
#include "tests/harness/hostile_front_end.h"
#include "tests/harness/hostile_guest.h"
#include "tests/harness/process_usage.h"
#include "tests/harness/running_supervisor.h"
#include "tests/harness/steady_guest.h"

namespace fsd {
namespace {

using harness::FrontEnd;
using harness::FuseClient;
using harness::HostileFrontEnd;
using harness::HostileGuest;
using harness::ProcessUsage;
using harness::SteadyGuest;
using supervisor::ExportState;
using supervisor::ExportView;

constexpr uint64_t kRequests = 1'000'000;
constexpr uint64_t kConnections = 10'000;
constexpr uint64_t kRounds = 50;
constexpr uint64_t kRequestsPerRound = kRequests / kRounds;
constexpr uint64_t kConnectionsPerRound = kConnections / kRounds;
// The second half of a session's are wild, and likely to end it.
constexpr uint64_t kBatchesPerSession = 20;
// Of those whose replies are looked at, so many at least succeed in spite of their fault: the
// others are not all refused at the door either.
constexpr uint64_t kGranted = kRequests / 200;

// What a worker, or the supervisor, may hold afterwards beyond what it held after the first tenth.
// Its allocator keeps what it has had: a megabyte for each of some threads.
constexpr size_t kMoreFds = 4;
constexpr size_t kMoreMappings = 64;
constexpr size_t kMoreAnonymousKib = 24 * 1024;
// No more than a machine with other things to do takes; a neighbour that waits for us takes longer.
constexpr std::chrono::seconds kSlowest{10};

#define ASSERT_OK(expression)                                      \
  do {                                                             \
    const auto& result_ = (expression);                            \
    ASSERT_TRUE(result_.ok()) << fsd::internal::AsStatus(result_); \
  } while (false)

uint64_t Seed() {
  const char* const given = std::getenv("FSD_CHAOS_SEED");
  return given != nullptr ? std::strtoull(given, nullptr, 0) : 20'240'607;
}

void ExpectNoGrowth(const ProcessUsage& before, const ProcessUsage& after) {
  EXPECT_LE(after.fds, before.fds + kMoreFds) << before << " before";
  EXPECT_LE(after.mappings, before.mappings + kMoreMappings) << before << " before";
  EXPECT_LE(after.anonymous_kib, before.anonymous_kib + kMoreAnonymousKib) << before << " before";
}

class ChaosTest : public ::testing::Test {
 protected:
  // The supervisor's thread and the workers are to see the file system that SetUp mounts, and
  // nobody else is.
  static void SetUpTestSuite() {
    ASSERT_EQ(::unshare(CLONE_NEWNS), 0) << std::strerror(errno);
    ASSERT_EQ(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
  }

  void SetUp() override {
    telemetry::SetLogLevel(telemetry::LogLevel::kError);  // a line a connection would be many
    auto started = harness::RunningSupervisor::Start(
        std::filesystem::canonical("server/exe/fsd-worker").string(),
        [](supervisor::Config& config) { config.log_level = telemetry::LogLevel::kError; });
    ASSERT_OK(started);
    supervisor_ = *std::move(started);
    // Of a size: what the hostile guest makes is not to fill the host's.
    attacked_share_ = supervisor_->share("attacked");
    std::filesystem::create_directories(attacked_share_);
    ASSERT_EQ(::mount("chaos", attacked_share_.c_str(), "tmpfs", 0, "size=64m,nr_inodes=20000"), 0)
        << std::strerror(errno);
    internal::ExportSpec spec;
    spec.set_id("attacked");
    spec.set_source_path(attacked_share_);
    spec.set_tag("attacked");
    spec.set_xattr(true);
    spec.set_shared_locks(true);
    spec.set_lock_wait_nanos(1'000'000);
    const auto attacked = supervisor_->Create(std::move(spec));
    ASSERT_OK(attacked);
    attacked_socket_ = attacked->record.spec().socket_path();
    const auto neighbour = supervisor_->Create("neighbour");
    ASSERT_OK(neighbour);
    auto steady = SteadyGuest::Start(neighbour->record.spec().socket_path());
    ASSERT_OK(steady);
    steady_ = *std::move(steady);
  }

  void TearDown() override {
    steady_.reset();
    ::umount2(attacked_share_.c_str(), MNT_DETACH);
    supervisor_.reset();
  }

  // A front-end of the attacked export, which the last one's end may keep waiting.
  absl::StatusOr<std::unique_ptr<FrontEnd>> Attach(bool memory_may_shrink = false) {
    FSD_ASSIGN_OR_RETURN(
        auto front_end,
        FrontEnd::Connect(attacked_socket_, {.queue = {.size = HostileGuest::kQueueSize},
                                             .memory_bytes = size_t{64} << 20,
                                             .memory_regions = 2,
                                             .memory_may_shrink = memory_may_shrink}));
    FSD_RETURN_IF_ERROR(front_end->Start());
    return front_end;
  }

  // One guest's life, which sends `requests` and ends by breaking its rings or in the midst of
  // them.
  absl::Status AttackAsGuest(uint64_t seed, uint64_t requests) {
    FSD_ASSIGN_OR_RETURN(const auto front_end, Attach());
    HostileGuest guest(*front_end, seed);
    for (uint64_t batch = 0; requests > 0; ++batch) {
      if (batch % kBatchesPerSession == 0) {
        FSD_RETURN_IF_ERROR(FuseClient(*front_end).Init().status());
        guest.OnMounted();
      }
      const uint64_t count = std::min<uint64_t>(requests, HostileGuest::kMaxInFlight);
      const size_t queue = batch % 8 == 4 ? 0 : 1;
      FSD_RETURN_IF_ERROR(batch % kBatchesPerSession >= kBatchesPerSession / 2
                              ? AttackScribbled(guest, seed + batch, count)
                              : guest.Attack(queue, count));
      requests -= count;
      sent_ += count;
    }
    granted_ += guest.granted();
    guest.BreakRing(0);
    guest.BreakRing(1);
    return absl::OkStatus();
  }

  absl::Status AttackScribbled(HostileGuest& guest, uint64_t seed, uint64_t count) {
    std::atomic<bool> done = false;
    std::thread scribbler([&] {
      std::mt19937_64 random(seed);
      while (!done) {
        for (int i = 0; i < 50; ++i) guest.Scribble(random);
        std::this_thread::yield();
      }
    });
    const absl::Status status = guest.AttackWildly(1, count);
    done = true;
    scribbler.join();
    return status;
  }

  absl::Status AttackAsVmm(HostileFrontEnd& front_end, uint64_t connections) {
    while (connections > 0) {
      FSD_ASSIGN_OR_RETURN(const bool taken, front_end.Attack());
      if (!taken) continue;
      --connections;
      ++connected_;
    }
    return absl::OkStatus();
  }

  // Once nobody is connected to the attacked export.
  ProcessUsage UsageAtRest() {
    const auto view = supervisor_->WaitFor("attacked", ExportState::kListening);
    EXPECT_TRUE(view.ok()) << view.status();
    return view.ok() ? harness::UsageOfWorker(view->worker_pid) : ProcessUsage();
  }

  // The hostile guest has left no room.
  void EmptyAttackedShare() {
    std::vector<std::filesystem::path> entries;
    for (const auto& entry : std::filesystem::directory_iterator(attacked_share_)) {
      entries.push_back(entry.path());
    }
    for (const auto& entry : entries) std::filesystem::remove_all(entry);
  }

  // What a guest does with an export that is well.
  void ExpectAGoodGuestIsServed() {
    auto guest = SteadyGuest::Start(attacked_socket_);
    ASSERT_OK(guest);
    while ((*guest)->requests() < 100) std::this_thread::yield();
    const SteadyGuest::Account account = (*guest)->Stop();
    EXPECT_TRUE(account.problem.ok()) << account.problem;
  }

  std::string attacked_share_;
  std::string attacked_socket_;
  std::unique_ptr<harness::RunningSupervisor> supervisor_;
  std::unique_ptr<SteadyGuest> steady_;
  uint64_t sent_ = 0;
  uint64_t granted_ = 0;
  uint64_t connected_ = 0;
};

TEST_F(ChaosTest, AMillionRequestsAndTenThousandConnectionsDisturbNobody) {
  const uint64_t seed = Seed();
  std::cout << "seed " << seed << " (FSD_CHAOS_SEED)" << std::endl;
  auto hostile = HostileFrontEnd::Create(attacked_socket_, seed);
  ASSERT_OK(hostile);
  ProcessUsage worker_before;
  ProcessUsage supervisor_before;

  for (uint64_t round = 0; round < kRounds; ++round) {
    ASSERT_OK(AttackAsGuest(seed + 1000 * round, kRequestsPerRound));
    ASSERT_OK(AttackAsVmm(*hostile, kConnectionsPerRound));
    if (round + 1 != kRounds / 10) continue;
    worker_before = UsageAtRest();
    supervisor_before = harness::UsageOf(::getpid());
  }

  const ProcessUsage worker = UsageAtRest();
  const ProcessUsage supervisor = harness::UsageOf(::getpid());
  ExpectNoGrowth(worker_before, worker);
  ExpectNoGrowth(supervisor_before, supervisor);
  const SteadyGuest::Account neighbour = steady_->Stop();
  EXPECT_TRUE(neighbour.problem.ok()) << neighbour.problem;
  EXPECT_LT(neighbour.slowest, kSlowest);
  EXPECT_EQ(supervisor_->Get("neighbour")->restarts, 0u);
  EXPECT_EQ(supervisor_->Get("attacked")->restarts, 0u);
  EmptyAttackedShare();
  ExpectAGoodGuestIsServed();
  EXPECT_GE(sent_, kRequests);
  EXPECT_GE(granted_, kGranted);
  EXPECT_GE(connected_, kConnections);
  std::cout << sent_ << " malformed requests, of which " << granted_ << " were granted something; "
            << connected_ << " malformed connections; the neighbour: " << neighbour.requests
            << " requests, the slowest " << neighbour.slowest.count()
            << " ms\nworker: " << worker_before << ", then " << worker
            << "\nsupervisor: " << supervisor_before << ", then " << supervisor << std::endl;
}

// Protocol-facts' SIGBUS: the memory's file shrinks under the rings of a worker that runs them.
TEST_F(ChaosTest, AMemoryFileThatShrinksEndsThatWorkerAtMostAndItsExportRecovers) {
  constexpr uint64_t kShrinks = 3;
  for (uint64_t i = 0; i < kShrinks; ++i) {
    auto front_end = Attach(true);
    ASSERT_OK(front_end);
    ASSERT_OK(FuseClient(**front_end).Init());
    ASSERT_EQ(::ftruncate((*front_end)->arena().fd(), 0), 0);
    // Its ring is gone, and with it our own way to ask: the eventfd kicks all the same.
    (*front_end)->SignalKick(1);
    EXPECT_TRUE((*front_end)->WaitClosed());
    front_end->reset();
    ASSERT_OK(supervisor_->WaitFor("attacked", [i](const ExportView& view) {
      return view.restarts == i + 1 && view.state == ExportState::kListening;
    }));
  }

  ExpectAGoodGuestIsServed();
  const SteadyGuest::Account neighbour = steady_->Stop();
  EXPECT_TRUE(neighbour.problem.ok()) << neighbour.problem;
  EXPECT_LT(neighbour.slowest, kSlowest);
  EXPECT_EQ(supervisor_->Get("neighbour")->restarts, 0u);
}

}  // namespace
}  // namespace fsd
