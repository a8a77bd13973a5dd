// LateFilesystem: completes every operation of another file system late, on a thread of its own and
// out of order.
//
// For tests: whoever calls a Filesystem must cope with operations that are pending.
#ifndef FSD_BACKENDS_LATE_FILESYSTEM_H_
#define FSD_BACKENDS_LATE_FILESYSTEM_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "backends/filesystem.h"
#include "server/os/mutex.h"

namespace fsd::backends {

class LateFilesystem : public Filesystem {
 public:
  // `filesystem` is borrowed; what it completes late itself passes through. `seed` decides the
  // order.
  LateFilesystem(Filesystem& filesystem, uint32_t seed);
  // Completes what is pending first.
  ~LateFilesystem() override;

  void Reset() override { filesystem_.Reset(); }
  void EndWaits() override { filesystem_.EndWaits(); }
  FilesystemUsage Usage() const override { return filesystem_.Usage(); }
  void Forget(NodeId node, uint64_t count) override { filesystem_.Forget(node, count); }

  Outcome<Entry> Lookup(Call<Entry>, NodeId, std::string_view) override;
  Outcome<Entry> Symlink(Call<Entry>, NodeId, std::string_view, std::string_view,
                         const Creation&) override;
  Outcome<Entry> MakeNode(Call<Entry>, NodeId, std::string_view, uint32_t, dev_t,
                          const Creation&) override;
  Outcome<Entry> MakeDirectory(Call<Entry>, NodeId, std::string_view, uint32_t,
                               const Creation&) override;
  Outcome<void> Unlink(Call<void>, NodeId, std::string_view) override;
  Outcome<void> RemoveDirectory(Call<void>, NodeId, std::string_view) override;
  Outcome<void> Rename(Call<void>, NodeId, std::string_view, NodeId, std::string_view,
                       uint32_t) override;
  Outcome<Entry> Link(Call<Entry>, NodeId, NodeId, std::string_view) override;
  Outcome<size_t> ReadLink(Call<size_t>, NodeId, IoVectors) override;
  Outcome<Attributes> GetAttributes(Call<Attributes>, NodeId, std::optional<FileHandle>) override;
  Outcome<Attributes> SetAttributes(Call<Attributes>, NodeId, std::optional<FileHandle>,
                                    const AttributeChanges&) override;
  Outcome<void> Access(Call<void>, NodeId, uint32_t) override;
  Outcome<struct ::statvfs> StatFilesystem(Call<struct ::statvfs>, NodeId) override;
  Outcome<OpenFile> Open(Call<OpenFile>, NodeId, OpenOptions) override;
  Outcome<CreatedFile> Create(Call<CreatedFile>, NodeId, std::string_view, uint32_t, OpenOptions,
                              const Creation&) override;
  Outcome<CreatedFile> CreateTemporary(Call<CreatedFile>, NodeId, uint32_t, OpenOptions,
                                       const Creation&) override;
  Outcome<size_t> Read(Call<size_t>, NodeId, FileHandle, uint64_t, IoVectors) override;
  Outcome<size_t> Write(Call<size_t>, NodeId, FileHandle, uint64_t, IoVectors,
                        WriteOptions) override;
  Outcome<void> Flush(Call<void>, NodeId, FileHandle, uint64_t) override;
  Outcome<void> Release(Call<void>, NodeId, FileHandle) override;
  Outcome<void> Fsync(Call<void>, NodeId, FileHandle, bool) override;
  Outcome<void> Fallocate(Call<void>, NodeId, FileHandle, uint32_t, uint64_t, uint64_t) override;
  Outcome<uint64_t> Seek(Call<uint64_t>, NodeId, FileHandle, uint64_t, uint32_t) override;
  Outcome<uint64_t> CopyRange(Call<uint64_t>, FileRange, FileRange, uint64_t, uint32_t) override;
  Outcome<size_t> Ioctl(Call<size_t>, NodeId, FileHandle, uint32_t, std::span<const char>,
                        IoVectors) override;
  Outcome<void> SyncFilesystem(Call<void>, NodeId) override;
  Outcome<FileLock> GetLock(Call<FileLock>, NodeId, FileHandle, uint64_t, const FileLock&) override;
  Outcome<void> SetLock(Call<void>, NodeId, FileHandle, const FileLock&, LockOptions) override;
  Outcome<void> SetXattr(Call<void>, NodeId, std::string_view, std::span<const char>, uint32_t,
                         bool) override;
  Outcome<size_t> GetXattr(Call<size_t>, NodeId, std::string_view, IoVectors) override;
  Outcome<size_t> ListXattr(Call<size_t>, NodeId, IoVectors) override;
  Outcome<void> RemoveXattr(Call<void>, NodeId, std::string_view) override;
  Outcome<OpenFile> OpenDirectory(Call<OpenFile>, NodeId, uint32_t) override;
  Outcome<void> ReadDirectory(Call<void>, NodeId, FileHandle, uint64_t, DirectorySink&) override;
  Outcome<void> ReadDirectoryPlus(Call<void>, NodeId, FileHandle, uint64_t,
                                  DirectorySink&) override;
  Outcome<void> ReleaseDirectory(Call<void>, NodeId, FileHandle) override;
  Outcome<void> FsyncDirectory(Call<void>, NodeId, FileHandle, bool) override;

 private:
  // Queues `operation`, which takes a Call<T> of the wrapped file system.
  template <typename T, typename Operation>
  Outcome<T> Later(Call<T> call, Operation operation);
  void Run();

  Filesystem& filesystem_;
  os::Mutex mutex_;
  os::CondVar queued_;
  std::vector<std::function<void()>> pending_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::minstd_rand random_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace fsd::backends

#endif  // FSD_BACKENDS_LATE_FILESYSTEM_H_
