// MemoryFilesystem: a tree in RAM.
//
// The reference of the contract suite, the floor that benchmarks measure the rest of the house
// against, and a file system for fuzzing that touches no host file. One lock around all of it; it
// checks no permissions (the guest does, from the attributes). Only who waits for a lock is
// pending.
//
// It has no ioctls, no whiteouts and no ACLs, and nothing of it works without handles.
#ifndef FSD_BACKENDS_MEMORY_MEMORY_FILESYSTEM_H_
#define FSD_BACKENDS_MEMORY_MEMORY_FILESYSTEM_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "backends/filesystem.h"
#include "backends/memory/file_locks.h"
#include "backends/memory/sparse_data.h"
#include "server/os/mutex.h"

namespace fsd::memory {

struct MemoryLimits {
  uint64_t pages = 65536;    // of SparseData::kPageBytes, in all files together
  uint64_t inodes = 100000;  // ENOSPC beyond
  uint64_t handles = 65536;  // ENFILE beyond
  uint64_t locks = 65536;    // and who waits for one; ENOLCK beyond
};

class MemoryFilesystem : public backends::Filesystem {
 public:
  explicit MemoryFilesystem(MemoryLimits limits = {});
  ~MemoryFilesystem() override;

  void Reset() override;
  void EndWaits() override;
  backends::FilesystemUsage Usage() const override;

  backends::Outcome<backends::Entry> Lookup(backends::Call<backends::Entry>,
                                            backends::NodeId parent,
                                            std::string_view name) override;
  void Forget(backends::NodeId node, uint64_t count) override;
  backends::Outcome<backends::Entry> Symlink(backends::Call<backends::Entry>,
                                             backends::NodeId parent, std::string_view name,
                                             std::string_view target,
                                             const backends::Creation& creation) override;
  backends::Outcome<backends::Entry> MakeNode(backends::Call<backends::Entry>,
                                              backends::NodeId parent, std::string_view name,
                                              uint32_t mode, dev_t device,
                                              const backends::Creation& creation) override;
  backends::Outcome<backends::Entry> MakeDirectory(backends::Call<backends::Entry>,
                                                   backends::NodeId parent, std::string_view name,
                                                   uint32_t mode,
                                                   const backends::Creation& creation) override;
  backends::Outcome<void> Unlink(backends::Call<void>, backends::NodeId parent,
                                 std::string_view name) override;
  backends::Outcome<void> RemoveDirectory(backends::Call<void>, backends::NodeId parent,
                                          std::string_view name) override;
  backends::Outcome<void> Rename(backends::Call<void>, backends::NodeId parent,
                                 std::string_view name, backends::NodeId new_parent,
                                 std::string_view new_name, uint32_t flags) override;
  backends::Outcome<backends::Entry> Link(backends::Call<backends::Entry>, backends::NodeId node,
                                          backends::NodeId new_parent,
                                          std::string_view new_name) override;
  backends::Outcome<size_t> ReadLink(backends::Call<size_t>, backends::NodeId node,
                                     backends::IoVectors destination) override;
  backends::Outcome<backends::Attributes> GetAttributes(
      backends::Call<backends::Attributes>, backends::NodeId node,
      std::optional<backends::FileHandle> handle) override;
  backends::Outcome<backends::Attributes> SetAttributes(
      backends::Call<backends::Attributes>, backends::NodeId node,
      std::optional<backends::FileHandle> handle,
      const backends::AttributeChanges& changes) override;
  backends::Outcome<void> Access(backends::Call<void>, backends::NodeId node,
                                 uint32_t mask) override;
  backends::Outcome<struct ::statvfs> StatFilesystem(backends::Call<struct ::statvfs>,
                                                     backends::NodeId node) override;
  backends::Outcome<backends::OpenFile> Open(backends::Call<backends::OpenFile>,
                                             backends::NodeId node,
                                             backends::OpenOptions options) override;
  backends::Outcome<backends::CreatedFile> Create(backends::Call<backends::CreatedFile>,
                                                  backends::NodeId parent, std::string_view name,
                                                  uint32_t mode, backends::OpenOptions options,
                                                  const backends::Creation& creation) override;
  backends::Outcome<size_t> Read(backends::Call<size_t>, backends::NodeId node,
                                 backends::FileHandle handle, uint64_t offset,
                                 backends::IoVectors destination) override;
  backends::Outcome<size_t> Write(backends::Call<size_t>, backends::NodeId node,
                                  backends::FileHandle handle, uint64_t offset,
                                  backends::IoVectors source,
                                  backends::WriteOptions options) override;
  backends::Outcome<void> Flush(backends::Call<void>, backends::NodeId node,
                                backends::FileHandle handle, uint64_t lock_owner) override;
  backends::Outcome<void> Release(backends::Call<void>, backends::NodeId node,
                                  backends::FileHandle handle) override;
  backends::Outcome<void> Fsync(backends::Call<void>, backends::NodeId node,
                                backends::FileHandle handle, bool data_only) override;
  backends::Outcome<void> Fallocate(backends::Call<void>, backends::NodeId node,
                                    backends::FileHandle handle, uint32_t mode, uint64_t offset,
                                    uint64_t length) override;
  backends::Outcome<uint64_t> Seek(backends::Call<uint64_t>, backends::NodeId node,
                                   backends::FileHandle handle, uint64_t offset,
                                   uint32_t whence) override;
  backends::Outcome<backends::CreatedFile> CreateTemporary(
      backends::Call<backends::CreatedFile>, backends::NodeId parent, uint32_t mode,
      backends::OpenOptions options, const backends::Creation& creation) override;
  backends::Outcome<uint64_t> CopyRange(backends::Call<uint64_t>, backends::FileRange from,
                                        backends::FileRange to, uint64_t length,
                                        uint32_t flags) override;
  backends::Outcome<void> SyncFilesystem(backends::Call<void>, backends::NodeId node) override;
  backends::Outcome<backends::FileLock> GetLock(backends::Call<backends::FileLock>,
                                                backends::NodeId node, backends::FileHandle handle,
                                                uint64_t owner,
                                                const backends::FileLock& lock) override;
  backends::Outcome<void> SetLock(backends::Call<void>, backends::NodeId node,
                                  backends::FileHandle handle, const backends::FileLock& lock,
                                  backends::LockOptions options) override;
  backends::Outcome<void> SetXattr(backends::Call<void>, backends::NodeId node,
                                   std::string_view name, std::span<const char> value,
                                   uint32_t flags, bool kill_sgid) override;
  backends::Outcome<size_t> GetXattr(backends::Call<size_t>, backends::NodeId node,
                                     std::string_view name,
                                     backends::IoVectors destination) override;
  backends::Outcome<size_t> ListXattr(backends::Call<size_t>, backends::NodeId node,
                                      backends::IoVectors destination) override;
  backends::Outcome<void> RemoveXattr(backends::Call<void>, backends::NodeId node,
                                      std::string_view name) override;
  backends::Outcome<backends::OpenFile> OpenDirectory(backends::Call<backends::OpenFile>,
                                                      backends::NodeId node,
                                                      uint32_t flags) override;
  backends::Outcome<void> ReadDirectory(backends::Call<void>, backends::NodeId node,
                                        backends::FileHandle handle, uint64_t offset,
                                        backends::DirectorySink& sink) override;
  backends::Outcome<void> ReadDirectoryPlus(backends::Call<void>, backends::NodeId node,
                                            backends::FileHandle handle, uint64_t offset,
                                            backends::DirectorySink& sink) override;
  backends::Outcome<void> ReleaseDirectory(backends::Call<void>, backends::NodeId node,
                                           backends::FileHandle handle) override;
  backends::Outcome<void> FsyncDirectory(backends::Call<void>, backends::NodeId node,
                                         backends::FileHandle handle, bool data_only) override;

 private:
  struct Inode;
  struct Handle;
  using InodeRef = std::shared_ptr<Inode>;

  // A directory that takes the name; or why not.
  ErrnoOr<InodeRef> Directory(backends::NodeId node) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  ErrnoOr<InodeRef> Find(backends::NodeId node) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  ErrnoOr<InodeRef> Child(const Inode& directory, std::string_view name) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  ErrnoOr<Handle*> FindHandle(backends::NodeId node, backends::FileHandle handle, bool directory)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // Makes an inode that has no name yet, as if in `directory`.
  ErrnoOr<InodeRef> MakeInode(const Inode& directory, uint32_t mode, const backends::Caller& caller)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Makes an inode under `name` in `parent`; EEXIST if there is one.
  ErrnoOr<InodeRef> Make(backends::NodeId parent, std::string_view name, uint32_t mode,
                         const backends::Caller& caller) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Insert(Inode& directory, std::string_view name, InodeRef child)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Erase(Inode& directory, std::string_view name) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Counts a lookup.
  backends::Entry EntryOf(const InodeRef& inode) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  ErrnoOr<backends::FileHandle> OpenInode(const InodeRef& inode, uint32_t flags)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  ErrnoOr<backends::CreatedFile> OpenMade(const InodeRef& inode,
                                          const backends::OpenOptions& options)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  ErrnoOr<void> CloseHandle(backends::NodeId node, backends::FileHandle handle, bool directory)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  ErrnoOr<void> List(backends::NodeId node, backends::FileHandle handle, uint64_t offset,
                     backends::DirectorySink& sink, bool plus)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const MemoryLimits limits_;
  mutable os::Mutex mutex_;
  PageBudget budget_ ABSL_GUARDED_BY(mutex_);
  FileLocks::Budget lock_budget_ ABSL_GUARDED_BY(mutex_);
  uint64_t inode_count_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t next_ino_ ABSL_GUARDED_BY(mutex_) = 1;
  // Numbers are never given twice, so a forgotten one never names another inode.
  uint64_t next_handle_ ABSL_GUARDED_BY(mutex_) = 1;
  InodeRef root_ ABSL_GUARDED_BY(mutex_);
  std::map<uint64_t, InodeRef> known_ ABSL_GUARDED_BY(mutex_);  // to the guest, by NodeId
  std::map<uint64_t, std::unique_ptr<Handle>> handles_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace fsd::memory

#endif  // FSD_BACKENDS_MEMORY_MEMORY_FILESYSTEM_H_
