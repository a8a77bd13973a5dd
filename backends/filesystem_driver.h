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
  void Add(const DirectoryEntry& directory_entry, const Entry* entry) override;

  std::vector<Collected> entries;

 private:
  size_t capacity_;
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
  ErrnoOr<FileHandle> Open(NodeId node, uint32_t flags) const;
  ErrnoOr<std::string> Read(NodeId node, FileHandle handle, uint64_t offset, size_t size) const;
  ErrnoOr<size_t> Write(NodeId node, FileHandle handle, uint64_t offset, std::string_view data,
                        WriteOptions options = {}) const;
  ErrnoOr<void> Release(NodeId node, FileHandle handle) const;
  ErrnoOr<void> Fallocate(NodeId node, FileHandle handle, uint32_t mode, uint64_t offset,
                          uint64_t length) const;
  ErrnoOr<uint64_t> Seek(NodeId node, FileHandle handle, uint64_t offset, uint32_t whence) const;
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
  Filesystem& filesystem_;
  Caller caller_;
};

namespace internal {

// A call that somebody waits for.
template <typename T>
struct AwaitedCall : CallState {
  os::Mutex mutex;
  os::CondVar completed;
  std::optional<ErrnoOr<T>> result ABSL_GUARDED_BY(mutex);

  static void Resume(CallState& state, ErrnoOr<T> result) {
    auto& self = static_cast<AwaitedCall&>(state);
    os::MutexLock lock(self.mutex);
    FSD_CHECK(!self.result.has_value());
    self.result.emplace(std::move(result));
    self.completed.NotifyAll();
  }
};

}  // namespace internal

template <typename T, typename Operation>
ErrnoOr<T> FilesystemDriver::Await(Operation operation) const {
  internal::AwaitedCall<T> call;
  call.caller = caller_;
  Outcome<T> outcome = operation(Call<T>(call, &internal::AwaitedCall<T>::Resume));
  if (!outcome.pending()) return std::move(outcome).result();
  os::MutexLock lock(call.mutex);
  while (!call.result.has_value()) call.completed.Wait(call.mutex);
  return *std::move(call.result);
}

}  // namespace fsd::backends

#endif  // FSD_BACKENDS_FILESYSTEM_DRIVER_H_
