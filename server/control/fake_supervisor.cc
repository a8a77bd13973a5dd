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

void FakeSupervisor::DeleteExport(std::string id, bool force, supervisor::StatusCallback done) {
  absl::Status result;
  ExportView gone;
  {
    absl::MutexLock lock(&mutex_);
    const auto found = exports_.find(id);
    if (found == exports_.end()) {
      result = NoSuchExport(id);
    } else if (InUse(found->second) && !force) {
      result = ReasonedError(absl::StatusCode::kFailedPrecondition, ErrorReason::kExportInUse,
                             "a front-end is connected to export " + id);
    } else {
      gone = found->second;
      exports_.erase(found);
    }
  }
  if (result.ok()) {
    gone.state = ExportState::kDeleting;
    Tell(gone);
  }
  Answer([done = std::move(done), result] { done(result); });
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
