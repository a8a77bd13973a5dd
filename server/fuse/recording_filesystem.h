// RecordingFilesystem: a Filesystem for tests that writes down what it is asked and answers what it
// was told to, in any of the ways that the interface allows.
#ifndef FSD_SERVER_FUSE_RECORDING_FILESYSTEM_H_
#define FSD_SERVER_FUSE_RECORDING_FILESYSTEM_H_

#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "backends/filesystem.h"

namespace fsd::fuse {

class RecordingFilesystem final : public backends::Filesystem {
 public:
  enum class Manner {
    kAtOnce,        // the result is returned
    kBeforeReturn,  // Pending is returned, but another thread has completed it by then
    kLater,         // Pending is returned; CompleteAll completes
    kNever,         // Pending is returned and the Completion destroyed unused
  };

  struct Listed {
    std::string name;
    uint64_t node = 0;  // 0: not looked up
  };

  // --- how to answer ---
  Manner manner = Manner::kAtOnce;
  int error = 0;          // fail with this instead
  bool record = true;     // off where allocations are counted
  backends::Entry entry;  // LOOKUP and its kin
  backends::FileHandle handle{};
  struct ::statvfs statistics {};
  std::string content;          // what files, symlinks, attributes and ioctls hold
  size_t boast = 0;             // claim so many bytes more than were read or written
  uint64_t sought = 0;          // LSEEK's result, and COPY_FILE_RANGE's
  backends::FileLock lock;      // GETLK's result
  std::vector<Listed> listing;  // a directory's entries; their offsets are 1, 2, …
  std::atomic<int> resets{0};

  // --- what was asked ---
  // Each call as "Operation(argument, …)"; handles as fh=…, absent ones as fh=none.
  std::vector<std::string> TakeCalls();
  std::string written;                // by WRITE
  backends::Caller caller;            // of the last call
  std::vector<iovec> lent;            // destination or source of the last READ, WRITE, READLINK
  std::vector<std::string> accepted;  // names that fitted into the last READDIR's reply

  // Completes what is pending, the last first.
  void CompleteAll();

  void Reset() override { ++resets; }
  backends::Outcome<backends::Entry> Lookup(backends::Call<backends::Entry> call,
                                            backends::NodeId parent,
                                            std::string_view name) override;
  void Forget(backends::NodeId node, uint64_t count) override;
  backends::Outcome<backends::Entry> Symlink(backends::Call<backends::Entry> call,
                                             backends::NodeId parent, std::string_view name,
                                             std::string_view target,
                                             const backends::Creation& creation) override;
  backends::Outcome<backends::Entry> MakeNode(backends::Call<backends::Entry> call,
                                              backends::NodeId parent, std::string_view name,
                                              uint32_t mode, dev_t device,
                                              const backends::Creation& creation) override;
  backends::Outcome<backends::Entry> MakeDirectory(backends::Call<backends::Entry> call,
                                                   backends::NodeId parent, std::string_view name,
                                                   uint32_t mode,
                                                   const backends::Creation& creation) override;
  backends::Outcome<void> Unlink(backends::Call<void> call, backends::NodeId parent,
                                 std::string_view name) override;
  backends::Outcome<void> RemoveDirectory(backends::Call<void> call, backends::NodeId parent,
                                          std::string_view name) override;
  backends::Outcome<void> Rename(backends::Call<void> call, backends::NodeId parent,
                                 std::string_view name, backends::NodeId new_parent,
                                 std::string_view new_name, uint32_t flags) override;
  backends::Outcome<backends::Entry> Link(backends::Call<backends::Entry> call,
                                          backends::NodeId node, backends::NodeId new_parent,
                                          std::string_view new_name) override;
  backends::Outcome<size_t> ReadLink(backends::Call<size_t> call, backends::NodeId node,
                                     backends::IoVectors destination) override;
  backends::Outcome<backends::Attributes> GetAttributes(
      backends::Call<backends::Attributes> call, backends::NodeId node,
      std::optional<backends::FileHandle> file) override;
  backends::Outcome<backends::Attributes> SetAttributes(
      backends::Call<backends::Attributes> call, backends::NodeId node,
      std::optional<backends::FileHandle> file, const backends::AttributeChanges& changes) override;
  backends::Outcome<void> Access(backends::Call<void> call, backends::NodeId node,
                                 uint32_t mask) override;
  backends::Outcome<struct ::statvfs> StatFilesystem(backends::Call<struct ::statvfs> call,
                                                     backends::NodeId node) override;
  backends::Outcome<backends::OpenFile> Open(backends::Call<backends::OpenFile> call,
                                             backends::NodeId node,
                                             backends::OpenOptions options) override;
  backends::Outcome<backends::CreatedFile> Create(backends::Call<backends::CreatedFile> call,
                                                  backends::NodeId parent, std::string_view name,
                                                  uint32_t mode, backends::OpenOptions options,
                                                  const backends::Creation& creation) override;
  backends::Outcome<size_t> Read(backends::Call<size_t> call, backends::NodeId node,
                                 backends::FileHandle file, uint64_t offset,
                                 backends::IoVectors destination) override;
  backends::Outcome<size_t> Write(backends::Call<size_t> call, backends::NodeId node,
                                  backends::FileHandle file, uint64_t offset,
                                  backends::IoVectors source,
                                  backends::WriteOptions options) override;
  backends::Outcome<void> Flush(backends::Call<void> call, backends::NodeId node,
                                backends::FileHandle file, uint64_t lock_owner) override;
  backends::Outcome<void> Release(backends::Call<void> call, backends::NodeId node,
                                  backends::FileHandle file) override;
  backends::Outcome<void> Fsync(backends::Call<void> call, backends::NodeId node,
                                backends::FileHandle file, bool data_only) override;
  backends::Outcome<void> Fallocate(backends::Call<void> call, backends::NodeId node,
                                    backends::FileHandle file, uint32_t mode, uint64_t offset,
                                    uint64_t length) override;
  backends::Outcome<uint64_t> Seek(backends::Call<uint64_t> call, backends::NodeId node,
                                   backends::FileHandle file, uint64_t offset,
                                   uint32_t whence) override;
  backends::Outcome<backends::CreatedFile> CreateTemporary(
      backends::Call<backends::CreatedFile> call, backends::NodeId parent, uint32_t mode,
      backends::OpenOptions options, const backends::Creation& creation) override;
  backends::Outcome<uint64_t> CopyRange(backends::Call<uint64_t> call, backends::FileRange from,
                                        backends::FileRange to, uint64_t length,
                                        uint32_t flags) override;
  backends::Outcome<size_t> Ioctl(backends::Call<size_t> call, backends::NodeId node,
                                  backends::FileHandle file, uint32_t command,
                                  std::span<const char> input, backends::IoVectors output) override;
  backends::Outcome<void> SyncFilesystem(backends::Call<void> call, backends::NodeId node) override;
  backends::Outcome<backends::FileLock> GetLock(backends::Call<backends::FileLock> call,
                                                backends::NodeId node, backends::FileHandle file,
                                                uint64_t owner,
                                                const backends::FileLock& asked) override;
  backends::Outcome<void> SetLock(backends::Call<void> call, backends::NodeId node,
                                  backends::FileHandle file, const backends::FileLock& asked,
                                  backends::LockOptions options) override;
  backends::Outcome<void> SetXattr(backends::Call<void> call, backends::NodeId node,
                                   std::string_view name, std::span<const char> value,
                                   uint32_t flags, bool kill_sgid) override;
  backends::Outcome<size_t> GetXattr(backends::Call<size_t> call, backends::NodeId node,
                                     std::string_view name,
                                     backends::IoVectors destination) override;
  backends::Outcome<size_t> ListXattr(backends::Call<size_t> call, backends::NodeId node,
                                      backends::IoVectors destination) override;
  backends::Outcome<void> RemoveXattr(backends::Call<void> call, backends::NodeId node,
                                      std::string_view name) override;
  backends::Outcome<backends::OpenFile> OpenDirectory(backends::Call<backends::OpenFile> call,
                                                      backends::NodeId node,
                                                      uint32_t flags) override;
  backends::Outcome<void> ReadDirectory(backends::Call<void> call, backends::NodeId node,
                                        backends::FileHandle file, uint64_t offset,
                                        backends::DirectorySink& sink) override;
  backends::Outcome<void> ReadDirectoryPlus(backends::Call<void> call, backends::NodeId node,
                                            backends::FileHandle file, uint64_t offset,
                                            backends::DirectorySink& sink) override;
  backends::Outcome<void> ReleaseDirectory(backends::Call<void> call, backends::NodeId node,
                                           backends::FileHandle file) override;
  backends::Outcome<void> FsyncDirectory(backends::Call<void> call, backends::NodeId node,
                                         backends::FileHandle file, bool data_only) override;

 private:
  template <typename T, typename... Arguments>
  void Note(const backends::Call<T>& call, const absl::FormatSpec<Arguments...>& format,
            const Arguments&... arguments) {
    caller = call.caller();
    if (record) AddCall(absl::StrFormat(format, arguments...));
  }
  void AddCall(std::string call);
  template <typename T>
  backends::Outcome<T> Answer(backends::Call<T> call, ErrnoOr<T> result);
  template <typename T>
  backends::Outcome<T> AnswerValue(backends::Call<T> call, T value) {
    return Answer<T>(call, error != 0 ? ErrnoOr<T>(Errno(error)) : ErrnoOr<T>(std::move(value)));
  }
  backends::Outcome<void> AnswerDone(backends::Call<void> call) {
    return Answer<void>(call, error != 0 ? ErrnoOr<void>(Errno(error)) : ErrnoOr<void>());
  }
  backends::Outcome<size_t> AnswerXattr(backends::Call<size_t> call,
                                        backends::IoVectors destination);
  void NoteLent(backends::IoVectors iovecs);
  void List(uint64_t offset, backends::DirectorySink& sink, bool plus);

  std::mutex mutex_;
  std::vector<std::string> calls_;
  std::vector<std::function<void()>> pending_;
};

}  // namespace fsd::fuse

#endif  // FSD_SERVER_FUSE_RECORDING_FILESYSTEM_H_
