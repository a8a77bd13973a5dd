#include "tests/integration/resource_attack_fixture.h"

#include <fcntl.h>
#include <sys/resource.h>

#include <chrono>
#include <cstring>
#include <filesystem>
#include <thread>
#include <utility>

#include "proto/fsd/internal/export_spec.pb.h"

namespace fsd {
namespace {

using harness::FuseReply;
using harness::ProcessUsage;
using supervisor::ExportState;

// What malloc may keep for the next guest.
constexpr size_t kSlackKib = 8192;
// So much the neighbour has to get done after an attack.
constexpr uint64_t kRequestsAfterwards = 40;

}  // namespace

void ResourceAttackTest::SetUp() {
  const rlimit limit{.rlim_cur = kOpenFiles, .rlim_max = kOpenFiles};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
  auto started = harness::RunningSupervisor::Start(
      std::filesystem::canonical("server/exe/fsd-worker").string());
  ASSERT_TRUE(started.ok()) << started.status();
  supervisor_ = *std::move(started);

  const auto neighbour = supervisor_->Create(kNeighbour);
  ASSERT_TRUE(neighbour.ok()) << neighbour.status();
  auto guest = harness::SteadyGuest::Start(neighbour->record.spec().socket_path());
  ASSERT_TRUE(guest.ok()) << guest.status();
  neighbour_ = *std::move(guest);

  std::filesystem::create_directories(supervisor_->share(kAttacker));
  internal::ExportSpec spec;
  spec.set_id(kAttacker);
  spec.set_tag(kAttacker);
  spec.set_source_path(supervisor_->share(kAttacker));
  spec.set_xattr(true);
  spec.set_shared_locks(true);
  const auto made = supervisor_->Create(std::move(spec));
  ASSERT_TRUE(made.ok()) << made.status();
  socket_ = made->record.spec().socket_path();
  worker_pid_ = made->worker_pid;
  // Once, for what a worker makes at its first guest and keeps.
  Connect();
  Create("warm");
  Disconnect();
  before_ = harness::UsageOfWorker(worker_pid_);
}

void ResourceAttackTest::TearDown() {
  if (front_end_ != nullptr) Disconnect();
  const ProcessUsage after = AwaitGivenBack();
  EXPECT_LE(after.fds, before_.fds);
  EXPECT_LE(after.anonymous_kib, before_.anonymous_kib + kSlackKib) << after;
  // The next guest is served.
  Connect();
  EXPECT_EQ(Answer(fuse_->Lookup(FUSE_ROOT_ID, "warm")).error, 0);

  const uint64_t requests = neighbour_->requests();
  const auto deadline = std::chrono::steady_clock::now() + harness::kPatience;
  while (neighbour_->requests() < requests + kRequestsAfterwards &&
         std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  const harness::SteadyGuest::Account account = neighbour_->Stop();
  EXPECT_TRUE(account.problem.ok()) << account.problem;
  EXPECT_GE(account.requests, requests + kRequestsAfterwards);
  for (const char* id : {kAttacker, kNeighbour}) {
    const auto view = supervisor_->Get(id);
    ASSERT_TRUE(view.ok());
    EXPECT_EQ(view->restarts, 0u) << "the worker of " << id << " died";
  }
}

ProcessUsage ResourceAttackTest::AwaitGivenBack() {
  const auto deadline = std::chrono::steady_clock::now() + harness::kPatience;
  ProcessUsage now = harness::UsageOfWorker(worker_pid_);
  while ((now.fds > before_.fds || now.anonymous_kib > before_.anonymous_kib + kSlackKib) &&
         std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    now = harness::UsageOfWorker(worker_pid_);
  }
  return now;
}

void ResourceAttackTest::Connect(const harness::FrontEnd::Options& options) {
  if (front_end_ != nullptr) Disconnect();
  auto connected = harness::FrontEnd::Connect(socket_, options);
  ASSERT_TRUE(connected.ok()) << connected.status();
  front_end_ = *std::move(connected);
  ASSERT_TRUE(front_end_->Start().ok());
  fuse_ = std::make_unique<harness::FuseClient>(*front_end_);
  ASSERT_TRUE(fuse_
                  ->Init(FUSE_INIT_EXT | FUSE_MAX_PAGES | FUSE_BIG_WRITES | FUSE_DO_READDIRPLUS |
                         FUSE_POSIX_LOCKS)
                  .ok());
}

void ResourceAttackTest::Disconnect() {
  fuse_.reset();
  front_end_.reset();
  ASSERT_TRUE(supervisor_->WaitFor(kAttacker, ExportState::kListening).ok());
}

FuseReply ResourceAttackTest::Answer(absl::StatusOr<FuseReply> reply) {
  EXPECT_TRUE(reply.ok()) << reply.status();
  return reply.ok() ? *std::move(reply) : FuseReply{.error = EIO, .body = {}};
}

ResourceAttackTest::File ResourceAttackTest::Create(std::string_view name) {
  const FuseReply reply = Answer(fuse_->Create(FUSE_ROOT_ID, name, 0644, O_RDWR));
  EXPECT_EQ(reply.error, 0) << name;
  if (reply.error != 0) return {};
  fuse_open_out open;
  std::memcpy(&open, reply.body.data() + sizeof(fuse_entry_out), sizeof open);
  return {.node = reply.As<fuse_entry_out>().nodeid, .handle = open.fh};
}

}  // namespace fsd
