// ChangeLog: the exports as they are, and the latest changes of them, numbered from 1 on.
//
// Holds so many changes, and so many bytes of them; the older ones are forgotten. A resume token
// names a change of this log: another server's, or an earlier one's of this host, is told apart.
// Not thread-safe.
#ifndef FSD_SERVER_CONTROL_CHANGE_LOG_H_
#define FSD_SERVER_CONTROL_CHANGE_LOG_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "proto/fsd/v1/export.pb.h"
#include "server/supervisor/export_view.h"

namespace fsd::control {

using SharedExport = std::shared_ptr<const v1::Export>;

struct ExportChange {
  SharedExport before;  // null: it was not there
  SharedExport after;   // null: it is gone
  size_t bytes = 0;
};

class ChangeLog {
 public:
  struct Limits {
    size_t changes = 4096;
    size_t bytes = 16 << 20;
  };

  explicit ChangeLog(const Limits& limits);

  // Another state of an export, or its last. One that is as it was is no change.
  void Add(const supervisor::ExportView& view);

  // Ordered by name.
  std::vector<SharedExport> Snapshot() const;
  // The latest change's number; 0 if there was none.
  uint64_t last() const { return forgotten_ + changes_.size(); }
  // Null if it is forgotten. `number` is from 1 to last().
  const ExportChange* Find(uint64_t number) const;

  // Of what follows the change of this number.
  std::string TokenAfter(uint64_t number) const;
  // The number in a token. INVALID_ARGUMENT: it is none; OUT_OF_RANGE: what follows is not known,
  // or not any more.
  absl::StatusOr<uint64_t> ReadToken(std::string_view token) const;

 private:
  const Limits limits_;
  const std::string log_id_;
  std::map<std::string, SharedExport> exports_;  // by name
  std::deque<ExportChange> changes_;
  uint64_t forgotten_ = 0;
  size_t bytes_ = 0;
};

}  // namespace fsd::control

#endif  // FSD_SERVER_CONTROL_CHANGE_LOG_H_
