// Export: the adoption of an earlier supervisor's worker.
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "server/errors/status_macros.h"
#include "server/supervisor/export.h"
#include "server/supervisor/handover_check.h"
#include "server/supervisor/worker_start.h"
#include "server/telemetry/log.h"

namespace fsd::supervisor {

void Export::Adopt(EarlierWorker earlier) {
  adopting_ = true;
  FSD_LOG(kInfo, id(), "adopting worker %d, which an earlier supervisor has started",
          earlier.worker.pid);
  OpenSource();
  const absl::Status watched = Watch(WorkerOrigin::kEarlierSupervisor, std::move(earlier.worker),
                                     std::move(earlier.channel));
  if (watched.ok()) return;
  adopting_ = false;  // it has been killed
  OnFailure("WORKER_FAILED", std::string(watched.message()), absl::ZeroDuration());
}

void Export::KeepSource(absl::StatusOr<os::UniqueFd> source) {
  if (!source.ok()) {
    return SetCondition(
        condition::kSourceUnavailable,
        absl::StrCat("no worker can follow the present one: ", source.status().message()));
  }
  source_ = *std::move(source);
  if (adopted_spec_.has_value()) CompareSource();
}

void Export::CompareSource() {
  const internal::ExportHistory& served = adopted_spec_->history();
  internal::ExportHistory named;
  DescribeSource(source_.get(), named);
  const bool is_known = served.source_inode() != 0 && named.source_inode() != 0;
  const bool is_same = served.source_device() == named.source_device() &&
                       served.source_inode() == named.source_inode();
  SetCondition(
      condition::kSourceChanged,
      is_known && !is_same
          ? absl::StrCat("its worker serves the directory that was ", record_.spec().source_path(),
                         " when it was started, and its next worker will serve the one "
                         "that is now")
          : "");
  Relimit();
}

absl::Status Export::OnHandover(Handover handover) {
  FSD_ASSIGN_OR_RETURN(CheckedHandover taken,
                       CheckHandover(surroundings_.config, record_, std::move(handover)));
  adopting_ = false;
  vhost_ = std::move(taken.vhost);
  const internal::ExportHistory& history = taken.spec.history();
  counting_.Adopt(history, std::move(taken.counters));
  restarts_ = history.restarts();
  adopted_spec_ = std::move(taken.spec);
  // What has changed since it was last told, or while nobody could tell it.
  worker_->SetDraining(draining_);
  worker_->SetLogLevel(surroundings_.log_level);
  worker_->SetSlowRequest(surroundings_.slow_request_nanos);
  worker_->SetQos(record_.spec().qos());
  if (!taken.outdated.empty()) AwaitChanges(taken.outdated);
  if (source_.valid()) {
    CompareSource();
  } else {
    Relimit();
  }
  return absl::OkStatus();
}

}  // namespace fsd::supervisor
