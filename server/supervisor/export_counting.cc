#include "server/supervisor/export_counting.h"

#include <algorithm>
#include <utility>

#include "server/errors/status_macros.h"
#include "server/telemetry/export_counters.h"

namespace fsd::supervisor {

absl::StatusOr<int> ExportCounting::FileFor(const internal::ExportSpec& spec) {
  if (file_ == nullptr) {
    ErrnoOr<os::UniqueFd> file = telemetry::CreateCounterFile();
    if (!file.ok()) return ErrnoStatus(file.error(), "make the worker's counters");
    file_ = std::make_shared<const os::UniqueFd>(*std::move(file));
  }
  queues_ = std::max<size_t>(queues_, 1 + std::max<uint32_t>(1, spec.request_queues()));
  return file_->get();
}

void ExportCounting::OnWorkerEnd(const internal::WorkerStatus& last) {
  connections_accepted_ += last.connections_accepted();
  connections_refused_ += last.connections_refused();
}

void ExportCounting::Describe(internal::ExportHistory& history) const {
  history.set_counting_since_unix_nanos(absl::ToUnixNanos(since_));
  history.set_counted_queues(static_cast<uint32_t>(queues_));
  history.set_connections_accepted(connections_accepted_);
  history.set_connections_refused(connections_refused_);
}

void ExportCounting::Adopt(const internal::ExportHistory& history, os::UniqueFd file) {
  // Counts that cannot be read begin anew, with the next worker.
  if (file.valid()) {
    file_ = std::make_shared<const os::UniqueFd>(std::move(file));
    since_ = std::min(since_, absl::FromUnixNanos(history.counting_since_unix_nanos()));
    queues_ = std::min<size_t>(history.counted_queues(), telemetry::kMaxCountedQueues);
  }
  connections_accepted_ = history.connections_accepted();
  connections_refused_ = history.connections_refused();
}

ExportSample ExportCounting::Sample(ExportView view, absl::Duration slow_request) const {
  ExportSample sample{
      .connections_accepted = connections_accepted_ + view.worker.connections_accepted(),
      .connections_refused = connections_refused_ + view.worker.connections_refused(),
      .slow_request = slow_request,
      .counted_since = since_,
      .counters = file_,
      .counted_queues = queues_};
  sample.view = std::move(view);
  return sample;
}

}  // namespace fsd::supervisor
