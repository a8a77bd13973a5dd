// FilesystemDriver: calls a Filesystem's operations and waits for those that are pending.
//
// For tests: a thin, synchronous face with the names of the operations.
#ifndef FSD_BACKENDS_FILESYSTEM_DRIVER_H_
#define FSD_BACKENDS_FILESYSTEM_DRIVER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "backends/filesystem.h"
#include "server/errors/check.h"
#include "server/errors/errno_or.h"
#include "server/os/mutex.h"

namespace fsd::backends {

// Collects a directory's entries, at most `capacity` of them.
class EntryCollector : public DirectorySink {
 public:
  struct Collected {
    std::string name;
    uint64_t ino = 0;
    uint64_t next_offset = 0;
    uint32_t type = 0;
    std::optional<Entry> entry;
  };

  explicit EntryCollector(size_t capacity) : capacity_(capacity) {}

  bool Fits(std::string_view) const override { return entries.size() < capacity_; }
  size_t MostEntries() const override { return capacity_ - entries.size(); }
  void Add(const DirectoryEntry& directory_entry, const Entry* entry) override;

  std::vector<Collected> entries;

 private:
  size_t capacity_;
};

// A call that has been made and may still be pending. It must be completed before it is destroyed,
// which waits for it.
template <typename T>
class StartedCall {
 public:
  // `operation` takes a Call<T> and returns an Outcome<T>.
  template <typename Operation>
  StartedCall(Caller caller, Operation operation) {
    state_.caller = caller;
    Outcome<T> outcome = operation(Call<T>(state_, &State::Resume));
    if (outcome.pending()) return;
    State::Resume(state_, std::move(outcome).result());
  }
  ~StartedCall() { (void)Wait(); }
  StartedCall(const StartedCall&) = delete;
  StartedCall& operator=(const StartedCall&) = delete;

  bool completed() {
    os::MutexLock lock(state_.mutex);
    return state_.result.has_value();
  }
  ErrnoOr<T> Wait() {
    os::MutexLock lock(state_.mutex);
    while (!state_.result.has_value()) state_.completed.Wait(state_.mutex);
    return *state_.result;
  }

 private:
  struct State : CallState {
    os::Mutex mutex;
    os::CondVar completed;
    std::optional<ErrnoOr<T>> result ABSL_GUARDED_BY(mutex);

    static void Resume(CallState& state, ErrnoOr<T>&& result) {
      auto& self = static_cast<State&>(state);
      os::MutexLock lock(self.mutex);
      FSD_CHECK(!self.result.has_value());
      self.result.emplace(std::move(result));
      self.completed.NotifyAll();
    }
  };

  State state_;
};

class FilesystemDriver {
 public:
  explicit FilesystemDriver(Filesystem& filesystem) : filesystem_(filesystem) {}

  Filesystem& filesystem() const { return filesystem_; }
  void set_caller(Caller caller) { caller_ = caller; }

  // Runs `operation`, which takes a Call<T> and returns an Outcome<T>, to its completion.
  template <typename T, typename Operation>
  ErrnoOr<T> Await(Operation operation) const;

  ErrnoOr<Entry> Lookup(NodeId parent, std::string_view name) const;
  ErrnoOr<Entry> MakeDirectory(NodeId parent, std::string_view name, uint32_t mode = 0755) const;
  ErrnoOr<Entry> MakeNode(NodeId parent, std::string_view name, uint32_t mode) const;
  ErrnoOr<Entry> Symlink(NodeId parent, std::string_view name, std::string_view target) const;
  ErrnoOr<Entry> Link(NodeId node, NodeId parent, std::string_view name) const;
  ErrnoOr<void> Unlink(NodeId parent, std::string_view name) const;
  ErrnoOr<void> RemoveDirectory(NodeId parent, std::string_view name) const;
  ErrnoOr<void> Rename(NodeId parent, std::string_view name, NodeId new_parent,
                       std::string_view new_name, uint32_t flags = 0) const;
  // At most `room` bytes of the target.
  ErrnoOr<std::string> ReadLink(NodeId node, size_t room = 4096) const;
  ErrnoOr<Attributes> GetAttributes(NodeId node) const;
  ErrnoOr<Attributes> SetAttributes(NodeId node, const AttributeChanges& changes) const;
  ErrnoOr<CreatedFile> Create(NodeId parent, std::string_view name, uint32_t flags,
                              uint32_t mode = 0644, uint32_t umask = 0) const;
  ErrnoOr<CreatedFile> CreateTemporary(NodeId parent, uint32_t flags, uint32_t mode = 0644,
                                       uint32_t umask = 0) const;
  ErrnoOr<FileHandle> Open(NodeId node, uint32_t flags) const;
  ErrnoOr<std::string> Read(NodeId node, FileHandle handle, uint64_t offset, size_t size) const;
  ErrnoOr<size_t> Write(NodeId node, FileHandle handle, uint64_t offset, std::string_view data,
                        WriteOptions options = {}) const;
  ErrnoOr<void> Flush(NodeId node, FileHandle handle, uint64_t lock_owner) const;
  ErrnoOr<void> Release(NodeId node, FileHandle handle) const;
  ErrnoOr<void> Fallocate(NodeId node, FileHandle handle, uint32_t mode, uint64_t offset,
                          uint64_t length) const;
  ErrnoOr<uint64_t> Seek(NodeId node, FileHandle handle, uint64_t offset, uint32_t whence) const;
  ErrnoOr<uint64_t> CopyRange(const FileRange& from, const FileRange& to, uint64_t length,
                              uint32_t flags = 0) const;
  // The output, of which there is room for `room` bytes.
  ErrnoOr<std::string> Ioctl(NodeId node, FileHandle handle, uint32_t command,
                             std::string_view input, size_t room) const;
  ErrnoOr<void> SyncFilesystem(NodeId node) const;
  ErrnoOr<FileLock> GetLock(NodeId node, FileHandle handle, uint64_t owner,
                            const FileLock& lock) const;
  ErrnoOr<void> SetLock(NodeId node, FileHandle handle, const FileLock& lock,
                        LockOptions options) const;
  // The same, not waited for.
  std::unique_ptr<StartedCall<void>> StartSetLock(NodeId node, FileHandle handle,
                                                  const FileLock& lock, LockOptions options) const;

  ErrnoOr<void> SetXattr(NodeId node, std::string_view name, std::string_view value,
                         uint32_t flags = 0, bool kill_sgid = false) const;
  // `room` bytes at most; without any, what results in the length is given as so many NULs.
  ErrnoOr<std::string> GetXattr(NodeId node, std::string_view name, size_t room = 65536) const;
  // The names, each with its NUL; `room` as above.
  ErrnoOr<std::string> ListXattr(NodeId node, size_t room = 65536) const;
  ErrnoOr<void> RemoveXattr(NodeId node, std::string_view name) const;

  ErrnoOr<FileHandle> OpenDirectory(NodeId node) const;
  ErrnoOr<void> ReadDirectory(NodeId node, FileHandle handle, uint64_t offset, DirectorySink& sink,
                              bool plus) const;
  ErrnoOr<void> ReleaseDirectory(NodeId node, FileHandle handle) const;

  // Creates a file with these contents and closes it; its lookup count is 1.
  ErrnoOr<Entry> MakeFile(NodeId parent, std::string_view name, std::string_view contents) const;
  // A file's whole contents.
  ErrnoOr<std::string> Contents(NodeId node) const;
  // A directory's names, read `batch` at a time. Every name is given once or EIO results.
  ErrnoOr<std::set<std::string>> Names(NodeId directory, size_t batch = 1000) const;

 private:
  // What `operation`, given a Call<size_t> and IoVectors of `room` bytes, results in.
  template <typename Operation>
  ErrnoOr<std::string> Fill(size_t room, Operation operation) const;

  Filesystem& filesystem_;
  Caller caller_;
};

template <typename T, typename Operation>
ErrnoOr<T> FilesystemDriver::Await(Operation operation) const {
  StartedCall<T> call(caller_, std::move(operation));
  return call.Wait();
}

}  // namespace fsd::backends

#endif  // FSD_BACKENDS_FILESYSTEM_DRIVER_H_
