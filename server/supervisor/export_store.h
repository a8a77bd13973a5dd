// ExportStore: the export records in the state directory, one file each.
//
//   STATE_DIR/lock          locked (flock) by the supervisor that owns the directory
//   STATE_DIR/exports/ID    see record_format.h
//
// A record is written beside its place and renamed: after Save every later supervisor finds it, and
// before there is nothing of it. After Sync it survives a crash of the host too; one between the
// two may leave what cannot be read. Replace does both in the order that leaves the old record or
// the new one, whenever the host crashes. What cannot be read is set aside as ID.damaged and named
// in the log, never deleted.
//
// For one thread. Errors carry STATE_UNAVAILABLE.
#ifndef FSD_SERVER_SUPERVISOR_EXPORT_STORE_H_
#define FSD_SERVER_SUPERVISOR_EXPORT_STORE_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "proto/fsd/internal/export_spec.pb.h"
#include "server/os/unique_fd.h"

namespace fsd::supervisor {

class ExportStore {
 public:
  // Makes the directory if it is missing. FAILED_PRECONDITION if another supervisor has it.
  static absl::StatusOr<ExportStore> Open(const std::string& state_dir);

  // Every readable record, ordered by id.
  absl::StatusOr<std::vector<internal::ExportRecord>> LoadAll();
  // Writes the record of record.spec.id, which is a valid id.
  absl::Status Save(const internal::ExportRecord& record);
  // Waits until what was saved under this id is on disk.
  absl::Status Sync(const std::string& id) const;
  // Writes another record under an id that is there; returns when it is on disk. After an error it
  // may be either.
  absl::Status Replace(const internal::ExportRecord& record);
  // No error if there is none. Returns when that is on disk.
  absl::Status Remove(const std::string& id);

 private:
  ExportStore(std::string directory, os::UniqueFd lock, os::UniqueFd exports)
      : directory_(std::move(directory)), lock_(std::move(lock)), exports_(std::move(exports)) {}

  absl::StatusOr<internal::ExportRecord> Load(const std::string& id) const;
  void SetAside(const std::string& name, const absl::Status& why);
  enum class Syncing { kLater, kFirst };
  // Writes beside the record's place and renames; kFirst: what is renamed is on disk.
  absl::Status Write(const internal::ExportRecord& record, Syncing syncing);
  absl::Status SyncDirectory() const;
  absl::Status Failure(std::string_view what, const std::string& name) const;

  std::string directory_;  // for messages
  os::UniqueFd lock_;
  os::UniqueFd exports_;
};

}  // namespace fsd::supervisor

#endif  // FSD_SERVER_SUPERVISOR_EXPORT_STORE_H_
