// WatchView: what a watcher knows of the exports, so that a stream that breaks and begins anew with
// another snapshot reads as if it had never broken.
#ifndef FSD_CLI_WATCH_VIEW_H_
#define FSD_CLI_WATCH_VIEW_H_

#include <map>
#include <set>
#include <string>
#include <vector>

#include "proto/fsd/v1/export_service.pb.h"

namespace fsd::cli {

class WatchView {
 public:
  // The next responses are a snapshot, up to their first BOOKMARK.
  void BeginSnapshot();

  // What is news in `response`: itself; nothing if a snapshot repeats what is known; REMOVED of
  // what a later snapshot lacks, before its BOOKMARK. An export that was made anew meanwhile is
  // REMOVED and ADDED.
  std::vector<v1::WatchExportsResponse> Take(const v1::WatchExportsResponse& response);

 private:
  std::vector<v1::WatchExportsResponse> TakeOfSnapshot(const v1::WatchExportsResponse& response);

  std::map<std::string, v1::Export> known_;
  std::set<std::string> missing_;  // of those known, not seen in this snapshot yet
  bool in_snapshot_ = false;
};

}  // namespace fsd::cli

#endif  // FSD_CLI_WATCH_VIEW_H_
