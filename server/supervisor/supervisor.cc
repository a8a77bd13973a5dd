#include "server/supervisor/supervisor.h"

#include <atomic>
#include <cerrno>
#include <map>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/errors/status_macros.h"
#include "server/supervisor/cgroup_subtree.h"
#include "server/supervisor/error_reason.h"
#include "server/supervisor/event_loop.h"
#include "server/supervisor/export.h"
#include "server/supervisor/export_difference.h"
#include "server/supervisor/export_registry.h"
#include "server/supervisor/export_spec.h"
#include "server/supervisor/export_store.h"
#include "server/supervisor/export_waits.h"
#include "server/supervisor/host_preparation.h"
#include "server/supervisor/maintenance.h"
#include "server/supervisor/operation.h"
#include "server/supervisor/restoration.h"
#include "server/supervisor/source_directory.h"
#include "server/supervisor/user_namespaces.h"
#include "server/telemetry/log.h"

namespace fsd::supervisor {
namespace {

using internal::ExportRecord;
using internal::ExportSpec;

class SupervisorImpl final : public Supervisor {
 public:
  SupervisorImpl(Config config, const Timing& timing, std::unique_ptr<EventLoop> loop,
                 ExportStore store, os::UniqueFd runtime_directory,
                 std::unique_ptr<CgroupSubtree> cgroups)
      : config_(std::move(config)),
        timing_(timing),
        loop_(std::move(loop)),
        store_(std::move(store)),
        runtime_directory_(std::move(runtime_directory)),
        user_namespaces_(config_.subordinate_ids),
        cgroups_(std::move(cgroups)),
        log_level_(config_.log_level),
        surroundings_{.loop = *loop_,
                      .config = config_,
                      .timing = timing_,
                      .user_namespaces = user_namespaces_,
                      .cgroups = cgroups_.get(),
                      .log_level = log_level_,
                      .shutting_down = stopping_,
                      .changed = [this](const Export& changed) { Tell(changed); }},
        waits_(*loop_, registry_),
        maintenance_({.loop = *loop_,
                      .config = config_,
                      .timing = timing_,
                      .store = store_,
                      .exports = registry_,
                      .operations = operations_,
                      .waits = waits_}),
        restoration_({.loop = *loop_,
                      .config = config_,
                      .timing = timing_,
                      .exports = registry_,
                      .cgroups = cgroups_.get()}) {}

  absl::Status LoadRecords();

  void Run() override;
  void Shutdown() override {
    const int interrupted_errno = errno;
    shutdown_.store(true);
    loop_->queue()->Wake();
    errno = interrupted_errno;
  }
  void CreateExport(ExportSpec spec, std::string request_id, bool validate_only,
                    Callback<ExportView> done) override;
  void GetExport(std::string id, Callback<ExportView> done) override;
  void ListExports(Callback<std::vector<ExportView>> done) override;
  void SampleExport(std::string id, Callback<ExportSample> done) override;
  void SampleExports(Callback<std::vector<ExportSample>> done) override;
  void ListInflightRequests(std::string id, Callback<InflightRequests> done) override;
  void DeleteExport(ExportTarget target, Deletion deletion, StatusCallback done) override;
  void UpdateExport(std::string id, SpecChange change, bool validate_only,
                    Callback<UpdatedExport> done) override;
  void DrainExport(ExportTarget target, std::optional<DrainWait> wait,
                   Callback<ExportView> done) override;
  void ResumeExport(ExportTarget target, Callback<ExportView> done) override;
  void DisconnectExport(ExportTarget target, Callback<ExportView> done) override;
  void RestartWorker(ExportTarget target, bool force, Callback<ExportView> done) override;
  void SetLogLevel(telemetry::LogLevel level, Callback<telemetry::LogLevel> done) override;
  std::string CgroupDirectory() const override {
    return cgroups_ == nullptr ? "" : cgroups_->directory();
  }
  void SetHeartbeat(absl::Duration period, std::function<void()> beat) override {
    heartbeat_period_ = period;
    heartbeat_ = std::move(beat);
  }
  void SetObserver(std::function<void(const ExportView&)> observer) override {
    observer_ = std::move(observer);
  }

 private:
  // Runs `task` on the loop, or `done` with SHUTTING_DOWN at once if the loop has ended.
  void OnLoop(Task task, const StatusCallback& done) {
    if (!loop_->queue()->Post(std::move(task))) done(ShuttingDownError());
  }
  void Tell(const Export& changed) {
    if (observer_ != nullptr) observer_(changed.View());
    waits_.OnChanged(changed.id());
  }
  // The export that a call may change: there, as the target wants it, and without an operation
  // unless that waits for a drain and `may_drain`.
  absl::StatusOr<Export*> Take(const ExportTarget& target, bool may_drain = false);
  // One whose removal has not failed half way, and whose worker is known, besides.
  absl::StatusOr<Export*> TakeServed(const ExportTarget& target, bool may_drain = false);

  void Beat() {
    heartbeat_();
    loop_->CallAfter(heartbeat_period_, [this] { Beat(); });
  }

  void Create(ExportSpec spec, std::string request_id, bool validate_only,
              Callback<ExportView> done);
  // The export of this id, if it exists already, as an answer.
  std::optional<absl::StatusOr<ExportView>> AnswerFromExisting(const ExportSpec& spec);
  void ValidateOnly(ExportSpec spec, Callback<ExportView> done);
  void OnSourceForCreate(const std::string& id, const std::string& uid,
                         absl::StatusOr<os::UniqueFd> source);
  void OnStarted(const std::string& id, const absl::Status& status);
  void FailCreate(const std::string& id, const absl::Status& why);
  void Delete(const ExportTarget& target, const Deletion& deletion, StatusCallback done);
  void OnDrainedForRemoval(const std::string& id, const absl::Status& status);
  // Stops what runs of it, then FinishRemoval. Its operation is there.
  void Remove(Export& removed);
  void FinishRemoval(const std::string& id);
  // Grants the removal `time` from now on.
  void BoundRemoval(const std::string& id, absl::Duration time);
  void OnStuck(const std::string& id);
  // The export of this incarnation, unless it is being removed.
  Export* FindCreating(const std::string& id, const std::string& uid) const;
  void StopEverything();

  const Config config_;
  const Timing timing_;
  const std::unique_ptr<EventLoop> loop_;
  ExportStore store_;
  const os::UniqueFd runtime_directory_;  // holds the lock
  UserNamespaces user_namespaces_;
  const std::unique_ptr<CgroupSubtree> cgroups_;  // null: none to divide
  telemetry::LogLevel log_level_;
  const Export::Surroundings surroundings_;
  ExportRegistry registry_;
  std::map<std::string, Operation> operations_;  // by export id
  ExportWaits waits_;
  Maintenance maintenance_;
  Restoration restoration_;
  std::function<void(const ExportView&)> observer_;
  absl::Duration heartbeat_period_;
  std::function<void()> heartbeat_;
  std::atomic<bool> shutdown_{false};
  bool stopping_ = false;
};

absl::Status SupervisorImpl::LoadRecords() {
  FSD_ASSIGN_OR_RETURN(std::vector<ExportRecord> records, store_.LoadAll());
  for (ExportRecord& record : records) {
    registry_.Add(
        std::make_unique<Export>(surroundings_, std::move(record), Export::Origin::kStore));
  }
  return absl::OkStatus();
}

void SupervisorImpl::Run() {
  restoration_.Begin();
  if (heartbeat_ != nullptr) Beat();
  while (!shutdown_.load()) loop_->RunOnce();
  StopEverything();
}

Export* SupervisorImpl::FindCreating(const std::string& id, const std::string& uid) const {
  Export* const found = registry_.Find(id);
  const bool is_it =
      found != nullptr && found->record().uid() == uid && found->state() == ExportState::kCreating;
  return is_it ? found : nullptr;
}

void SupervisorImpl::CreateExport(ExportSpec spec, std::string request_id, bool validate_only,
                                  Callback<ExportView> done) {
  OnLoop([this, spec, request_id, validate_only,
          done] { Create(spec, request_id, validate_only, done); },
         done);
}

void SupervisorImpl::Create(ExportSpec spec, std::string request_id, bool validate_only,
                            Callback<ExportView> done) {
  if (stopping_) return done(ShuttingDownError());
  if (const absl::Status status = CompleteExportSpec(config_, spec); !status.ok()) {
    return done(status);
  }
  if (auto answer = AnswerFromExisting(spec)) return done(*std::move(answer));
  if (const Export* const other = registry_.FindBySocket(spec.socket_path())) {
    return done(ReasonedError(
        absl::StatusCode::kFailedPrecondition, ErrorReason::kSocketInUse,
        absl::StrCat("socket ", spec.socket_path(), ": it is export ", other->id(), "'s")));
  }
  if (validate_only) return ValidateOnly(std::move(spec), std::move(done));

  Export& added = registry_.Add(std::make_unique<Export>(
      surroundings_, NewExportRecord(std::move(spec), std::move(request_id)),
      Export::Origin::kClient));
  const std::string id = added.id();
  Operation& operation =
      operations_.emplace(id, Operation(Operation::Kind::kCreate, std::move(done))).first->second;
  operation.deadline = loop_->CallAfter(timing_.worker.ready + timing_.kill, [this, id] {
    FailCreate(id, ReasonedError(absl::StatusCode::kUnavailable, ErrorReason::kWorkerFailed,
                                 absl::StrCat("export ", id,
                                              ": neither its source nor its worker "
                                              "answers; is the source's file system there?")));
  });
  Tell(added);
  OpenSourceDirectoryInBackground(
      config_.allow_source, added.record().spec().source_path(), loop_->queue(),
      [this, id, uid = added.record().uid()](absl::StatusOr<os::UniqueFd> source) {
        OnSourceForCreate(id, uid, std::move(source));
      });
}

std::optional<absl::StatusOr<ExportView>> SupervisorImpl::AnswerFromExisting(
    const ExportSpec& spec) {
  const std::string& id = spec.id();
  if (operations_.contains(id)) return BusyError(id);
  const Export* const existing = registry_.Find(id);
  if (existing == nullptr) return std::nullopt;
  const std::string_view difference = FirstDifference(existing->record().spec(), spec);
  if (difference.empty()) return existing->View();
  return ReasonedError(absl::StatusCode::kAlreadyExists, ErrorReason::kExportExists,
                       absl::StrCat("export ", id, ": exists with another ", Absl(difference),
                                    "; delete it first, or choose another name"));
}

void SupervisorImpl::ValidateOnly(ExportSpec spec, Callback<ExportView> done) {
  OpenSourceDirectoryInBackground(
      config_.allow_source, spec.source_path(), loop_->queue(),
      [this, spec, done](const absl::StatusOr<os::UniqueFd>& source) {
        if (!source.ok()) return done(source.status());
        if (const absl::Status status = Export::CheckSocket(config_, spec); !status.ok()) {
          return done(status);
        }
        ExportView view;
        *view.record.mutable_spec() = spec;
        done(std::move(view));
      });
}

void SupervisorImpl::OnSourceForCreate(const std::string& id, const std::string& uid,
                                       absl::StatusOr<os::UniqueFd> source) {
  Export* const created = FindCreating(id, uid);
  if (created == nullptr) return;  // undone meanwhile
  if (!source.ok()) return FailCreate(id, source.status());
  // Before a worker runs, so that a supervisor that takes over knows of it.
  absl::Status status = store_.Save(created->record());
  if (status.ok()) {
    status = created->Create(*std::move(source),
                             [this, id](const absl::Status& started) { OnStarted(id, started); });
  }
  // While the worker gets ready, and before anybody is told.
  if (status.ok()) status = store_.Sync(id);
  if (!status.ok()) FailCreate(id, status);
}

void SupervisorImpl::OnStarted(const std::string& id, const absl::Status& status) {
  if (!status.ok()) return FailCreate(id, status);
  auto operation = operations_.extract(id);
  loop_->Cancel(operation.mapped().deadline);
  operation.mapped().AnswerView(registry_.Find(id)->View());
}

void SupervisorImpl::FailCreate(const std::string& id, const absl::Status& why) {
  FSD_LOG(kError, id, "cannot be created: %s", std::string(why.message()));
  operations_.at(id).failure = why;
  Remove(*registry_.Find(id));
}

void SupervisorImpl::GetExport(std::string id, Callback<ExportView> done) {
  OnLoop(
      [this, id, done] {
        const Export* const found = registry_.Find(id);
        if (found == nullptr) return done(NotFoundError(id));
        done(found->View());
      },
      done);
}

void SupervisorImpl::ListExports(Callback<std::vector<ExportView>> done) {
  OnLoop(
      [this, done] {
        std::vector<ExportView> views;
        for (const auto& [id, entry] : registry_.all()) views.push_back(entry->View());
        done(std::move(views));
      },
      done);
}

void SupervisorImpl::DeleteExport(ExportTarget target, Deletion deletion, StatusCallback done) {
  OnLoop([this, target, deletion, done] { Delete(target, deletion, done); }, done);
}

absl::StatusOr<Export*> SupervisorImpl::Take(const ExportTarget& target, bool may_drain) {
  const std::string& id = target.id;
  if (stopping_) return ShuttingDownError();
  Export* const found = registry_.Find(id);
  if (found == nullptr) return NotFoundError(id);
  if (target.precondition != nullptr) FSD_RETURN_IF_ERROR(target.precondition(found->record()));
  const auto pending = operations_.find(id);
  if (pending != operations_.end() && !(may_drain && waits_.IsDrain(id))) {
    const absl::Status& stuck = pending->second.stuck;
    return stuck.ok() ? BusyError(id) : stuck;
  }
  return found;
}

absl::StatusOr<Export*> SupervisorImpl::TakeServed(const ExportTarget& target, bool may_drain) {
  FSD_ASSIGN_OR_RETURN(Export* const taken, Take(target, may_drain));
  if (taken->stopping() || taken->adopting()) return BusyError(target.id);
  return taken;
}

void SupervisorImpl::Delete(const ExportTarget& target, const Deletion& deletion,
                            StatusCallback done) {
  const std::string& id = target.id;
  const bool force = deletion.mode == Deletion::Mode::kForce;
  const absl::StatusOr<Export*> taken = Take(target, /*may_drain=*/force);
  if (!taken.ok()) return done(taken.status());
  Export& removed = **taken;
  if (removed.adopting() && !force) return done(BusyError(id));
  if (removed.in_use() && deletion.mode == Deletion::Mode::kSafe) {
    return done(ReasonedError(absl::StatusCode::kFailedPrecondition, ErrorReason::kExportInUse,
                              absl::StrCat("export ", id,
                                           ": a front-end is connected; shut the guest down or "
                                           "unplug the device first, or delete with force")));
  }
  maintenance_.EndDrain(id);
  operations_.emplace(id, Operation(std::move(done)));
  if (deletion.mode != Deletion::Mode::kDrain) return Remove(removed);
  maintenance_.DrainForRemoval(removed, deletion.wait, [this, id](const absl::Status& status) {
    OnDrainedForRemoval(id, status);
  });
}

void SupervisorImpl::OnDrainedForRemoval(const std::string& id, const absl::Status& status) {
  if (status.ok()) return Remove(*registry_.Find(id));
  operations_.extract(id).mapped().AnswerFailure(status);
}

void SupervisorImpl::UpdateExport(std::string id, SpecChange change, bool validate_only,
                                  Callback<UpdatedExport> done) {
  OnLoop(
      [this, id, change, validate_only, done] {
        const absl::StatusOr<Export*> taken = TakeServed({.id = id, .precondition = nullptr});
        if (!taken.ok()) return done(taken.status());
        const auto updated =
            supervisor::UpdateExport(config_, store_, **taken, change, validate_only);
        if (!updated.ok() || validate_only) return done(updated);
        maintenance_.AwaitUpdate(**taken, [updated, done](absl::StatusOr<ExportView> view) {
          if (!view.ok()) return done(view.status());
          done(UpdatedExport{.view = *std::move(view), .changed = updated->changed});
        });
      },
      done);
}

void SupervisorImpl::DrainExport(ExportTarget target, std::optional<DrainWait> wait,
                                 Callback<ExportView> done) {
  OnLoop(
      [this, target, wait, done] {
        const absl::StatusOr<Export*> taken = TakeServed(target);
        if (!taken.ok()) return done(taken.status());
        maintenance_.Drain(**taken, wait, done);
      },
      done);
}

void SupervisorImpl::ResumeExport(ExportTarget target, Callback<ExportView> done) {
  OnLoop(
      [this, target, done] {
        const absl::StatusOr<Export*> taken = TakeServed(target, /*may_drain=*/true);
        if (!taken.ok()) return done(taken.status());
        maintenance_.Resume(**taken, done);
      },
      done);
}

void SupervisorImpl::DisconnectExport(ExportTarget target, Callback<ExportView> done) {
  OnLoop(
      [this, target, done] {
        const absl::StatusOr<Export*> taken = TakeServed(target);
        if (!taken.ok()) return done(taken.status());
        maintenance_.Disconnect(**taken, done);
      },
      done);
}

void SupervisorImpl::RestartWorker(ExportTarget target, bool force, Callback<ExportView> done) {
  OnLoop(
      [this, target, force, done] {
        const absl::StatusOr<Export*> taken = TakeServed(target);
        if (!taken.ok()) return done(taken.status());
        maintenance_.RestartWorker(**taken, force, done);
      },
      done);
}

void SupervisorImpl::SampleExport(std::string id, Callback<ExportSample> done) {
  OnLoop(
      [this, id, done] {
        const Export* const found = registry_.Find(id);
        done(found == nullptr ? absl::StatusOr<ExportSample>(NotFoundError(id)) : found->Sample());
      },
      done);
}

void SupervisorImpl::SampleExports(Callback<std::vector<ExportSample>> done) {
  OnLoop(
      [this, done] {
        std::vector<ExportSample> samples;
        for (const auto& [id, entry] : registry_.all()) samples.push_back(entry->Sample());
        done(std::move(samples));
      },
      done);
}

void SupervisorImpl::ListInflightRequests(std::string id, Callback<InflightRequests> done) {
  OnLoop(
      [this, id, done] {
        Export* const found = registry_.Find(id);
        if (found == nullptr) return done(NotFoundError(id));
        found->ListInflight(done);
      },
      done);
}

void SupervisorImpl::SetLogLevel(telemetry::LogLevel level, Callback<telemetry::LogLevel> done) {
  OnLoop(
      [this, level, done] {
        const telemetry::LogLevel before = std::exchange(log_level_, level);
        telemetry::SetLogLevel(level);
        for (const auto& [id, entry] : registry_.all()) entry->TellLogLevel();
        done(before);
      },
      done);
}

void SupervisorImpl::Remove(Export& removed) {
  const std::string id = removed.id();
  BoundRemoval(id, timing_.worker.stop + timing_.kill);
  removed.Delete([this, id] { FinishRemoval(id); }, [this, id] { BoundRemoval(id, timing_.kill); });
}

void SupervisorImpl::BoundRemoval(const std::string& id, absl::Duration time) {
  Operation& operation = operations_.at(id);
  loop_->Cancel(operation.deadline);
  operation.deadline = loop_->CallAfter(time, [this, id] { OnStuck(id); });
}

void SupervisorImpl::OnStuck(const std::string& id) {
  Export* const stuck = registry_.Find(id);
  // A killed worker can only be blocked in the kernel, as on a file system that hangs.
  const std::string what =
      absl::StrCat("worker ", stuck->View().worker_pid,
                   " is blocked in the kernel by requests that its source's file system does not "
                   "answer, and cannot end; until it does, it keeps the source busy and the "
                   "export's name taken; then the export is removed by itself");
  FSD_LOG(kError, id, "%s", what);
  stuck->AddCondition("WORKER_STUCK", what);
  // Nobody answers there any more.
  stuck->RemoveFiles();
  Tell(*stuck);
  Operation& unanswered = operations_.at(id);
  unanswered.stuck = ReasonedError(absl::StatusCode::kUnavailable, ErrorReason::kWorkerFailed,
                                   absl::StrCat("export ", id, ": ", what));
  unanswered.AnswerFailure(unanswered.failure.ok() ? unanswered.stuck : unanswered.failure);
}

void SupervisorImpl::FinishRemoval(const std::string& id) {
  Export* const removed = registry_.Find(id);
  auto operation = operations_.extract(id);
  loop_->Cancel(operation.mapped().deadline);
  removed->RemoveFiles();
  const absl::Status status = store_.Remove(id);
  if (!status.ok()) {
    removed->Fail(status);
    return operation.mapped().AnswerFailure(status);
  }
  if (observer_ != nullptr) {
    ExportView last = removed->View();
    last.gone = true;
    observer_(last);
  }
  FSD_LOG(kInfo, id, "removed");
  registry_.Remove(id);
  if (!operation.mapped().failure.ok()) {
    return operation.mapped().AnswerFailure(operation.mapped().failure);
  }
  operation.mapped().AnswerDeleted();
}

void SupervisorImpl::StopEverything() {
  stopping_ = true;
  FSD_LOG(kInfo, "", "shutting down; workers are %s",
          config_.workers == Config::Workers::kStop ? "stopped" : "kept");
  maintenance_.Shutdown();
  std::vector<std::string> unfinished;
  for (const auto& [id, operation] : operations_) {
    if (operation.kind() == Operation::Kind::kCreate && operation.failure.ok())
      unfinished.push_back(id);
  }
  for (const std::string& id : unfinished) FailCreate(id, ShuttingDownError());

  size_t running = 0;
  if (config_.workers == Config::Workers::kStop) {
    for (const auto& [id, entry] : registry_.all()) {
      if (operations_.contains(id)) continue;
      ++running;
      entry->Stop([&running] { --running; });
    }
  }
  bool late = false;
  TimerId deadline = loop_->CallAfter(timing_.worker.stop + timing_.kill, [&late] { late = true; });
  while ((running > 0 || !operations_.empty()) && !late) loop_->RunOnce();
  loop_->Cancel(deadline);
  if (late) FSD_LOG(kError, "", "leaving killed workers behind that do not end");

  if (config_.workers == Config::Workers::kStop) {
    for (const auto& [id, entry] : registry_.all()) entry->RemoveFiles();
  }
  for (auto& [id, operation] : operations_) operation.AnswerFailure(ShuttingDownError());
  loop_->queue()->Close();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Supervisor>> Supervisor::Create(Config config,
                                                               const Timing& timing) {
  FSD_ASSIGN_OR_RETURN(config, PrepareHost(std::move(config)));
  FSD_ASSIGN_OR_RETURN(ExportStore store, ExportStore::Open(config.state_dir));
  FSD_ASSIGN_OR_RETURN(os::UniqueFd runtime_directory, TakeRuntimeDirectory(config));
  // Not before the state is surely ours: it clears away what an earlier supervisor left.
  FSD_ASSIGN_OR_RETURN(std::unique_ptr<CgroupSubtree> cgroups, TakeCgroups(config));
  FSD_ASSIGN_OR_RETURN(std::unique_ptr<EventLoop> loop, EventLoop::Create());
  auto supervisor =
      std::make_unique<SupervisorImpl>(std::move(config), timing, std::move(loop), std::move(store),
                                       std::move(runtime_directory), std::move(cgroups));
  FSD_RETURN_IF_ERROR(supervisor->LoadRecords());
  return supervisor;
}

}  // namespace fsd::supervisor
