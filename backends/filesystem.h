// Filesystem: what a backend offers to the FUSE layer, and the nouns they share.
//
// A backend serves one guest session at a time. Every operation may be called from any thread, and
// many run at once. It answers at once or later (call.h), so a backend may be synchronous,
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
#include <cstring>
#include <functional>
#include <optional>
#include <span>
#include <string_view>

#include "backends/call.h"
#include "server/errors/errno_or.h"

namespace fsd::backends {

// The guest's number for an inode: slot index in the low 32 bits, generation in the high 32.
enum class NodeId : uint64_t {};
inline constexpr NodeId kRootNodeId{1};  // FUSE_ROOT_ID

// The guest's number for an open file or directory ("fh"): slot index and generation likewise.
enum class FileHandle : uint64_t {};
// Of a guest that opens nothing (zero-message open): the operation is on the node itself. Only a
// backend that was set up for it serves it; EBADF otherwise.
inline constexpr FileHandle kNoHandle{0};

// An inode's attributes as statx(2) reports them; STATX_ATTR_MOUNT_ROOT marks a submount's root.
// Three fifths of a statx, up to the mount's number, are ever asked for: only those are set and
// copied, which saves a LOOKUP 20 to 80 ns. All zeroes, unless somebody is about to fill them.
struct Attributes : ::statx {
  struct ToBeFilled {
    explicit ToBeFilled() = default;
  };

  Attributes() { std::memset(static_cast<void*>(this), 0, kBytes); }
  explicit Attributes(ToBeFilled) {}
  Attributes(const Attributes& other) { std::memcpy(static_cast<void*>(this), &other, kBytes); }
  Attributes& operator=(const Attributes& other) {
    std::memmove(static_cast<void*>(this), &other, kBytes);
    return *this;
  }

 private:
  static constexpr size_t kBytes = 0x98;
};
static_assert(offsetof(struct ::statx, stx_mnt_id) + sizeof(uint64_t) == 0x98);

// The answer to whatever makes a name known to the guest. Each Entry handed out adds one to the
// inode's lookup count, which Forget gives back.
struct Entry {
  Entry() = default;
  Entry(NodeId of, const Attributes& its) : node(of), attributes(its) {}
  Entry(NodeId of, Attributes::ToBeFilled) : node(of), attributes(Attributes::ToBeFilled()) {}

  NodeId node{};
  Attributes attributes;
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

// What comes along when a guest makes something.
struct Creation {
  uint32_t umask = 0;
  // One of the caller's supplementary groups that owns the parent, if that is setgid or the
  // caller's right to write there comes from it.
  std::optional<uint32_t> supplementary_group = std::nullopt;
  // An extended attribute that what is made has before the operation completes, as
  // "security.selinux"; empty for none. The guest, which holds the directory's lock, sees nothing
  // without it; others may.
  std::string_view security_name = {};
  std::span<const char> security_value = {};
};

struct OpenOptions {
  uint32_t flags = 0;         // as in open(2)
  bool kill_suidgid = false;  // FUSE_OPEN_KILL_SUIDGID: of O_TRUNC
  // False: CREATE's file is not to stay open (zero-message open); the handle is kNoHandle.
  bool keep_open = true;
};

// A POSIX (fcntl(2)) or flock(2) lock. Of a file's locks, those of one owner never conflict.
struct FileLock {
  uint64_t first = 0;
  uint64_t last = INT64_MAX;  // the last byte; INT64_MAX for all that ever follows
  uint32_t type = 0;          // F_RDLCK, F_WRLCK, F_UNLCK
  uint32_t pid = 0;           // of the guest's process; 0 if it is not the session's
};

struct LockOptions {
  uint64_t owner = 0;  // the guest kernel's number of who locks
  bool flock = false;  // flock(2)'s: of the whole file, owned by the handle
  bool wait = false;   // pending until it is granted, or the backend's limit (ETIMEDOUT)
};

// One side of COPY_FILE_RANGE.
struct FileRange {
  NodeId node{};
  FileHandle handle{};
  uint64_t offset = 0;
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
  // How many entries still fit if all names are of one byte.
  virtual size_t MostEntries() const = 0;
  // Adds an entry that fits; `entry` only for ReadDirectoryPlus, absent where the name could not be
  // looked up or is "." or "..".
  virtual void Add(const DirectoryEntry& directory_entry, const Entry* entry) = 0;
};

// Guest memory to fill or to take from.
using IoVectors = std::span<const iovec>;

// Why inodes cannot be held by host handle though they were to be, if that can be done without.
enum class HandleLack : uint8_t { kNone, kNotPermitted, kUnsupported };

// What a backend holds for the session, for status and tests.
struct FilesystemUsage {
  uint64_t inodes = 0;      // known to the guest, the root included
  uint64_t open_files = 0;  // files and directories
  // Requests that failed with ENFILE because no more inodes can be referred to: the budget of fds
  // is spent and the host's file system has no handles, or the table is full.
  uint64_t inodes_refused = 0;
  // One has failed so, and at present the next would too.
  bool inodes_spent = false;
  HandleLack handle_lack = HandleLack::kNone;  // never changes
};

// Each operation answers ENOSYS unless a backend overrides it. Names of operations are those of
// FUSE's opcodes; the errno are Linux's for the like-named system call.
class Filesystem {
 public:
  virtual ~Filesystem() = default;

  // The guest's session is over: forgets every inode but the root, closes every handle. Operations
  // still running finish with an errno or their result. May block.
  virtual void Reset() {}
  // A queue of the guest stops, which waits for the queue's requests: completes whatever waits for
  // a lock, at once, with EAGAIN. (Linux restarts no call for an EINTR that no signal has caused.)
  // Does not wait for the host: what is just trying to get a lock there is completed by that try.
  virtual void EndWaits() {}
  virtual FilesystemUsage Usage() const { return {}; }
  // Has `tell` called each time that FilesystemUsage::inodes_spent becomes true: from any thread,
  // in the middle of an operation. To be called before the first operation.
  virtual void WhenInodesAreRefused(std::function<void()> /*tell*/) {}

  // --- names ---
  virtual Outcome<Entry> Lookup(Call<Entry>, NodeId /*parent*/, std::string_view /*name*/) {
    return Errno(ENOSYS);
  }
  // Gives back `count` lookups; more than were given counts as all of them.
  virtual void Forget(NodeId, uint64_t /*count*/) {}
  virtual Outcome<Entry> Symlink(Call<Entry>, NodeId /*parent*/, std::string_view /*name*/,
                                 std::string_view /*target*/, const Creation&) {
    return Errno(ENOSYS);
  }
  // `mode` with file type; `device` as in mknod(2), for device nodes only.
  virtual Outcome<Entry> MakeNode(Call<Entry>, NodeId /*parent*/, std::string_view /*name*/,
                                  uint32_t /*mode*/, dev_t /*device*/, const Creation&) {
    return Errno(ENOSYS);
  }
  virtual Outcome<Entry> MakeDirectory(Call<Entry>, NodeId /*parent*/, std::string_view /*name*/,
                                       uint32_t /*mode*/, const Creation&) {
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
  virtual Outcome<OpenFile> Open(Call<OpenFile>, NodeId, OpenOptions) { return Errno(ENOSYS); }
  virtual Outcome<CreatedFile> Create(Call<CreatedFile>, NodeId /*parent*/,
                                      std::string_view /*name*/, uint32_t /*mode*/, OpenOptions,
                                      const Creation&) {
    return Errno(ENOSYS);
  }
  // A file without a name (O_TMPFILE), which Link may give it one unless `flags` have O_EXCL.
  virtual Outcome<CreatedFile> CreateTemporary(Call<CreatedFile>, NodeId /*parent*/,
                                               uint32_t /*mode*/, OpenOptions, const Creation&) {
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
  // One of the handle's descriptors was closed in the guest: `lock_owner` loses its POSIX locks on
  // the file.
  virtual Outcome<void> Flush(Call<void>, NodeId, FileHandle, uint64_t /*lock_owner*/) {
    return Errno(ENOSYS);
  }
  // Ends the handle, and its flock(2) lock with it.
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

  // Results in the bytes copied, which may be fewer than `length`; 0 at the source's end. `flags`
  // as in copy_file_range(2). EXDEV, EOPNOTSUPP: the guest copies by itself.
  virtual Outcome<uint64_t> CopyRange(Call<uint64_t>, FileRange /*from*/, FileRange /*to*/,
                                      uint64_t /*length*/, uint32_t /*flags*/) {
    return Errno(ENOSYS);
  }
  // ioctl(2) on an open file or directory, with `input` in and at most `output` out; results in the
  // bytes of `output` filled. ENOTTY for a command that the backend does not serve.
  virtual Outcome<size_t> Ioctl(Call<size_t>, NodeId, FileHandle, uint32_t /*command*/,
                                std::span<const char> /*input*/, IoVectors /*output*/) {
    return Errno(ENOSYS);
  }
  // syncfs(2) of the file system that the node is on.
  virtual Outcome<void> SyncFilesystem(Call<void>, NodeId) { return Errno(ENOSYS); }

  // --- locks ---
  // What hinders `lock`: F_UNLCK if nothing does, else the first such lock.
  virtual Outcome<FileLock> GetLock(Call<FileLock>, NodeId, FileHandle, uint64_t /*owner*/,
                                    const FileLock& /*lock*/) {
    return Errno(ENOSYS);
  }
  // Takes, changes or drops (F_UNLCK) a lock. EAGAIN: another owner's is in the way.
  virtual Outcome<void> SetLock(Call<void>, NodeId, FileHandle, const FileLock&, LockOptions) {
    return Errno(ENOSYS);
  }

  // --- extended attributes ---
  // `flags` as in setxattr(2). `kill_sgid`: clear the setgid bit (FUSE_SETXATTR_ACL_KILL_SGID).
  virtual Outcome<void> SetXattr(Call<void>, NodeId, std::string_view /*name*/,
                                 std::span<const char> /*value*/, uint32_t /*flags*/,
                                 bool /*kill_sgid*/) {
    return Errno(ENOSYS);
  }
  // Results in the value's length; fills nothing if `destination` has no bytes. ERANGE: the value
  // is longer than `destination`.
  virtual Outcome<size_t> GetXattr(Call<size_t>, NodeId, std::string_view /*name*/,
                                   IoVectors /*destination*/) {
    return Errno(ENOSYS);
  }
  // The names, each with a NUL; otherwise as GetXattr.
  virtual Outcome<size_t> ListXattr(Call<size_t>, NodeId, IoVectors /*destination*/) {
    return Errno(ENOSYS);
  }
  virtual Outcome<void> RemoveXattr(Call<void>, NodeId, std::string_view /*name*/) {
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
