#include "server/control/watch_cursor.h"

#include <algorithm>
#include <utility>

namespace fsd::control {

WatchCursor::WatchCursor(ExportFilter filter, const ChangeLog& log)
    : filter_(std::move(filter)), in_snapshot_(true), snapshot_(log.Snapshot()), told_(log.last()) {
  std::reverse(snapshot_.begin(), snapshot_.end());
}

WatchCursor::WatchCursor(ExportFilter filter, uint64_t after)
    : filter_(std::move(filter)), in_snapshot_(false), told_(after) {}

bool WatchCursor::IsLost(const ChangeLog& log) const {
  return told_ < log.last() && log.Find(told_ + 1) == nullptr;
}

std::optional<v1::WatchExportsResponse> WatchCursor::Next(const ChangeLog& log) {
  if (in_snapshot_) return NextOfSnapshot(log);
  while (told_ < log.last()) {
    const ExportChange& change = *log.Find(++told_);
    const bool was = change.before != nullptr && filter_.Matches(*change.before);
    const bool is = change.after != nullptr && filter_.Matches(*change.after);
    if (!was && !is) {
      if (++skipped_ >= kSkippedUntilBookmark) return Bookmark(log);
      continue;
    }
    skipped_ = 0;
    v1::WatchExportsResponse response;
    response.set_kind(!was ? v1::WatchExportsResponse::ADDED
                      : is ? v1::WatchExportsResponse::MODIFIED
                           : v1::WatchExportsResponse::REMOVED);
    // How it was last, or how it no longer matches.
    *response.mutable_export_() = change.after != nullptr ? *change.after : *change.before;
    response.set_resume_token(log.TokenAfter(told_));
    return response;
  }
  return std::nullopt;
}

std::optional<v1::WatchExportsResponse> WatchCursor::NextOfSnapshot(const ChangeLog& log) {
  while (!snapshot_.empty()) {
    const SharedExport resource = std::move(snapshot_.back());
    snapshot_.pop_back();
    if (!filter_.Matches(*resource)) continue;
    v1::WatchExportsResponse response;
    response.set_kind(v1::WatchExportsResponse::ADDED);
    *response.mutable_export_() = *resource;
    return response;
  }
  in_snapshot_ = false;
  return Bookmark(log);
}

v1::WatchExportsResponse WatchCursor::Bookmark(const ChangeLog& log) {
  skipped_ = 0;
  v1::WatchExportsResponse response;
  response.set_kind(v1::WatchExportsResponse::BOOKMARK);
  response.set_resume_token(log.TokenAfter(told_));
  return response;
}

}  // namespace fsd::control
