// Filesystem: what a backend offers to the FUSE layer, and the nouns they share.
//
// A backend serves one guest session at a time. Every operation may be called from any thread, and
// many run at once. An operation either returns its result or returns Pending after taking a
// Completion from its Call; a pending operation is completed exactly once, later, from any thread
// (possibly before the operation has returned Pending). So a backend may be synchronous,
// asynchronous, or both by turns.
//
// Buffers and names handed to an operation stay valid until the operation has completed.
//
// Everything in the arguments is the guest's word: names may be empty, "." or "..", or contain '/'
// only where an operation says so; numbers may be stale or invented. A backend answers with an
// errno, never with a CHECK.
#ifndef FSD_BACKENDS_FILESYSTEM_H_
#define FSD_BACKENDS_FILESYSTEM_H_

#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "server/errors/check.h"
#include "server/errors/errno_or.h"

namespace fsd::backends {

// The guest's number for an inode: slot index in the low 32 bits, generation in the high 32.
enum class NodeId : uint64_t {};
inline constexpr NodeId kRootNodeId{1};  // FUSE_ROOT_ID

// The guest's number for an open file or directory ("fh"): slot index and generation likewise.
enum class FileHandle : uint64_t {};

// Who asked, in the guest's ids.
struct Caller {
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint32_t pid = 0;
};

// What a Call and its Completion share. The FUSE layer's request derives from it; one lives in a
// preallocated slot for as long as its operation is not completed.
struct CallState {
  Caller caller;
  uint64_t unique = 0;  // FUSE's number of the request
};

// The obligation to complete one pending operation. Movable; destroying it unused completes the
// operation with EIO, because a request that is never answered hangs the guest for ever.
template <typename T>
class Completion {
 public:
  using Resume = void (*)(CallState&, ErrnoOr<T>);

  Completion(CallState& state, Resume resume) : state_(&state), resume_(resume) {}
  Completion(Completion&& other) noexcept
      : state_(std::exchange(other.state_, nullptr)), resume_(other.resume_) {}
  Completion& operator=(Completion&& other) noexcept {
    if (this != &other) {
      Abandon();
      state_ = std::exchange(other.state_, nullptr);
      resume_ = other.resume_;
    }
    return *this;
  }
  ~Completion() { Abandon(); }

  // Completes the operation. At most once.
  void operator()(ErrnoOr<T> result) {
    FSD_CHECK(state_ != nullptr);
    resume_(*std::exchange(state_, nullptr), std::move(result));
  }

 private:
  void Abandon() {
    if (state_ != nullptr) (*this)(Errno(EIO));
  }

  CallState* state_;
  Resume resume_;
};

// One call of an operation that results in a T. A small value; copy it freely.
template <typename T>
class Call {
 public:
  Call(CallState& state, typename Completion<T>::Resume resume) : state_(&state), resume_(resume) {}

  const Caller& caller() const { return state_->caller; }
  uint64_t unique() const { return state_->unique; }
  // The operation will return Pending and be completed by what this returns. At most once a call.
  Completion<T> Defer() const { return Completion<T>(*state_, resume_); }

 private:
  CallState* state_;
  typename Completion<T>::Resume resume_;
};

struct Pending {};
inline constexpr Pending kPending{};

// An operation's result, an errno, or Pending.
template <typename T>
class [[nodiscard]] Outcome {
 public:
  Outcome(Pending) {}                                         // NOLINT: implicit by intent
  Outcome(Errno error) : result_(ErrnoOr<T>(error)) {}        // NOLINT: implicit by intent
  Outcome(ErrnoOr<T> result) : result_(std::move(result)) {}  // NOLINT: implicit by intent
  template <typename U = T>
  requires(!std::is_void_v<U> && std::is_convertible_v<U, T>) Outcome(U value)
      : result_(ErrnoOr<T>(T(std::move(value)))) {}  // NOLINT: implicit by intent

  bool pending() const { return !result_.has_value(); }
  // Only when !pending().
  ErrnoOr<T>&& result() && {
    FSD_CHECK(result_.has_value());
    return *std::move(result_);
  }

 private:
  std::optional<ErrnoOr<T>> result_;
};

// An inode's attributes as statx(2) reports them; STATX_ATTR_MOUNT_ROOT marks a submount's root.
using Attributes = struct ::statx;

// The answer to whatever makes a name known to the guest. Each Entry handed out adds one to the
// inode's lookup count, which Forget gives back.
struct Entry {
  NodeId node{};
  Attributes attributes{};
};

struct OpenFile {
  FileHandle handle{};
};

struct CreatedFile {
  Entry entry;
  FileHandle handle{};
};

// What SETATTR wants changed; absent members stay as they are.
struct AttributeChanges {
  struct Time {
    bool now = false;  // the server's present time; `time` is ignored
    timespec time{};
  };
  std::optional<uint32_t> mode;
  std::optional<uint32_t> uid;
  std::optional<uint32_t> gid;
  std::optional<uint64_t> size;
  std::optional<Time> access_time;
  std::optional<Time> modification_time;
  bool kill_suidgid = false;  // FATTR_KILL_SUIDGID: clear setuid/setgid as the change demands
};

struct WriteOptions {
  bool writeback = false;  // FUSE_WRITE_CACHE: from the guest's page cache, the caller is unknown
  bool kill_suidgid = false;  // FUSE_WRITE_KILL_SUIDGID
  // Whether the guest's file has O_APPEND now (fuse_write_in.flags; fcntl(2) can change it).
  // Absent: as it was opened. An appending write goes to the end, unless it is a writeback.
  std::optional<bool> append = std::nullopt;
};

struct DirectoryEntry {
  std::string_view name;
  uint64_t ino = 0;
  uint64_t next_offset = 0;  // where the entry behind this one starts; opaque to the guest
  uint32_t type = 0;         // DT_*
};

// Where a directory's entries go. Lives until the operation completes.
class DirectorySink {
 public:
  virtual ~DirectorySink() = default;
  // Whether an entry of this name still fits. Ask before a lookup count is taken for it.
  virtual bool Fits(std::string_view name) const = 0;
  // Adds an entry that fits; `entry` only for ReadDirectoryPlus, absent where the name could not be
  // looked up or is "." or "..".
  virtual void Add(const DirectoryEntry& directory_entry, const Entry* entry) = 0;
};

// Guest memory to fill or to take from.
using IoVectors = std::span<const iovec>;

// What a backend holds for the session, for status and tests.
struct FilesystemUsage {
  uint64_t inodes = 0;      // known to the guest, the root included
  uint64_t open_files = 0;  // files and directories
};

// Each operation answers ENOSYS unless a backend overrides it. Names of operations are those of
// FUSE's opcodes; the errno are Linux's for the like-named system call.
class Filesystem {
 public:
  virtual ~Filesystem() = default;

  // The guest's session is over: forgets every inode but the root, closes every handle. Operations
  // still running finish with an errno or their result. May block.
  virtual void Reset() {}
  virtual FilesystemUsage Usage() const { return {}; }

  // --- names ---
  virtual Outcome<Entry> Lookup(Call<Entry>, NodeId /*parent*/, std::string_view /*name*/) {
    return Errno(ENOSYS);
  }
  // Gives back `count` lookups; more than were given counts as all of them.
  virtual void Forget(NodeId, uint64_t /*count*/) {}
  virtual Outcome<Entry> Symlink(Call<Entry>, NodeId /*parent*/, std::string_view /*name*/,
                                 std::string_view /*target*/) {
    return Errno(ENOSYS);
  }
  // `mode` with file type; `device` as in mknod(2), for device nodes only.
  virtual Outcome<Entry> MakeNode(Call<Entry>, NodeId /*parent*/, std::string_view /*name*/,
                                  uint32_t /*mode*/, uint32_t /*umask*/, dev_t /*device*/) {
    return Errno(ENOSYS);
  }
  virtual Outcome<Entry> MakeDirectory(Call<Entry>, NodeId /*parent*/, std::string_view /*name*/,
                                       uint32_t /*mode*/, uint32_t /*umask*/) {
    return Errno(ENOSYS);
  }
  virtual Outcome<void> Unlink(Call<void>, NodeId /*parent*/, std::string_view /*name*/) {
    return Errno(ENOSYS);
  }
  virtual Outcome<void> RemoveDirectory(Call<void>, NodeId /*parent*/, std::string_view /*name*/) {
    return Errno(ENOSYS);
  }
  // `flags` as in renameat2(2).
  virtual Outcome<void> Rename(Call<void>, NodeId /*parent*/, std::string_view /*name*/,
                               NodeId /*new_parent*/, std::string_view /*new_name*/,
                               uint32_t /*flags*/) {
    return Errno(ENOSYS);
  }
  virtual Outcome<Entry> Link(Call<Entry>, NodeId, NodeId /*new_parent*/,
                              std::string_view /*new_name*/) {
    return Errno(ENOSYS);
  }
  // Results in the target's length; no terminating NUL. Longer targets are cut like readlink(2)'s.
  virtual Outcome<size_t> ReadLink(Call<size_t>, NodeId, IoVectors /*destination*/) {
    return Errno(ENOSYS);
  }

  // --- attributes ---
  virtual Outcome<Attributes> GetAttributes(Call<Attributes>, NodeId, std::optional<FileHandle>) {
    return Errno(ENOSYS);
  }
  virtual Outcome<Attributes> SetAttributes(Call<Attributes>, NodeId, std::optional<FileHandle>,
                                            const AttributeChanges&) {
    return Errno(ENOSYS);
  }
  // `mask` as in access(2).
  virtual Outcome<void> Access(Call<void>, NodeId, uint32_t /*mask*/) { return Errno(ENOSYS); }
  virtual Outcome<struct ::statvfs> StatFilesystem(Call<struct ::statvfs>, NodeId) {
    return Errno(ENOSYS);
  }

  // --- files ---
  // `flags` as in open(2).
  virtual Outcome<OpenFile> Open(Call<OpenFile>, NodeId, uint32_t /*flags*/,
                                 bool /*kill_suidgid*/) {
    return Errno(ENOSYS);
  }
  virtual Outcome<CreatedFile> Create(Call<CreatedFile>, NodeId /*parent*/,
                                      std::string_view /*name*/, uint32_t /*mode*/,
                                      uint32_t /*umask*/, uint32_t /*flags*/,
                                      bool /*kill_suidgid*/) {
    return Errno(ENOSYS);
  }
  // Results in the bytes read; fewer than asked for only at the end of the file.
  virtual Outcome<size_t> Read(Call<size_t>, NodeId, FileHandle, uint64_t /*offset*/,
                               IoVectors /*destination*/) {
    return Errno(ENOSYS);
  }
  virtual Outcome<size_t> Write(Call<size_t>, NodeId, FileHandle, uint64_t /*offset*/,
                                IoVectors /*source*/, WriteOptions) {
    return Errno(ENOSYS);
  }
  // One of the handle's descriptors was closed in the guest.
  virtual Outcome<void> Flush(Call<void>, NodeId, FileHandle, uint64_t /*lock_owner*/) {
    return Errno(ENOSYS);
  }
  virtual Outcome<void> Release(Call<void>, NodeId, FileHandle) { return Errno(ENOSYS); }
  virtual Outcome<void> Fsync(Call<void>, NodeId, FileHandle, bool /*data_only*/) {
    return Errno(ENOSYS);
  }
  // `mode` as in fallocate(2).
  virtual Outcome<void> Fallocate(Call<void>, NodeId, FileHandle, uint32_t /*mode*/,
                                  uint64_t /*offset*/, uint64_t /*length*/) {
    return Errno(ENOSYS);
  }
  // `whence` SEEK_DATA or SEEK_HOLE; results in the offset found.
  virtual Outcome<uint64_t> Seek(Call<uint64_t>, NodeId, FileHandle, uint64_t /*offset*/,
                                 uint32_t /*whence*/) {
    return Errno(ENOSYS);
  }

  // --- directories ---
  virtual Outcome<OpenFile> OpenDirectory(Call<OpenFile>, NodeId, uint32_t /*flags*/) {
    return Errno(ENOSYS);
  }
  // Adds entries from `offset` (0 or a next_offset) on, until one does not fit or none is left.
  virtual Outcome<void> ReadDirectory(Call<void>, NodeId, FileHandle, uint64_t /*offset*/,
                                      DirectorySink&) {
    return Errno(ENOSYS);
  }
  // The same with each entry looked up, as by Lookup.
  virtual Outcome<void> ReadDirectoryPlus(Call<void>, NodeId, FileHandle, uint64_t /*offset*/,
                                          DirectorySink&) {
    return Errno(ENOSYS);
  }
  virtual Outcome<void> ReleaseDirectory(Call<void>, NodeId, FileHandle) { return Errno(ENOSYS); }
  virtual Outcome<void> FsyncDirectory(Call<void>, NodeId, FileHandle, bool /*data_only*/) {
    return Errno(ENOSYS);
  }
};

}  // namespace fsd::backends

#endif  // FSD_BACKENDS_FILESYSTEM_H_
