#include "server/control/fake_supervisor.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "server/supervisor/error_reason.h"

namespace fsd::control {
namespace {

using supervisor::ErrorReason;
using supervisor::ExportState;
using supervisor::ExportView;
using supervisor::ReasonedError;

absl::Status NoSuchExport(const std::string& id) {
  return ReasonedError(absl::StatusCode::kNotFound, ErrorReason::kExportNotFound,
                       "no export " + id);
}

bool InUse(const ExportView& view) {
  return view.state == ExportState::kConnected || view.state == ExportState::kMounted;
}

}  // namespace

void FakeSupervisor::CreateExport(internal::ExportSpec spec, std::string request_id,
                                  bool validate_only, supervisor::Callback<ExportView> done) {
  absl::StatusOr<ExportView> result;
  {
    absl::MutexLock lock(&mutex_);
    if (spec.socket_path().empty()) spec.set_socket_path("/run/fake/" + spec.id() + ".sock");
    const auto found = exports_.find(spec.id());
    if (found != exports_.end()) {
      if (found->second.record.spec().SerializeAsString() == spec.SerializeAsString()) {
        result = found->second;
      } else {
        result = ReasonedError(absl::StatusCode::kAlreadyExists, ErrorReason::kExportExists,
                               "export " + spec.id() + " exists and is different");
      }
    } else {
      ExportView view;
      view.record.set_version(1);
      view.record.set_uid(absl::StrCat("uid-", clock_nanos_));
      view.record.set_create_time_unix_nanos(clock_nanos_);
      view.record.set_update_time_unix_nanos(clock_nanos_++);
      *view.record.mutable_spec() = spec;
      view.record.set_request_id(request_id);
      view.state = ExportState::kListening;
      view.worker_pid = 4242;
      last_request_id_ = request_id;
      if (!validate_only) exports_[spec.id()] = view;
      result = std::move(view);
    }
  }
  if (result.ok() && !validate_only) Tell(*result);
  Answer([done = std::move(done), result] { done(result); });
}

void FakeSupervisor::SampleExport(std::string id,
                                  supervisor::Callback<supervisor::ExportSample> done) {
  GetExport(std::move(id), [done = std::move(done)](const absl::StatusOr<ExportView>& view) {
    if (!view.ok()) return done(view.status());
    supervisor::ExportSample sample;
    sample.view = *view;
    done(std::move(sample));
  });
}

void FakeSupervisor::SampleExports(
    supervisor::Callback<std::vector<supervisor::ExportSample>> done) {
  ListExports([done = std::move(done)](const absl::StatusOr<std::vector<ExportView>>& views) {
    if (!views.ok()) return done(views.status());
    std::vector<supervisor::ExportSample> samples(views->size());
    for (size_t i = 0; i < samples.size(); ++i) samples[i].view = (*views)[i];
    done(std::move(samples));
  });
}

void FakeSupervisor::ListInflightRequests(std::string id,
                                          supervisor::Callback<supervisor::InflightRequests> done) {
  GetExport(std::move(id), [done = std::move(done)](const absl::StatusOr<ExportView>& view) {
    if (!view.ok()) return done(view.status());
    done(supervisor::InflightRequests{});
  });
}

void FakeSupervisor::GetExport(std::string id, supervisor::Callback<ExportView> done) {
  absl::StatusOr<ExportView> result;
  {
    absl::MutexLock lock(&mutex_);
    const auto found = exports_.find(id);
    result = found == exports_.end() ? absl::StatusOr<ExportView>(NoSuchExport(id))
                                     : absl::StatusOr<ExportView>(found->second);
  }
  Answer([done = std::move(done), result] { done(result); });
}

void FakeSupervisor::ListExports(supervisor::Callback<std::vector<ExportView>> done) {
  std::vector<ExportView> views;
  {
    absl::MutexLock lock(&mutex_);
    for (const auto& [id, view] : exports_) views.push_back(view);
  }
  Answer([done = std::move(done), views] { done(views); });
}

absl::StatusOr<ExportView*> FakeSupervisor::Find(const supervisor::ExportTarget& target) {
  const auto found = exports_.find(target.id);
  if (found == exports_.end()) return NoSuchExport(target.id);
  if (target.precondition != nullptr) {
    if (const absl::Status status = target.precondition(found->second.record); !status.ok()) {
      return status;
    }
  }
  return &found->second;
}

void FakeSupervisor::DeleteExport(supervisor::ExportTarget target, supervisor::Deletion deletion,
                                  supervisor::StatusCallback done) {
  absl::Status result;
  ExportView gone;
  {
    absl::MutexLock lock(&mutex_);
    last_deletion_ = deletion;
    const auto found = Find(target);
    if (!found.ok()) {
      result = found.status();
    } else if (InUse(**found) && deletion.mode == supervisor::Deletion::Mode::kSafe) {
      result = ReasonedError(absl::StatusCode::kFailedPrecondition, ErrorReason::kExportInUse,
                             "a front-end is connected to export " + target.id);
    } else {
      gone = **found;
      exports_.erase(target.id);
    }
  }
  if (result.ok()) {
    gone.state = ExportState::kDeleting;
    gone.gone = true;
    Tell(gone);
  }
  Answer([done = std::move(done), result] { done(result); });
}

void FakeSupervisor::UpdateExport(std::string id, supervisor::SpecChange change, bool validate_only,
                                  supervisor::Callback<supervisor::UpdatedExport> done) {
  absl::StatusOr<supervisor::UpdatedExport> result;
  {
    absl::MutexLock lock(&mutex_);
    const auto found = Find({.id = id, .precondition = nullptr});
    const auto spec = found.ok() ? change((*found)->record) : found.status();
    if (spec.ok()) {
      supervisor::UpdatedExport updated;
      updated.changed = supervisor::ChangedFields((*found)->record.spec(), *spec);
      updated.view = **found;
      *updated.view.record.mutable_spec() = *spec;
      updated.view.record.set_update_time_unix_nanos(clock_nanos_++);
      if (!validate_only) **found = updated.view;
      result = std::move(updated);
    } else {
      result = spec.status();
    }
  }
  if (result.ok() && !validate_only) Tell(result->view);
  Answer([done = std::move(done), result] { done(result); });
}

void FakeSupervisor::Change(const supervisor::ExportTarget& target,
                            const std::function<absl::Status(ExportView&)>& change,
                            supervisor::Callback<ExportView> done) {
  absl::StatusOr<ExportView> result;
  {
    absl::MutexLock lock(&mutex_);
    const auto found = Find(target);
    const absl::Status status = found.ok() ? change(**found) : found.status();
    result = status.ok() ? absl::StatusOr<ExportView>(**found) : absl::StatusOr<ExportView>(status);
  }
  if (result.ok()) Tell(*result);
  Answer([done = std::move(done), result] { done(result); });
}

void FakeSupervisor::DrainExport(supervisor::ExportTarget target,
                                 std::optional<supervisor::DrainWait> wait,
                                 supervisor::Callback<ExportView> done) {
  {
    absl::MutexLock lock(&mutex_);
    last_drain_ = wait;
  }
  Change(
      target,
      [](ExportView& view) {
        view.state = ExportState::kDraining;
        return absl::OkStatus();
      },
      std::move(done));
}

void FakeSupervisor::ResumeExport(supervisor::ExportTarget target,
                                  supervisor::Callback<ExportView> done) {
  Change(
      target,
      [](ExportView& view) {
        view.state = ExportState::kListening;
        return absl::OkStatus();
      },
      std::move(done));
}

void FakeSupervisor::DisconnectExport(supervisor::ExportTarget target,
                                      supervisor::Callback<ExportView> done) {
  ResumeExport(std::move(target), std::move(done));
}

void FakeSupervisor::RestartWorker(supervisor::ExportTarget target, bool force,
                                   supervisor::Callback<ExportView> done) {
  Change(
      target,
      [force](ExportView& view) {
        if (InUse(view) && !force) {
          return ReasonedError(absl::StatusCode::kFailedPrecondition, ErrorReason::kExportInUse,
                               "a front-end is connected");
        }
        view.state = ExportState::kListening;
        ++view.restarts;
        return absl::OkStatus();
      },
      std::move(done));
}

void FakeSupervisor::SetLogLevel(telemetry::LogLevel level,
                                 supervisor::Callback<telemetry::LogLevel> done) {
  telemetry::LogLevel before;
  {
    absl::MutexLock lock(&mutex_);
    before = std::exchange(log_level_, level);
  }
  Answer([done = std::move(done), before] { done(before); });
}

supervisor::Deletion FakeSupervisor::last_deletion() const {
  absl::MutexLock lock(&mutex_);
  return last_deletion_;
}

std::optional<supervisor::DrainWait> FakeSupervisor::last_drain() const {
  absl::MutexLock lock(&mutex_);
  return last_drain_;
}

void FakeSupervisor::SetObserver(std::function<void(const ExportView&)> observer) {
  absl::MutexLock lock(&mutex_);
  observer_ = std::move(observer);
}

void FakeSupervisor::SetState(const std::string& id, ExportState state) {
  ExportView view;
  {
    absl::MutexLock lock(&mutex_);
    ExportView& stored = exports_.at(id);
    stored.state = state;
    view = stored;
  }
  Tell(view);
}

void FakeSupervisor::Hold() {
  absl::MutexLock lock(&mutex_);
  holding_ = true;
}

void FakeSupervisor::WaitForHeld(size_t count) {
  absl::MutexLock lock(&mutex_);
  const auto enough = [this, count]()
                          ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return held_.size() >= count; };
  mutex_.Await(absl::Condition(&enough));
}

void FakeSupervisor::Release() {
  std::vector<std::function<void()>> released;
  {
    absl::MutexLock lock(&mutex_);
    holding_ = false;
    released.swap(held_);
  }
  for (const auto& answer : released) answer();
}

void FakeSupervisor::DropHeld() {
  std::vector<std::function<void()>> dropped;  // destroyed without the lock
  absl::MutexLock lock(&mutex_);
  holding_ = false;
  dropped.swap(held_);
}

void FakeSupervisor::SetSlowRequest(absl::Duration threshold,
                                    supervisor::Callback<absl::Duration> done) {
  absl::Duration before;
  {
    absl::MutexLock lock(&mutex_);
    before = std::exchange(slow_request_, threshold);
  }
  Answer([done = std::move(done), before] { done(before); });
}

absl::Duration FakeSupervisor::SlowRequest() const {
  absl::MutexLock lock(&mutex_);
  return slow_request_;
}

std::string FakeSupervisor::last_request_id() const {
  absl::MutexLock lock(&mutex_);
  return last_request_id_;
}

void FakeSupervisor::Answer(std::function<void()> answer) {
  {
    absl::MutexLock lock(&mutex_);
    if (holding_) {
      held_.push_back(std::move(answer));
      return;
    }
  }
  answer();
}

void FakeSupervisor::Tell(const ExportView& view) {
  std::function<void(const ExportView&)> observer;
  {
    absl::MutexLock lock(&mutex_);
    observer = observer_;
  }
  if (observer) observer(view);
}

}  // namespace fsd::control
