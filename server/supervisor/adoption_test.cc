// A supervisor that ends and leaves its workers running, and the next one, which adopts them. Here
// both are one process, whose children the workers are; tests/integration has two.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <future>
#include <optional>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "server/os/unix_socket.h"
#include "server/supervisor/error_reason.h"
#include "server/supervisor/export_store.h"
#include "server/supervisor/supervisor_fixture.h"

namespace fsd::supervisor {
namespace {

using internal::ExportSpec;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Optional;

auto HasReason(const std::string& reason) { return Contains(Field(&Condition::reason, reason)); }

bool Runs(pid_t pid) { return ::kill(pid, 0) == 0; }
// Until a supervisor, whose child it is, has reaped it.
void AwaitEnd(pid_t pid) {
  while (Runs(pid)) ::usleep(1000);
}

class AdoptionTest : public SupervisorTest {
 protected:
  AdoptionTest() { config_.workers = Config::Workers::kKeep; }
  ~AdoptionTest() override {
    if (running_ != nullptr && !ended_) {
      for (const ExportView& view : running_->List()) {
        EXPECT_TRUE(running_->Delete(view.record.spec().id(), /*force=*/true).ok());
      }
    }
    running_.reset();
    for (const pid_t pid : left_) {
      if (pid > 0 && ::kill(pid, SIGKILL) == 0) ::waitpid(pid, nullptr, 0);
    }
    EXPECT_TRUE(HasNoChild());
  }

  // The worker of a new export, of the supervisor that runs.
  pid_t Make(const ExportSpec& spec) {
    if (running_ == nullptr) Start();
    left_.push_back(running_->Create(spec)->worker_pid);
    return left_.back();
  }
  // The present supervisor ends, and leaves its workers running.
  void End() {
    running_->Stop();
    ended_ = true;
  }
  RunningSupervisor& Next() {
    End();
    ended_ = false;
    return Start();
  }

  ExportSample Sample(const std::string& id) {
    std::promise<ExportSample> promise;
    running_->supervisor().SampleExport(
        id, [&promise](absl::StatusOr<ExportSample> sample) { promise.set_value(*sample); });
    return promise.get_future().get();
  }

  std::vector<pid_t> left_;
  bool ended_ = false;
};

TEST_F(AdoptionTest, AGuestStaysMountedAndItsWorkerIsTheSame) {
  const pid_t worker = Make(SpecOf("web"));
  const os::UniqueFd front_end = Connect("web");
  Write(front_end, 'm');
  running_->Await("web", ExportState::kMounted);

  const ExportView adopted = Next().Await("web", ExportState::kMounted);

  EXPECT_EQ(adopted.worker_pid, worker);
  EXPECT_THAT(adopted.conditions, IsEmpty());
  EXPECT_EQ(adopted.restarts, 0u);
  EXPECT_TRUE(Answers(front_end));
}

TEST_F(AdoptionTest, ManySupervisorsAfterOneAnotherAdoptTheSameWorkerAndKeepNothing) {
  const pid_t worker = Make(SpecOf("web"));
  const os::UniqueFd front_end = Connect("web");
  running_->Await("web", ExportState::kConnected);
  const size_t fds = CountOpenFds();
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(Next().Await("web", ExportState::kConnected).worker_pid, worker);
  }
  while (CountOpenFds() > fds) {  // those of the background are closed in a moment
  }
  EXPECT_TRUE(Answers(front_end));
}

TEST_F(AdoptionTest, WhoConnectsWhileThereIsNoSupervisorIsServed) {
  Make(SpecOf("web"));
  End();
  const os::UniqueFd front_end = Connect("web");
  EXPECT_TRUE(Answers(front_end));
  Next().Await("web", ExportState::kConnected);
  EXPECT_TRUE(Answers(front_end));
}

TEST_F(AdoptionTest, CountsGoOn) {
  Make(SpecOf("web"));
  const ExportSample before = Sample("web");
  struct stat counted {};
  ASSERT_EQ(::fstat(before.counters->get(), &counted), 0);
  Connect("web");
  running_->Await("web", ExportState::kConnected);
  running_->Await("web", ExportState::kListening);

  Next().Await("web", ExportState::kListening);

  const ExportSample after = Sample("web");
  struct stat counting {};
  ASSERT_EQ(::fstat(after.counters->get(), &counting), 0);
  EXPECT_EQ(counting.st_ino, counted.st_ino);
  EXPECT_EQ(after.counted_since, before.counted_since);
  EXPECT_EQ(after.counted_queues, before.counted_queues);
}

TEST_F(AdoptionTest, RestartsAreCountedOn) {
  Make(SpecOf("web"));
  ASSERT_TRUE(running_->RestartWorker("web").ok());
  Next().Await("web", ExportState::kListening);
  EXPECT_EQ(running_->Get("web")->restarts, 1u);
}

TEST_F(AdoptionTest, AnAdoptedWorkerThatDiesIsReplacedBehindTheSameSocket) {
  const pid_t worker = Make(SpecOf("web"));
  const ino_t socket = InodeOf(SocketOf("web"));
  auto& second = Next();
  second.Await("web", ExportState::kListening);
  // Nobody takes this front-end off the backlog but the next worker.
  ASSERT_EQ(::kill(worker, SIGSTOP), 0);
  const os::UniqueFd waiting = Connect("web");
  ASSERT_EQ(::kill(worker, SIGKILL), 0);

  const ExportView recovering = second.Await("web", ExportState::kRecovering);

  EXPECT_THAT(recovering.conditions,
              Contains(AllOf(Field(&Condition::reason, "WORKER_CRASHED"),
                             Field(&Condition::message, HasSubstr("killed by signal 9")))));
  EXPECT_TRUE(Answers(waiting));
  EXPECT_EQ(InodeOf(SocketOf("web")), socket);
  const ExportView replaced = *second.Get("web");
  EXPECT_NE(replaced.worker_pid, worker);
  EXPECT_EQ(replaced.restarts, 1u);
}

TEST_F(AdoptionTest, AnAdoptedWorkerDoesAllThatItIsTold) {
  const pid_t worker = Make(SpecOf("web"));
  auto& second = Next();
  second.Await("web", ExportState::kListening);

  EXPECT_EQ(second.Drain("web")->state, ExportState::kDraining);
  EXPECT_EQ(second.Resume("web")->state, ExportState::kListening);
  const os::UniqueFd front_end = Connect("web");
  second.Await("web", ExportState::kConnected);
  EXPECT_EQ(second.Disconnect("web")->state, ExportState::kListening);
  ASSERT_TRUE(second.RestartWorker("web").ok());
  EXPECT_NE(second.Get("web")->worker_pid, worker);
  EXPECT_TRUE(Answers(Connect("web")));
  EXPECT_TRUE(second.Delete("web", /*force=*/true).ok());
  EXPECT_TRUE(HasNoChild());
  EXPECT_FALSE(Exists("/run/exports/web.sock"));
  EXPECT_FALSE(Exists("/run/control/web.sock"));
}

TEST_F(AdoptionTest, DeletingAnAdoptedExportEndsItsWorkerAndRemovesItsSockets) {
  const pid_t worker = Make(SpecOf("web"));
  auto& second = Next();
  second.Await("web", ExportState::kListening);
  EXPECT_TRUE(second.Delete("web").ok());
  EXPECT_FALSE(Runs(worker));
  EXPECT_FALSE(Exists("/run/exports/web.sock"));
  EXPECT_FALSE(Exists("/run/control/web.sock"));
  EXPECT_FALSE(Exists("/state/exports/web"));
}

TEST_F(AdoptionTest, ASupervisorThatStopsItsWorkersStopsAdoptedOnesToo) {
  const pid_t worker = Make(SpecOf("web"));
  config_.workers = Config::Workers::kStop;
  auto& second = Next();
  second.Await("web", ExportState::kListening);
  End();
  EXPECT_FALSE(Runs(worker));
  EXPECT_FALSE(Exists("/run/exports/web.sock"));
}

TEST_F(AdoptionTest, AnExportGoesOnDraining) {
  Make(SpecOf("web"));
  ASSERT_TRUE(running_->Drain("web").ok());
  auto& second = Next();
  second.Await("web", ExportState::kDraining);
  EXPECT_EQ(second.Resume("web")->state, ExportState::kListening);
  EXPECT_TRUE(Answers(Connect("web")));
}

TEST_F(AdoptionTest, AWaitedForDrainThatNobodyAnswersForEndsWithItsSupervisor) {
  Make(SpecOf("web", "drains"));  // as one that was told, by a supervisor that was killed then
  auto& second = Next();
  second.Await("web", [](const ExportView& view) {
    return view.state == ExportState::kListening && !view.worker.draining();
  });
  EXPECT_TRUE(Answers(Connect("web")));
}

TEST_F(AdoptionTest, AWorkerIsToldThePresentLogLevel) {
  Make(SpecOf("web"));
  config_.log_level = telemetry::LogLevel::kError;
  Next().Await("web", ExportState::kListening);
  ASSERT_TRUE(running_->Drain("web").ok());  // told later, and answered
  EXPECT_EQ(std::filesystem::read_symlink(root_ + "/srv/level"),
            std::to_string(static_cast<int>(telemetry::LogLevel::kError)));
}

TEST_F(AdoptionTest, WhatAnUpdateLeftForTheNextWorkerIsStillDoneWhenTheFrontEndLeaves) {
  const pid_t worker = Make(SpecOf("web"));
  os::UniqueFd front_end = Connect("web");
  running_->Await("web", ExportState::kConnected);
  ASSERT_TRUE(running_
                  ->Update("web",
                           [](const internal::ExportRecord& record) {
                             ExportSpec spec = record.spec();
                             spec.set_cache(ExportSpec::CACHE_ALWAYS);
                             return spec;
                           })
                  .ok());

  auto& second = Next();
  const ExportView adopted = second.Await("web", ExportState::kConnected);
  EXPECT_EQ(adopted.worker_pid, worker);
  EXPECT_THAT(adopted.conditions,
              Contains(AllOf(Field(&Condition::reason, "UPDATE_PENDING"),
                             Field(&Condition::message, HasSubstr("cache.policy")))));
  front_end.reset();
  const os::UniqueFd next = Connect("web");

  EXPECT_THAT(Ask(next, 'c'), Optional(static_cast<char>('0' + ExportSpec::CACHE_ALWAYS)));
  EXPECT_THAT(second.Get("web")->conditions, IsEmpty());
  EXPECT_FALSE(Runs(worker));
}

TEST_F(AdoptionTest, AWorkerThatRetiresForWhatHasBeenTakenBackIsReplaced) {
  const pid_t worker = Make(SpecOf("web", "retires"));  // as told by a supervisor that is gone
  auto& second = Next();
  second.Await("web", [worker](const ExportView& view) {
    return view.state == ExportState::kListening && view.worker_pid != worker;
  });
  EXPECT_TRUE(Answers(Connect("web")));
}

TEST_F(AdoptionTest, TheLimitsOfTheRecordAreTold) {
  const pid_t worker = Make(SpecOf("web"));
  End();
  running_.reset();
  {  // as if it had ended between recording an update and telling of it
    ExportStore store = *ExportStore::Open(config_.state_dir);
    internal::ExportRecord record = store.LoadAll()->at(0);
    record.mutable_spec()->mutable_qos()->mutable_total()->set_operations_per_second(7);
    ASSERT_TRUE(store.Replace(record).ok());
  }

  ended_ = false;
  const ExportView adopted = Start().Await("web", [](const ExportView& view) {
    return view.worker.qos().total().operations_per_second() == 7;
  });

  EXPECT_EQ(adopted.worker_pid, worker);
  EXPECT_THAT(adopted.conditions, IsEmpty());
}

TEST_F(AdoptionTest, AnotherThresholdOfSlowRequestsIsToldAtOnce) {
  Make(SpecOf("web"));
  config_.slow_request += absl::Seconds(1);

  auto& second = Next();

  EXPECT_THAT(second.Await("web", ExportState::kListening).conditions, IsEmpty());
  EXPECT_EQ(Sample("web").slow_request, config_.slow_request);
  // It has read what it was told before it is stopped.
  ASSERT_TRUE(second.RestartWorker("web").ok());
  EXPECT_EQ(std::filesystem::read_symlink(root_ + "/srv/slow"),
            std::to_string(absl::ToInt64Nanoseconds(config_.slow_request)));
}

TEST_F(AdoptionTest, AWorkerWithoutARecordIsEndedAndItsSocketsRemoved) {
  ExportSpec spec = SpecOf("web");
  spec.set_socket_path(root_ + "/vms/web.sock");
  const pid_t worker = Make(spec);
  Make(SpecOf("db"));
  End();
  ASSERT_EQ(::unlink((root_ + "/state/exports/web").c_str()), 0);

  auto& second = Next();
  second.Await("db", ExportState::kListening);
  AwaitEnd(worker);
  // Its name can be had again.
  while (second.Create(spec).status().code() == absl::StatusCode::kFailedPrecondition) {
  }
  EXPECT_EQ(second.Get("web")->state, ExportState::kListening);
  EXPECT_EQ(second.List().size(), 2u);
}

TEST_F(AdoptionTest, SocketsOfAWorkerThatIsGoneWithItsRecordAreRemoved) {
  const pid_t worker = Make(SpecOf("web"));
  Make(SpecOf("db"));
  End();
  ASSERT_EQ(::unlink((root_ + "/state/exports/web").c_str()), 0);
  ::kill(worker, SIGKILL);
  ::waitpid(worker, nullptr, 0);
  Next().Await("db", ExportState::kListening);
  EXPECT_FALSE(Exists("/run/exports/web.sock"));
  EXPECT_FALSE(Exists("/run/control/web.sock"));
}

TEST_F(AdoptionTest, AWorkerOfAnotherIncarnationIsReplaced) {
  const std::string record = root_ + "/state/exports/web";
  Make(SpecOf("web"));
  std::filesystem::copy_file(record, root_ + "/kept");
  ASSERT_TRUE(running_->Delete("web").ok());
  const pid_t worker = Make(SpecOf("web"));
  End();
  // As from a backup.
  std::filesystem::copy_file(root_ + "/kept", record,
                             std::filesystem::copy_options::overwrite_existing);

  auto& last = Next();

  EXPECT_THAT(last.Await("web", ExportState::kRecovering).conditions,
              Contains(Field(&Condition::message, HasSubstr("speaks for another export"))));
  EXPECT_NE(last.Await("web", ExportState::kListening).worker_pid, worker);
}

TEST_F(AdoptionTest, WhatTheConfigurationNoLongerAllowsIsNotServedOn) {
  const pid_t worker = Make(SpecOf("web"));
  const os::UniqueFd front_end = Connect("web");
  running_->Await("web", ExportState::kConnected);
  config_.allow_socket_uid = {{.first = 1, .last = 1}};

  auto& second = Next();

  EXPECT_THAT(second.Await("web", ExportState::kFailed).conditions,
              HasReason("SOCKET_OWNER_NOT_ALLOWED"));
  AwaitEnd(worker);
  EXPECT_TRUE(Exists("/state/exports/web"));
}

TEST_F(AdoptionTest, AHungWorkerIsReplacedAndHoldsNobodyUp) {
  const pid_t hung = Make(SpecOf("hung"));
  const pid_t other = Make(SpecOf("other"));
  ASSERT_EQ(::kill(hung, SIGSTOP), 0);
  timing_.worker.adopt = absl::Hours(1);
  auto& second = Next();
  EXPECT_EQ(second.Await("other", ExportState::kListening).worker_pid, other);
  EXPECT_EQ(second.Get("hung")->state, ExportState::kCreating);
  // Nobody knows whether a guest uses it.
  EXPECT_EQ(second.Delete("hung").code(), absl::StatusCode::kAborted);
  std::promise<absl::Status> listed;
  second.supervisor().ListInflightRequests(
      "hung",
      [&listed](const absl::StatusOr<InflightRequests>& list) { listed.set_value(list.status()); });
  EXPECT_EQ(listed.get_future().get().code(), absl::StatusCode::kUnavailable);

  timing_.worker.adopt = absl::Milliseconds(10);
  auto& third = Next();
  EXPECT_THAT(third.Await("hung", ExportState::kRecovering).conditions,
              Contains(Field(&Condition::message, HasSubstr("did not let itself be adopted"))));
  EXPECT_NE(third.Await("hung", ExportState::kListening).worker_pid, hung);
}

TEST_F(AdoptionTest, WhoeverElseListensOnTheControlSocketIsLeftAlone) {
  const pid_t worker = Make(SpecOf("web"));
  End();
  ::kill(worker, SIGKILL);
  ::waitpid(worker, nullptr, 0);
  // This process, which is no worker; a supervisor that killed it would end the test.
  const std::string control = root_ + "/run/control/web.sock";
  ASSERT_EQ(::unlink(control.c_str()), 0);
  const auto stranger = os::ListenUnix(control, os::SocketType::kSeqPacket, {});
  ASSERT_TRUE(stranger.ok());
  timing_.worker.adopt = absl::Milliseconds(100);
  EXPECT_THAT(Next().Await("web", ExportState::kFailed).conditions,
              HasReason("WORKER_NOT_ADOPTED"));
  EXPECT_TRUE(Exists("/run/control/web.sock"));
}

TEST_F(AdoptionTest, ASourceThatIsAnotherDirectoryNowIsSaidAndServedByTheNextWorker) {
  ::mkdir((root_ + "/srv/web").c_str(), 0755);
  ExportSpec spec = SpecOf("web");
  spec.set_source_path(root_ + "/srv/web");
  const pid_t worker = Make(spec);
  End();
  ::rename((root_ + "/srv/web").c_str(), (root_ + "/srv/old").c_str());
  ::mkdir((root_ + "/srv/web").c_str(), 0755);

  auto& second = Next();
  const ExportView changed = second.Await("web", [](const ExportView& view) {
    return view.state == ExportState::kListening && !view.conditions.empty();
  });
  EXPECT_THAT(changed.conditions, HasReason("SOURCE_CHANGED"));
  EXPECT_EQ(changed.worker_pid, worker);
  ASSERT_TRUE(second.RestartWorker("web").ok());
  EXPECT_THAT(second.Get("web")->conditions, IsEmpty());
}

TEST_F(AdoptionTest, ASourceThatIsGoneIsMissedOnlyWhenTheWorkerEnds) {
  ::mkdir((root_ + "/srv/web").c_str(), 0755);
  ExportSpec spec = SpecOf("web");
  spec.set_source_path(root_ + "/srv/web");
  const pid_t worker = Make(spec);
  End();
  ::rmdir((root_ + "/srv/web").c_str());

  auto& second = Next();
  second.Await("web", [](const ExportView& view) {
    return view.state == ExportState::kListening && !view.conditions.empty();
  });
  EXPECT_THAT(second.Get("web")->conditions, HasReason("SOURCE_UNAVAILABLE"));
  EXPECT_TRUE(Answers(Connect("web")));
  ::kill(worker, SIGKILL);
  EXPECT_THAT(second.Await("web", ExportState::kFailed).conditions, HasReason("SOURCE_NOT_FOUND"));
}

TEST_F(AdoptionTest, AWorkerOfTheNextReleaseIsAdopted) {
  const pid_t worker = Make(SpecOf("web", "newer"));
  const ExportView adopted = Next().Await("web", ExportState::kListening);
  EXPECT_EQ(adopted.worker_pid, worker);
  EXPECT_TRUE(Answers(Connect("web")));
}

TEST_F(AdoptionTest, AWorkerThatCountsInAnotherReleasesFileIsAdopted) {
  const pid_t worker = Make(SpecOf("web", "larger-counters"));
  const ExportView adopted = Next().Await("web", ExportState::kListening);
  EXPECT_EQ(adopted.worker_pid, worker);
  EXPECT_EQ(Sample("web").counters, nullptr) << "they begin anew with the next worker";
}

TEST_F(AdoptionTest, TwoSupervisorsCannotHaveOneRuntimeDirectory) {
  Make(SpecOf("web"));
  Config other = config_;
  other.state_dir = root_ + "/another";
  const absl::Status refused = Supervisor::Create(other).status();
  EXPECT_THAT(ReasonOf(refused), Optional(std::string("STATE_UNAVAILABLE")));
  EXPECT_THAT(std::string(refused.message()), HasSubstr(root_ + "/run"));
  EXPECT_TRUE(Answers(Connect("web")));
}

struct Misdeed {
  const char* tag;
  const char* told;
};

class HostileAdoptionTest : public AdoptionTest, public ::testing::WithParamInterface<Misdeed> {};

INSTANTIATE_TEST_SUITE_P(
    All, HostileAdoptionTest,
    ::testing::Values(Misdeed{"clams-up", "did not let itself be adopted"},
                      Misdeed{"dies-adopted", "exited with status 7"},
                      Misdeed{"another-uid", "handed over another export"},
                      Misdeed{"another-socket", "handed over another vhost-user socket"},
                      Misdeed{"no-socket", "handed over another vhost-user socket"},
                      Misdeed{"loose-counters", "handed over counters that are none"},
                      Misdeed{"many", "what is not a message"},
                      Misdeed{"bare", "another number of descriptors"},
                      Misdeed{"smuggler", "another number of descriptors"},
                      Misdeed{"ages", "speaks version 1"}),
    [](const auto& info) {
      std::string name = info.param.tag;
      std::erase(name, '-');
      return name;
    });

TEST_P(HostileAdoptionTest, IsKilledAndReplacedAndLeavesNoDescriptor) {
  if (GetParam().tag == std::string("clams-up")) timing_.worker.adopt = absl::Milliseconds(10);
  const pid_t worker = Make(SpecOf("web", GetParam().tag));
  const size_t fds = CountOpenFds();

  auto& second = Next();

  EXPECT_THAT(second.Await("web", ExportState::kRecovering).conditions,
              Contains(AllOf(Field(&Condition::reason, "WORKER_CRASHED"),
                             Field(&Condition::message, HasSubstr(GetParam().told)))));
  EXPECT_NE(second.Await("web", ExportState::kListening).worker_pid, worker);
  EXPECT_FALSE(Runs(worker));
  EXPECT_TRUE(Answers(Connect("web")));
  while (CountOpenFds() > fds) {  // they are closed on other threads
  }
}

TEST_F(AdoptionTest, OneThatHandsOverTwiceIsReplaced) {
  Make(SpecOf("web", "twice"));
  EXPECT_THAT(Next().Await("web", ExportState::kRecovering).conditions,
              Contains(Field(&Condition::message, HasSubstr("what is not a message"))));
}

TEST_F(AdoptionTest, OneThatHandsOverUnaskedIsReplaced) {
  Make(SpecOf("web", "hands-over"));
  EXPECT_THAT(running_->Await("web", ExportState::kRecovering).conditions,
              Contains(Field(&Condition::message, HasSubstr("what is not a message"))));
}

}  // namespace
}  // namespace fsd::supervisor
