#include "server/supervisor/export_waits.h"

#include <utility>

namespace fsd::supervisor {

ExportWaits::~ExportWaits() {
  for (auto& [id, entry] : entries_) {
    if (entry.wait.cancellation != nullptr) entry.wait.cancellation->SetListener(nullptr);
    loop_.Cancel(entry.deadline);
    loop_.Cancel(entry.look);
  }
}

void ExportWaits::Begin(const std::string& id, Wait wait) {
  Entry& entry = entries_[id];
  entry.wait = std::move(wait);
  entry.number = ++begun_;
  if (entry.wait.timeout.has_value()) {
    entry.deadline = loop_.CallAfter(*entry.wait.timeout,
                                     [this, id] { End(id, entries_.at(id).wait.timed_out); });
  }
  if (entry.wait.cancellation != nullptr) {
    entry.wait.cancellation->SetListener([this, queue = loop_.queue(), id, number = entry.number] {
      // The loop may have ended meanwhile; then nobody waits.
      queue->Post([this, id, number] {
        const auto found = entries_.find(id);
        if (found == entries_.end() || found->second.number != number) return;
        End(id, absl::CancelledError("the caller is gone"));
      });
    });
  }
  OnChanged(id);
}

void ExportWaits::OnChanged(const std::string& id) {
  const auto found = entries_.find(id);
  if (found == entries_.end() || found->second.look != kNoTimer) return;
  found->second.look = loop_.CallAfter(absl::ZeroDuration(), [this, id] { Look(id); });
}

void ExportWaits::Look(const std::string& id) {
  Entry& entry = entries_.at(id);
  entry.look = kNoTimer;
  const Export* const looked_at = exports_.Find(id);
  if (looked_at != nullptr && entry.wait.is_over(*looked_at)) End(id, absl::OkStatus());
}

bool ExportWaits::IsDrain(const std::string& id) const {
  const auto found = entries_.find(id);
  return found != entries_.end() && found->second.wait.is_drain;
}

bool ExportWaits::EndDrain(const std::string& id, const absl::Status& status) {
  if (!IsDrain(id)) return false;
  End(id, status);
  return true;
}

void ExportWaits::End(const std::string& id, const absl::Status& status) {
  auto ended = entries_.extract(id);
  Entry& entry = ended.mapped();
  loop_.Cancel(entry.deadline);
  loop_.Cancel(entry.look);
  if (entry.wait.cancellation != nullptr) entry.wait.cancellation->SetListener(nullptr);
  entry.wait.done(status);
}

void ExportWaits::EndAll(const absl::Status& status) {
  while (!entries_.empty()) End(entries_.begin()->first, status);
}

}  // namespace fsd::supervisor
