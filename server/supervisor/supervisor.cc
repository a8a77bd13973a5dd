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
#include "server/supervisor/export_creation.h"
#include "server/supervisor/export_registry.h"
#include "server/supervisor/export_removal.h"
#include "server/supervisor/export_store.h"
#include "server/supervisor/export_waits.h"
#include "server/supervisor/host_preparation.h"
#include "server/supervisor/maintenance.h"
#include "server/supervisor/operation.h"
#include "server/supervisor/restoration.h"
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
        slow_request_nanos_(absl::ToInt64Nanoseconds(config_.slow_request)),
        surroundings_{.loop = *loop_,
                      .config = config_,
                      .timing = timing_,
                      .user_namespaces = user_namespaces_,
                      .cgroups = cgroups_.get(),
                      .log_level = log_level_,
                      .slow_request_nanos = slow_request_nanos_,
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
        removal_({.loop = *loop_,
                  .timing = timing_,
                  .store = store_,
                  .exports = registry_,
                  .operations = operations_,
                  .maintenance = maintenance_,
                  .changed = [this](const Export& changed) { Tell(changed); },
                  .gone =
                      [this](const ExportView& last) {
                        if (observer_ != nullptr) observer_(last);
                      }}),
        creation_({.of_exports = surroundings_,
                   .store = store_,
                   .exports = registry_,
                   .operations = operations_,
                   .removal = removal_}),
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
  void SetSlowRequest(absl::Duration threshold, Callback<absl::Duration> done) override;
  absl::Duration SlowRequest() const override {
    return absl::Nanoseconds(slow_request_nanos_.load());
  }
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

  void StopEverything();

  const Config config_;
  const Timing timing_;
  const std::unique_ptr<EventLoop> loop_;
  ExportStore store_;
  const os::UniqueFd runtime_directory_;  // holds the lock
  UserNamespaces user_namespaces_;
  const std::unique_ptr<CgroupSubtree> cgroups_;  // null: none to divide
  telemetry::LogLevel log_level_;
  std::atomic<int64_t> slow_request_nanos_;  // Run's thread writes it
  const Export::Surroundings surroundings_;
  ExportRegistry registry_;
  std::map<std::string, Operation> operations_;  // by export id
  ExportWaits waits_;
  Maintenance maintenance_;
  ExportRemoval removal_;
  ExportCreation creation_;
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

void SupervisorImpl::CreateExport(ExportSpec spec, std::string request_id, bool validate_only,
                                  Callback<ExportView> done) {
  OnLoop([this, spec, request_id, validate_only,
          done] { creation_.Create(spec, request_id, validate_only, done); },
         done);
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
  OnLoop(
      [this, target, deletion, done] {
        const bool force = deletion.mode == Deletion::Mode::kForce;
        const absl::StatusOr<Export*> taken = Take(target, /*may_drain=*/force);
        if (!taken.ok()) return done(taken.status());
        removal_.Delete(**taken, deletion, done);
      },
      done);
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

void SupervisorImpl::SetSlowRequest(absl::Duration threshold, Callback<absl::Duration> done) {
  OnLoop(
      [this, threshold, done] {
        const int64_t before = slow_request_nanos_.exchange(absl::ToInt64Nanoseconds(threshold));
        for (const auto& [id, entry] : registry_.all()) entry->TellSlowRequest();
        done(absl::Nanoseconds(before));
      },
      done);
}

void SupervisorImpl::StopEverything() {
  stopping_ = true;
  FSD_LOG(kInfo, "", "shutting down; workers are %s",
          config_.workers == Config::Workers::kStop ? "stopped" : "kept");
  maintenance_.Shutdown();
  creation_.Shutdown();

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
