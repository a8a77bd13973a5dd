// WatchCursor: where one watcher is in the log, and what it is to be told next.
//
// Keeps no queue of its own: a watcher that is slow falls behind in the log, until what it has not
// read yet is forgotten there. Not thread-safe.
#ifndef FSD_SERVER_CONTROL_WATCH_CURSOR_H_
#define FSD_SERVER_CONTROL_WATCH_CURSOR_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "proto/fsd/v1/export_service.pb.h"
#include "server/control/change_log.h"
#include "server/control/export_filter.h"

namespace fsd::control {

class WatchCursor {
 public:
  // Changes in a row that the filter does not match, until a bookmark tells where the watcher is.
  static constexpr size_t kSkippedUntilBookmark = 256;

  // Begins with a snapshot of the log.
  WatchCursor(ExportFilter filter, const ChangeLog& log);
  // Goes on after the change of this number.
  WatchCursor(ExportFilter filter, uint64_t after);

  // Whether the next change is forgotten: there is nothing that could be told.
  bool IsLost(const ChangeLog& log) const;
  // Nothing: there is no news. Not when it is lost.
  std::optional<v1::WatchExportsResponse> Next(const ChangeLog& log);

 private:
  std::optional<v1::WatchExportsResponse> NextOfSnapshot(const ChangeLog& log);
  v1::WatchExportsResponse Bookmark(const ChangeLog& log);

  ExportFilter filter_;
  bool in_snapshot_;
  std::vector<SharedExport> snapshot_;  // what is left of it, backwards
  uint64_t told_;                       // the number of the last change that is done with
  size_t skipped_ = 0;
};

}  // namespace fsd::control

#endif  // FSD_SERVER_CONTROL_WATCH_CURSOR_H_
