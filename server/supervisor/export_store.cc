#include "server/supervisor/export_store.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "server/errors/status_macros.h"
#include "server/supervisor/error_reason.h"
#include "server/supervisor/export_spec.h"
#include "server/supervisor/paths.h"
#include "server/supervisor/record_format.h"
#include "server/telemetry/log.h"

namespace fsd::supervisor {
namespace {

absl::Status StateError(const absl::Status& status) {
  return ReasonedError(status.code(), ErrorReason::kStateUnavailable,
                       std::string(status.message()));
}

// Neither is a valid id.
std::string TemporaryName(std::string_view id) { return absl::StrCat(".", Absl(id), ".tmp"); }
bool IsTemporaryName(std::string_view name) {
  return name.starts_with('.') && name.ends_with(".tmp");
}

ErrnoOr<std::vector<std::string>> NamesIn(int directory) {
  // A description of its own: the stream moves the offset and closes what it is given.
  const int fd = ::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return Errno::Last();
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(fd), ::closedir);
  if (stream == nullptr) return Errno::Last();
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = ::readdir(stream.get())) names.emplace_back(entry->d_name);
  if (errno != 0) return Errno::Last();
  std::sort(names.begin(), names.end());
  return names;
}

ErrnoOr<std::string> ReadFile(int directory, const std::string& name) {
  const os::UniqueFd fd(
      ::openat(directory, name.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!fd.valid()) return Errno::Last();
  struct stat info;
  if (::fstat(fd.get(), &info) != 0) return Errno::Last();
  if (!S_ISREG(info.st_mode)) return Errno(EINVAL);
  if (static_cast<size_t>(info.st_size) > kMaxRecordBytes) return Errno(EFBIG);
  std::string bytes(static_cast<size_t>(info.st_size), '\0');
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t got = ::read(fd.get(), bytes.data() + done, bytes.size() - done);
    if (got < 0) return Errno::Last();
    if (got == 0) break;
    done += static_cast<size_t>(got);
  }
  bytes.resize(done);
  return bytes;
}

ErrnoOr<void> WriteFile(int directory, const std::string& name, std::string_view bytes, bool sync) {
  const os::UniqueFd fd(::openat(directory, name.c_str(),
                                 O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd.valid()) return Errno::Last();
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd.get(), bytes.data(), bytes.size());
    if (written < 0) return Errno::Last();
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  if (sync && ::fsync(fd.get()) != 0) return Errno::Last();
  return {};
}

}  // namespace

absl::StatusOr<ExportStore> ExportStore::Open(const std::string& state_dir) {
  const std::string exports_path = JoinPath(state_dir, "exports");
  if (const absl::Status made = EnsureDirectory(state_dir, 0700, /*exact=*/false); !made.ok()) {
    return StateError(made);
  }
  if (const absl::Status made = EnsureDirectory(exports_path, 0700, /*exact=*/true); !made.ok()) {
    return StateError(made);
  }
  const std::string lock_path = JoinPath(state_dir, "lock");
  os::UniqueFd lock(::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!lock.valid()) {
    return StateError(ErrnoStatus(Errno::Last(), absl::StrCat("open ", lock_path)));
  }
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) {
      return StateError(ErrnoStatus(Errno::Last(), absl::StrCat("lock ", lock_path)));
    }
    return ReasonedError(absl::StatusCode::kFailedPrecondition, ErrorReason::kStateUnavailable,
                         absl::StrCat("another supervisor uses the state directory ", state_dir,
                                      "; stop it, or give this one a state directory of its own"));
  }
  os::UniqueFd exports(::open(exports_path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!exports.valid()) {
    return StateError(ErrnoStatus(Errno::Last(), absl::StrCat("open ", exports_path)));
  }
  return ExportStore(exports_path, std::move(lock), std::move(exports));
}

absl::StatusOr<std::vector<internal::ExportRecord>> ExportStore::LoadAll() {
  const auto names = NamesIn(exports_.get());
  if (!names.ok()) {
    return StateError(ErrnoStatus(names.error(), absl::StrCat("list ", directory_)));
  }
  std::vector<internal::ExportRecord> records;
  for (const std::string& name : *names) {
    if (IsTemporaryName(name)) {
      // Of a Save that a crash cut short: nobody was told of it.
      ::unlinkat(exports_.get(), name.c_str(), 0);
      continue;
    }
    if (!IsValidExportId(name)) continue;  // what was set aside, or is not ours
    auto record = Load(name);
    if (record.ok()) {
      records.push_back(*std::move(record));
    } else {
      SetAside(name, record.status());
    }
  }
  return records;
}

absl::StatusOr<internal::ExportRecord> ExportStore::Load(const std::string& id) const {
  const auto bytes = ReadFile(exports_.get(), id);
  if (!bytes.ok()) return ErrnoStatus(bytes.error(), "read");
  FSD_ASSIGN_OR_RETURN(internal::ExportRecord record, DecodeRecord(*bytes));
  if (record.spec().id() != id) {
    return absl::DataLossError(absl::StrCat("it is the record of '", record.spec().id(), "'"));
  }
  return record;
}

void ExportStore::SetAside(const std::string& name, const absl::Status& why) {
  std::string aside = name + ".damaged";
  bool renamed = false;
  for (int attempt = 1; attempt <= 1000; ++attempt) {
    renamed = ::renameat2(exports_.get(), name.c_str(), exports_.get(), aside.c_str(),
                          RENAME_NOREPLACE) == 0;
    if (renamed || errno != EEXIST) break;
    aside = absl::StrCat(name, ".", attempt, ".damaged");
  }
  if (renamed) {
    FSD_LOG(kError, name, "its record cannot be read (%s); set aside as %s",
            std::string(why.message()), JoinPath(directory_, aside));
  } else {
    FSD_LOG(kError, name, "its record %s cannot be read (%s), nor set aside",
            JoinPath(directory_, name), std::string(why.message()));
  }
}

absl::Status ExportStore::Save(const internal::ExportRecord& record) {
  return Write(record, Syncing::kLater);
}

absl::Status ExportStore::Replace(const internal::ExportRecord& record) {
  FSD_RETURN_IF_ERROR(Write(record, Syncing::kFirst));
  return SyncDirectory();
}

absl::Status ExportStore::Write(const internal::ExportRecord& record, Syncing syncing) {
  const std::string& id = record.spec().id();
  const std::string bytes = EncodeRecord(record);
  if (bytes.size() > kMaxRecordBytes) {
    return ReasonedError(absl::StatusCode::kInvalidArgument, ErrorReason::kStateUnavailable,
                         absl::StrCat("the export's record would be ", bytes.size(),
                                      " bytes; at most ", kMaxRecordBytes, " can be kept"));
  }
  const std::string temporary = TemporaryName(id);
  const auto written = WriteFile(exports_.get(), temporary, bytes, syncing == Syncing::kFirst);
  if (!written.ok()) {
    ::unlinkat(exports_.get(), temporary.c_str(), 0);
    return StateError(
        ErrnoStatus(written.error(), absl::StrCat("write ", JoinPath(directory_, temporary))));
  }
  if (::renameat(exports_.get(), temporary.c_str(), exports_.get(), id.c_str()) != 0) {
    return Failure("rename into place", id);
  }
  return absl::OkStatus();
}

absl::Status ExportStore::Sync(const std::string& id) const {
  const os::UniqueFd fd(::openat(exports_.get(), id.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd.valid() || ::fsync(fd.get()) != 0) return Failure("sync", id);
  return SyncDirectory();
}

absl::Status ExportStore::Remove(const std::string& id) {
  if (::unlinkat(exports_.get(), id.c_str(), 0) != 0) {
    if (errno == ENOENT) return absl::OkStatus();
    return Failure("remove", id);
  }
  return SyncDirectory();
}

absl::Status ExportStore::SyncDirectory() const {
  if (::fsync(exports_.get()) != 0) return Failure("sync", ".");
  return absl::OkStatus();
}

absl::Status ExportStore::Failure(std::string_view what, const std::string& name) const {
  return StateError(
      ErrnoStatus(Errno::Last(), absl::StrCat(Absl(what), " ", JoinPath(directory_, name))));
}

}  // namespace fsd::supervisor
