#include "server/supervisor/export_update.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <thread>

#include "gmock/gmock.h"
#include "server/os/unix_socket.h"
#include "server/supervisor/error_reason.h"
#include "server/supervisor/fake_cgroups.h"
#include "server/supervisor/supervisor_fixture.h"

namespace fsd::supervisor {
namespace {

using internal::ExportRecord;
using internal::ExportSpec;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Optional;
using ::testing::SizeIs;

// A change by a function of the specification.
SpecChange By(std::function<void(ExportSpec&)> change) {
  return [change = std::move(change)](const ExportRecord& record) {
    ExportSpec spec = record.spec();
    change(spec);
    return absl::StatusOr<ExportSpec>(spec);
  };
}

const SpecChange kNeverCache =
    By([](ExportSpec& spec) { spec.set_cache(ExportSpec::CACHE_NEVER); });
const SpecChange kOwned = By([](ExportSpec& spec) { spec.set_owner_vm_id("7"); });

bool HasPendingUpdate(const ExportView& view) {
  return std::any_of(view.conditions.begin(), view.conditions.end(),
                     [](const Condition& c) { return c.reason == "UPDATE_PENDING"; });
}

class ExportUpdateTest : public SupervisorTest {
 protected:
  // As the worker on this connection was told.
  static ExportSpec::Cache CacheOf(const os::UniqueFd& front_end) {
    return static_cast<ExportSpec::Cache>(Ask(front_end, 'c').value_or('9') - '0');
  }
};

TEST_F(ExportUpdateTest, WhatIsRecordedOnlyIsLiveAndLeavesTheWorkerAlone) {
  auto& supervisor = Start();
  const auto before = supervisor.Create(SpecOf("web"));

  const auto updated = supervisor.Update("web", kOwned);

  ASSERT_TRUE(updated.ok()) << updated.status();
  ASSERT_THAT(updated->changed, SizeIs(1));
  EXPECT_EQ(updated->changed[0].name, "owner.vm_id");
  EXPECT_EQ(updated->changed[0].effect, ChangeEffect::kLive);
  const auto after = supervisor.Get("web");
  EXPECT_EQ(after->record.spec().owner_vm_id(), "7");
  EXPECT_GT(after->record.update_time_unix_nanos(), before->record.update_time_unix_nanos());
  EXPECT_EQ(after->worker_pid, before->worker_pid);
  supervisor.Await("web",
                   [](const ExportView& view) { return view.record.spec().owner_vm_id() == "7"; });
}

TEST_F(ExportUpdateTest, LimitsAreLiveAndAnsweredWhenTheWorkerHasThem) {
  auto& supervisor = Start();
  const pid_t worker = supervisor.Create(SpecOf("web"))->worker_pid;
  const os::UniqueFd front_end = Connect("web");

  for (const uint64_t limit : {4096, 0, 8192}) {
    const auto updated =
        supervisor.Update("web", By([limit](ExportSpec& spec) {
                            spec.clear_qos();
                            if (limit == 0) return;
                            spec.mutable_qos()->mutable_read()->set_bytes_per_second(limit);
                          }));
    ASSERT_TRUE(updated.ok()) << updated.status();
    EXPECT_EQ(updated->changed.at(0).effect, ChangeEffect::kLive);
    EXPECT_EQ(updated->view.worker.qos().read().bytes_per_second(), limit);
  }
  EXPECT_TRUE(Answers(front_end));
  EXPECT_EQ(supervisor.Get("web")->worker_pid, worker);
}

TEST_F(ExportUpdateTest, AWorkerThatFollowsHasTheLimits) {
  auto& supervisor = Start();
  const pid_t worker = supervisor.Create(SpecOf("web"))->worker_pid;
  ASSERT_TRUE(supervisor
                  .Update("web", By([](ExportSpec& spec) {
                            spec.mutable_qos()->mutable_total()->set_operations_per_second(7);
                          }))
                  .ok());

  const auto restarted = supervisor.RestartWorker("web");

  ASSERT_TRUE(restarted.ok()) << restarted.status();
  EXPECT_NE(restarted->worker_pid, worker);
  EXPECT_EQ(restarted->worker.qos().total().operations_per_second(), 7u);
}

TEST_F(ExportUpdateTest, AnIdleExportsWorkerIsExchangedForWhatItReadsAtItsStart) {
  auto& supervisor = Start();
  const pid_t worker = supervisor.Create(SpecOf("web"))->worker_pid;

  const auto updated = supervisor.Update("web", kNeverCache);

  ASSERT_TRUE(updated.ok()) << updated.status();
  EXPECT_EQ(updated->changed.at(0).effect, ChangeEffect::kNextConnection);
  // Whoever connects, whenever, is served by it.
  EXPECT_EQ(CacheOf(Connect("web")), ExportSpec::CACHE_NEVER);
  EXPECT_NE(supervisor.Get("web")->worker_pid, worker);
}

TEST_F(ExportUpdateTest, AConnectedFrontEndIsLeftAloneAndTheNextOneHasTheChange) {
  auto& supervisor = Start();
  ASSERT_TRUE(supervisor.Create(SpecOf("web")).ok());
  os::UniqueFd front_end = Connect("web");
  supervisor.Await("web", ExportState::kConnected);

  ASSERT_TRUE(supervisor.Update("web", kNeverCache).ok());
  ASSERT_TRUE(
      supervisor.Update("web", By([](ExportSpec& spec) { spec.set_read_only(true); })).ok());

  EXPECT_EQ(CacheOf(front_end), ExportSpec::CACHE_AUTO);
  const auto view = supervisor.Get("web");
  ASSERT_THAT(view->conditions, SizeIs(1));
  EXPECT_EQ(view->conditions[0].reason, "UPDATE_PENDING");
  EXPECT_THAT(view->conditions[0].message, HasSubstr("cache.policy, read_only"));
  front_end.reset();
  EXPECT_EQ(CacheOf(Connect("web")), ExportSpec::CACHE_NEVER);
  EXPECT_THAT(supervisor.Get("web")->conditions, IsEmpty());
}

TEST_F(ExportUpdateTest, AnUpdateSurvivesTheSupervisor) {
  auto* supervisor = &Start();
  const auto created = supervisor->Create(SpecOf("web"));
  ASSERT_TRUE(supervisor->Update("web", kNeverCache).ok());
  supervisor->Stop();

  supervisor = &Start();

  supervisor->Await("web", ExportState::kListening);
  const auto view = supervisor->Get("web");
  EXPECT_EQ(view->record.uid(), created->record.uid());
  EXPECT_EQ(view->record.spec().cache(), ExportSpec::CACHE_NEVER);
  EXPECT_FALSE(HasPendingUpdate(*view));
  EXPECT_EQ(CacheOf(Connect("web")), ExportSpec::CACHE_NEVER);
}

TEST_F(ExportUpdateTest, WhatCannotChangeIsNamedAndNothingOfTheUpdateIsDone) {
  auto& supervisor = Start();
  ASSERT_TRUE(supervisor.Create(SpecOf("web")).ok());

  const auto updated = supervisor.Update("web", By([this](ExportSpec& spec) {
                                           spec.set_tag("other");
                                           spec.set_socket_path(SocketOf("other"));
                                           spec.set_owner_vm_id("7");
                                         }));

  EXPECT_EQ(updated.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(ReasonOf(updated.status()), Optional(std::string("FIELD_NOT_LIVE")));
  EXPECT_THAT(std::string(updated.status().message()), HasSubstr("tag, socket.path cannot"));
  EXPECT_EQ(supervisor.Get("web")->record.spec().owner_vm_id(), "");
}

mode_t ModeOf(const std::string& path) {
  struct stat info {};
  EXPECT_EQ(::lstat(path.c_str(), &info), 0);
  return info.st_mode & 07777;
}

const SpecChange kForAll = By([](ExportSpec& spec) { spec.set_socket_mode(0666); });

TEST_F(ExportUpdateTest, WhoMayConnectChangesAtOnceAndWhoIsConnectedStays) {
  auto& supervisor = Start();
  const pid_t worker = supervisor.Create(SpecOf("web"))->worker_pid;
  const os::UniqueFd front_end = Connect("web");
  supervisor.Await("web", ExportState::kConnected);

  const auto updated = supervisor.Update("web", kForAll);

  ASSERT_TRUE(updated.ok()) << updated.status();
  EXPECT_EQ(updated->changed.at(0).effect, ChangeEffect::kLive);
  EXPECT_EQ(ModeOf(SocketOf("web")), 0666u);
  EXPECT_TRUE(Answers(front_end));
  EXPECT_EQ(supervisor.Get("web")->worker_pid, worker);
  supervisor.Stop();
  Start().Await("web", ExportState::kListening);
  EXPECT_EQ(ModeOf(SocketOf("web")), 0666u);
}

TEST_F(ExportUpdateTest, ASocketThatIsNoLongerThereRefusesTheWholeUpdate) {
  auto& supervisor = Start();
  ASSERT_TRUE(supervisor.Create(SpecOf("web")).ok());
  ASSERT_EQ(::rename(SocketOf("web").c_str(), (root_ + "/moved").c_str()), 0);
  const auto foreign = os::ListenUnix(SocketOf("web"), os::SocketType::kStream, {.mode = 0600});

  const auto updated = supervisor.Update("web", By([](ExportSpec& spec) {
                                           spec.set_socket_mode(0666);
                                           spec.set_owner_vm_id("7");
                                         }));

  EXPECT_EQ(ModeOf(SocketOf("web")), 0600u) << "another's socket";
  // The kernel tells root which file the socket is, wherever that has gone.
  if (updated.ok()) {
    EXPECT_EQ(ModeOf(root_ + "/moved"), 0666u);
  } else {
    EXPECT_THAT(ReasonOf(updated.status()), Optional(std::string("SOCKET_IN_USE")));
    EXPECT_EQ(supervisor.Get("web")->record.spec().owner_vm_id(), "");
  }
}

TEST_F(ExportUpdateTest, AChangeThatCannotBeRecordedIsTakenBack) {
  auto& supervisor = Start();
  ASSERT_TRUE(supervisor.Create(SpecOf("web")).ok());
  std::filesystem::remove_all(root_ + "/state/exports");

  EXPECT_THAT(ReasonOf(supervisor.Update("web", kForAll).status()),
              Optional(std::string("STATE_UNAVAILABLE")));

  EXPECT_EQ(ModeOf(SocketOf("web")), 0600u);
  EXPECT_EQ(supervisor.Get("web")->record.spec().socket_mode(), 0600u);
}

TEST_F(ExportUpdateTest, LimitsOfAWorkerThatRunsChangeAtOnce) {
  const FakeCgroups cgroups;
  cgroups.AddExport("web");
  config_.cgroup = cgroups.root();
  auto& supervisor = Start();
  ExportSpec spec = SpecOf("web");
  spec.mutable_limits()->set_threads(64);
  const pid_t worker = supervisor.Create(spec)->worker_pid;
  ASSERT_EQ(cgroups.Read("export-web/pids.max"), "64");
  cgroups.Write("export-web/cgroup.procs", std::to_string(worker) + "\n");

  const auto updated = supervisor.Update("web", By([](ExportSpec& changed) {
                                           changed.mutable_limits()->clear_threads();
                                           changed.mutable_limits()->set_memory_bytes(1 << 30);
                                         }));

  ASSERT_TRUE(updated.ok()) << updated.status();
  EXPECT_EQ(updated->changed.size(), 2u);
  EXPECT_EQ(cgroups.Read("export-web/pids.max"), "max");
  // Nobody waits for it, as memory may have to be given back first.
  const auto await_memory_max = [&cgroups](const std::string& wanted) {
    while (cgroups.Read("export-web/memory.max") != wanted) std::this_thread::yield();
  };
  await_memory_max("1073741824");
  EXPECT_THAT(updated->view.conditions, IsEmpty());
  EXPECT_EQ(supervisor.Get("web")->worker_pid, worker);
  ASSERT_TRUE(
      supervisor.Update("web", By([](ExportSpec& changed) { changed.clear_limits(); })).ok());
  await_memory_max("max");
}

TEST_F(ExportUpdateTest, ALimitThatTheHostDoesNotTakeIsRecordedAndReportedUntilItIsGone) {
  const FakeCgroups cgroups;
  cgroups.AddExport("web");
  config_.cgroup = cgroups.root();
  auto& supervisor = Start();
  const pid_t worker = supervisor.Create(SpecOf("web"))->worker_pid;
  cgroups.Write("export-web/cgroup.procs", std::to_string(worker) + "\n");
  cgroups.MakeUnwritable("export-web/cpu.max");

  const auto updated =
      supervisor.Update("web", By([](ExportSpec& changed) {
                          changed.mutable_limits()->set_cpu_microseconds_per_second(500'000);
                        }));

  ASSERT_TRUE(updated.ok()) << updated.status();
  ASSERT_THAT(updated->view.conditions, SizeIs(1));
  EXPECT_EQ(updated->view.conditions[0].reason, "LIMITS_NOT_ENFORCED");
  EXPECT_THAT(updated->view.conditions[0].message,
              HasSubstr("cpu_microseconds_per_second: write 50000 100000 to cpu.max: "));
  EXPECT_EQ(supervisor.Get("web")->record.spec().limits().cpu_microseconds_per_second(), 500'000u);

  cgroups.Remove("export-web/cpu.max");
  cgroups.Write("export-web/cpu.max", "");
  ASSERT_TRUE(
      supervisor.Update("web", By([](ExportSpec& changed) { changed.clear_limits(); })).ok());
  EXPECT_THAT(supervisor.Get("web")->conditions, IsEmpty());
}

TEST_F(ExportUpdateTest, WhatTheConfigurationForbidsIsRefused) {
  auto& supervisor = Start();
  ASSERT_TRUE(supervisor.Create(SpecOf("web")).ok());
  const auto updated = supervisor.Update(
      "web", By([](ExportSpec& spec) { spec.set_sandbox_mode(ExportSpec::SANDBOX_NONE); }));
  EXPECT_THAT(ReasonOf(updated.status()), Optional(std::string("SANDBOX_NOT_ALLOWED")));
}

TEST_F(ExportUpdateTest, ValidatingOnlyShowsWhatWouldBeAndDoesNothing) {
  auto& supervisor = Start();
  ASSERT_TRUE(supervisor.Create(SpecOf("web")).ok());

  const auto updated = supervisor.Update("web", kNeverCache, /*validate_only=*/true);

  ASSERT_TRUE(updated.ok()) << updated.status();
  EXPECT_EQ(updated->view.record.spec().cache(), ExportSpec::CACHE_NEVER);
  EXPECT_THAT(updated->changed, SizeIs(1));
  EXPECT_EQ(supervisor.Get("web")->record.spec().cache(), ExportSpec::CACHE_AUTO);
}

TEST_F(ExportUpdateTest, AnUpdateToWhatIsChangesNothing) {
  auto& supervisor = Start();
  const auto created = supervisor.Create(SpecOf("web"));
  const auto updated = supervisor.Update("web", By([](ExportSpec&) {}));
  ASSERT_TRUE(updated.ok());
  EXPECT_THAT(updated->changed, IsEmpty());
  EXPECT_EQ(updated->view.record.SerializeAsString(), created->record.SerializeAsString());
}

TEST_F(ExportUpdateTest, AMissingExportIsNotFound) {
  EXPECT_EQ(Start().Update("web", kOwned).status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace fsd::supervisor
