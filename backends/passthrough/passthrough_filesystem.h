// PassthroughFilesystem: a directory of the host, served as it is.
//
// An inode the guest knows is an O_PATH fd, or can be made one (inode_references.h); everything is
// done relative to it, one path component at a time, so there is no path a guest could make lead
// elsewhere. What the guest may open for I/O is re-opened from that fd (safe_open.h), and is a
// regular file or a directory, nothing else.
//
// Errors are the host's, handed through; ESTALE for a node that is not known, EBADF for a handle
// that is not the node's, ENFILE when a table is full. Permissions are the guest's to check (it
// mounts with default_permissions); what a caller makes is made with its uid and gid.
//
// Every operation completes on the calling thread, but for a lock that is waited for. They are
// split by family: name_ops.cc, make_ops.cc, attr_ops.cc, xattr_ops.cc, create_ops.cc, file_ops.cc,
// range_ops.cc, lock_ops.cc, dir_ops.cc; reopen_ops.cc has what several of them need.
// LOOKUP of a known inode, GETATTR, READ and WRITE allocate nothing.
#ifndef FSD_BACKENDS_PASSTHROUGH_PASSTHROUGH_FILESYSTEM_H_
#define FSD_BACKENDS_PASSTHROUGH_PASSTHROUGH_FILESYSTEM_H_

#include <cerrno>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "backends/filesystem.h"
#include "backends/passthrough/component_name.h"
#include "backends/passthrough/guest_open.h"
#include "backends/passthrough/handle_broker.h"
#include "backends/passthrough/handle_table.h"
#include "backends/passthrough/id_map.h"
#include "backends/passthrough/inode_table.h"
#include "backends/passthrough/lock_table.h"
#include "backends/passthrough/lock_waiter.h"
#include "backends/passthrough/lookup_history.h"
#include "backends/passthrough/open_file_cache.h"
#include "backends/passthrough/xattr_map.h"
#include "server/errors/errno_or.h"
#include "server/os/unique_fd.h"

namespace fsd::passthrough {

// Whether inodes may be held by host handle; kAlways: the file system must have them.
enum class HostHandles { kNever, kPrefer, kAlways };

struct Options {
  // O_PATH directory: the share's "/".
  os::UniqueFd root;
  // O_PATH|O_DIRECTORY fd of this process's "self/fd" in a proc file system. Opened after the last
  // fork: an earlier one names the parent's fds.
  os::UniqueFd proc_self_fd;
  // Whatever would change something is EROFS, whether or not the mount itself is read-only.
  bool read_only = false;
  // How many inodes are held by fd at most, at least 64; 0: half of RLIMIT_NOFILE. Beyond it they
  // are held by handle, or refused (ENFILE).
  uint64_t max_inode_fds = 0;
  HostHandles host_handles = HostHandles::kPrefer;
  // Needed for handles; without it, or where the root's file system has none, kPrefer is kNever and
  // Usage() tells.
  std::unique_ptr<HandleBroker> broker;
  // Bounds of what one guest can make us hold. Each handle is one fd, so RLIMIT_NOFILE (EMFILE) may
  // come first.
  uint32_t max_inodes = uint32_t{1} << 24;
  uint32_t max_handles = uint32_t{1} << 18;

  // Extended attributes; ENOSYS without. `xattr_map` translates their names.
  bool xattr = false;
  XattrMap xattr_map = {};
  // POSIX ACLs are attributes like any other, and a directory's default ACL stands in for the
  // umask. EOPNOTSUPP without. Needs `xattr`.
  bool posix_acl = false;
  // Translate the guest's ids wherever there are any.
  IdMap uids = {};
  IdMap gids = {};
  OpenPolicy open_policy = {};
  // Operations on kNoHandle work on the node itself, through at most `max_cached_files` files that
  // are kept open.
  bool zero_message_open = false;
  uint32_t max_cached_files = 1024;
  // Locks exclude other sessions' and those of the host's processes; ENOSYS without. Who waits for
  // one gets ETIMEDOUT after `lock_wait`. Beyond the limits of one session there is ENOLCK: each
  // owner of locks on a file is an fd, each range some of the host's kernel's memory.
  bool shared_locks = false;
  absl::Duration lock_wait = absl::Seconds(30);
  uint32_t max_lock_owners = 4096;
  uint32_t max_lock_ranges = 65536;
  uint32_t max_lock_waiters = 1024;
};

class PassthroughFilesystem final : public backends::Filesystem {
 public:
  // Sets the process's umask to 0, for good: the guest's applies to each request of its own. With
  // `xattr`, makes proc_self_fd the working directory, for good too: setxattr(2) and the like have
  // no directory argument before Linux 6.13.
  static absl::StatusOr<std::unique_ptr<PassthroughFilesystem>> Create(Options options);
  ~PassthroughFilesystem() override;

  void Reset() override;
  void EndWaits() override;
  backends::FilesystemUsage Usage() const override;
  void WhenInodesAreRefused(std::function<void()> tell) override;

  // --- names ---
  backends::Outcome<backends::Entry> Lookup(backends::Call<backends::Entry> call, NodeId parent,
                                            std::string_view name) override;
  void Forget(NodeId node, uint64_t count) override;
  backends::Outcome<backends::Entry> Symlink(backends::Call<backends::Entry> call, NodeId parent,
                                             std::string_view name, std::string_view target,
                                             const backends::Creation& creation) override;
  backends::Outcome<backends::Entry> MakeNode(backends::Call<backends::Entry> call, NodeId parent,
                                              std::string_view name, uint32_t mode, dev_t device,
                                              const backends::Creation& creation) override;
  backends::Outcome<backends::Entry> MakeDirectory(backends::Call<backends::Entry> call,
                                                   NodeId parent, std::string_view name,
                                                   uint32_t mode,
                                                   const backends::Creation& creation) override;
  backends::Outcome<void> Unlink(backends::Call<void> call, NodeId parent,
                                 std::string_view name) override;
  backends::Outcome<void> RemoveDirectory(backends::Call<void> call, NodeId parent,
                                          std::string_view name) override;
  backends::Outcome<void> Rename(backends::Call<void> call, NodeId parent, std::string_view name,
                                 NodeId new_parent, std::string_view new_name,
                                 uint32_t flags) override;
  backends::Outcome<backends::Entry> Link(backends::Call<backends::Entry> call, NodeId node,
                                          NodeId new_parent, std::string_view new_name) override;
  backends::Outcome<size_t> ReadLink(backends::Call<size_t> call, NodeId node,
                                     backends::IoVectors destination) override;

  // --- attributes ---
  backends::Outcome<Attributes> GetAttributes(backends::Call<Attributes> call, NodeId node,
                                              std::optional<FileHandle> handle) override;
  backends::Outcome<Attributes> SetAttributes(backends::Call<Attributes> call, NodeId node,
                                              std::optional<FileHandle> handle,
                                              const backends::AttributeChanges& changes) override;
  backends::Outcome<void> Access(backends::Call<void> call, NodeId node, uint32_t mask) override;
  backends::Outcome<struct ::statvfs> StatFilesystem(backends::Call<struct ::statvfs> call,
                                                     NodeId node) override;

  // --- files ---
  backends::Outcome<backends::OpenFile> Open(backends::Call<backends::OpenFile> call, NodeId node,
                                             backends::OpenOptions options) override;
  backends::Outcome<backends::CreatedFile> Create(backends::Call<backends::CreatedFile> call,
                                                  NodeId parent, std::string_view name,
                                                  uint32_t mode, backends::OpenOptions options,
                                                  const backends::Creation& creation) override;
  backends::Outcome<backends::CreatedFile> CreateTemporary(
      backends::Call<backends::CreatedFile> call, NodeId parent, uint32_t mode,
      backends::OpenOptions options, const backends::Creation& creation) override;
  backends::Outcome<size_t> Read(backends::Call<size_t> call, NodeId node, FileHandle handle,
                                 uint64_t offset, backends::IoVectors destination) override;
  backends::Outcome<size_t> Write(backends::Call<size_t> call, NodeId node, FileHandle handle,
                                  uint64_t offset, backends::IoVectors source,
                                  backends::WriteOptions options) override;
  backends::Outcome<void> Flush(backends::Call<void> call, NodeId node, FileHandle handle,
                                uint64_t lock_owner) override;
  backends::Outcome<void> Release(backends::Call<void> call, NodeId node,
                                  FileHandle handle) override;
  backends::Outcome<void> Fsync(backends::Call<void> call, NodeId node, FileHandle handle,
                                bool data_only) override;
  backends::Outcome<void> Fallocate(backends::Call<void> call, NodeId node, FileHandle handle,
                                    uint32_t mode, uint64_t offset, uint64_t length) override;
  backends::Outcome<uint64_t> Seek(backends::Call<uint64_t> call, NodeId node, FileHandle handle,
                                   uint64_t offset, uint32_t whence) override;
  backends::Outcome<uint64_t> CopyRange(backends::Call<uint64_t> call, backends::FileRange from,
                                        backends::FileRange to, uint64_t length,
                                        uint32_t flags) override;
  // FS_IOC_GETFLAGS, FS_IOC_SETFLAGS, FS_IOC_FSGETXATTR, FS_IOC_FSSETXATTR.
  backends::Outcome<size_t> Ioctl(backends::Call<size_t> call, NodeId node, FileHandle handle,
                                  uint32_t command, std::span<const char> input,
                                  backends::IoVectors output) override;
  backends::Outcome<void> SyncFilesystem(backends::Call<void> call, NodeId node) override;

  // --- extended attributes ---
  backends::Outcome<void> SetXattr(backends::Call<void> call, NodeId node, std::string_view name,
                                   std::span<const char> value, uint32_t flags,
                                   bool kill_sgid) override;
  backends::Outcome<size_t> GetXattr(backends::Call<size_t> call, NodeId node,
                                     std::string_view name,
                                     backends::IoVectors destination) override;
  backends::Outcome<size_t> ListXattr(backends::Call<size_t> call, NodeId node,
                                      backends::IoVectors destination) override;
  backends::Outcome<void> RemoveXattr(backends::Call<void> call, NodeId node,
                                      std::string_view name) override;

  // --- locks ---
  backends::Outcome<backends::FileLock> GetLock(backends::Call<backends::FileLock> call,
                                                NodeId node, FileHandle handle, uint64_t owner,
                                                const backends::FileLock& lock) override;
  backends::Outcome<void> SetLock(backends::Call<void> call, NodeId node, FileHandle handle,
                                  const backends::FileLock& lock,
                                  backends::LockOptions options) override;

  // --- directories ---
  backends::Outcome<backends::OpenFile> OpenDirectory(backends::Call<backends::OpenFile> call,
                                                      NodeId node, uint32_t flags) override;
  backends::Outcome<void> ReadDirectory(backends::Call<void> call, NodeId node, FileHandle handle,
                                        uint64_t offset, backends::DirectorySink& sink) override;
  backends::Outcome<void> ReadDirectoryPlus(backends::Call<void> call, NodeId node,
                                            FileHandle handle, uint64_t offset,
                                            backends::DirectorySink& sink) override;
  backends::Outcome<void> ReleaseDirectory(backends::Call<void> call, NodeId node,
                                           FileHandle handle) override;
  backends::Outcome<void> FsyncDirectory(backends::Call<void> call, NodeId node, FileHandle handle,
                                         bool data_only) override;

 private:
  // When an operation began, for whatever it will publish.
  struct Epochs {
    uint32_t inodes;
    uint32_t handles;
  };

  PassthroughFilesystem(Options options, const Attributes& root, SlotMemory inodes,
                        SlotMemory handles, std::optional<InodeReferences::Handles> host_handles,
                        backends::HandleLack handle_lack);

  Epochs Begin() const { return {.inodes = inodes_.epoch(), .handles = handles_.epoch()}; }

  // ESTALE if the node is not known; ENOTDIR if it is no directory. The node's fd is open for as
  // long as the pin lives.
  ErrnoOr<InodeTable::Pin> PinNode(NodeId node);
  ErrnoOr<InodeTable::Pin> PinDirectory(NodeId node);
  // EBADF if the handle is not the node's or, in the second, is of the other kind; but ESTALE if
  // the node is not known either.
  ErrnoOr<HandleTable::Pin> PinHandle(NodeId node, FileHandle handle);
  ErrnoOr<HandleTable::Pin> PinHandle(NodeId node, FileHandle handle, HandleKind kind);

  // An open file for one operation: the handle's, or a node's that the guest has not opened.
  struct FileInUse {
    int fd = -1;
    int direct_fd = -1;  // for transfers, if there is one
    bool append = false;
    bool append_only = false;  // HandleRecord's
    HandleTable::Pin open;
    OpenFileCache::Reference cached;
  };
  enum class Use { kRead, kWrite, kAppend };
  // As PinHandle(); for kNoHandle, what opening the node for that use says.
  ErrnoOr<FileInUse> UseFile(NodeId node, FileHandle handle, Use use);
  struct DirectoryInUse {
    int fd = -1;
    std::shared_ptr<os::Mutex> position;  // to hold while reading
    HandleTable::Pin open;
  };
  ErrnoOr<DirectoryInUse> UseDirectory(NodeId node, FileHandle handle);
  ErrnoOr<OpenFileCache::Reference> UseUnopened(NodeId node, Use use);
  // Whether `handle` is that of a guest that opens nothing.
  bool Unopened(FileHandle handle) const {
    return zero_message_open_ && handle == backends::kNoHandle;
  }

  // Who makes something, in the host's ids.
  struct Maker {
    backends::Caller caller;
    std::optional<uint32_t> supplementary_group;
  };
  // EPERM if the guest may not use one of the ids.
  ErrnoOr<backends::Caller> HostCaller(const backends::Caller& caller) const;
  ErrnoOr<Maker> MakerOf(const backends::Caller& caller, const backends::Creation& creation) const;
  // Gives `attributes` the guest's ids.
  Attributes& ForGuest(Attributes& attributes) const;

  // What `open` results in, tried a second time if it was EMFILE and an inode's fd could be closed.
  template <typename Open>
  auto WithRoom(Open open) {
    auto opened = open();
    if (!opened.ok() && opened.error() == Errno(EMFILE) && inodes_.MakeRoom()) opened = open();
    return opened;
  }

  // As Reopen() of safe_open.h, also where the kernel refuses it to us (reopen_ops.cc).
  ErrnoOr<os::UniqueFd> ReopenNode(const InodeTable::Pin& inode, int flags);
  // Gives the inode another name, also where the kernel refuses it to us.
  ErrnoOr<void> LinkNode(const InodeTable::Pin& inode, int directory, const ComponentName& name);

  // Name operations that end in an entry. Each adds one lookup.
  ErrnoOr<backends::Entry> LookUpChild(int directory, const ComponentName& name, Epochs epochs);
  ErrnoOr<backends::Entry> LookUpParent(NodeId node, const InodeTable::Pin& directory,
                                        Epochs epochs);
  ErrnoOr<backends::Entry> InsertOpened(os::UniqueFd fd, Epochs epochs, bool* was_known = nullptr);
  // The same in place, of what has the host's attributes that are in `entry`.
  ErrnoOr<void> InsertOpened(os::UniqueFd fd, backends::Entry& entry, Epochs epochs,
                             bool* was_known = nullptr);
  ErrnoOr<backends::Entry> EntryOf(const InodeTable::Pin& inode);

  // The permission bits to make something in `directory` with.
  mode_t CreationMode(int directory, uint32_t mode, const backends::Creation& creation) const;
  // Gives what `fd` (any kind) holds the security label of `creation`, if that has one.
  ErrnoOr<void> SetLabel(int fd, const backends::Creation& creation) const;
  // The entry of what was just made, labelled; if it cannot be labelled it is unlinked again, with
  // `unlink_flags`.
  ErrnoOr<backends::Entry> EntryOfMade(int directory, const ComponentName& name, int unlink_flags,
                                       const backends::Creation& creation, Epochs epochs);

  // CREATE's two ways, with one lookup taken. CreateNew is EEXIST if the name is taken.
  ErrnoOr<backends::CreatedFile> CreateNew(const Maker& maker, int directory,
                                           const ComponentName& name, mode_t mode,
                                           const backends::OpenOptions& options,
                                           const backends::Creation& creation, Epochs epochs);
  ErrnoOr<backends::CreatedFile> CreateExisting(const Maker& maker, int directory,
                                                const ComponentName& name,
                                                const backends::OpenOptions& options,
                                                Epochs epochs);
  // Of what was just made without O_DIRECT and O_NOATIME.
  ErrnoOr<OpenFds> FdsOfCreated(os::UniqueFd file, const HostOpen& open);
  // Makes known what `file` has open and was just made, as `name` or without one.
  ErrnoOr<backends::Entry> InsertCreated(int file, int directory, const ComponentName& name,
                                         Epochs epochs);
  ErrnoOr<backends::Entry> InsertCreated(int file, Epochs epochs);
  ErrnoOr<backends::CreatedFile> OpenCreated(const backends::Entry& entry, OpenFds fds,
                                             const backends::OpenOptions& options, Epochs epochs);
  ErrnoOr<FileHandle> InsertFile(OpenFds fds, NodeId node, uint32_t flags, Epochs epochs);

  // ENOSYS without `xattr`; EOPNOTSUPP for an ACL without `posix_acl`.
  ErrnoOr<XattrName> HostXattrName(std::string_view name) const;
  bool TranslatesIds(std::string_view name) const;
  // Removes the file capability that a guest has set, if it is kept under a name that the host's
  // kernel does not know and so does not remove by itself. Before any change of contents or owner.
  ErrnoOr<void> DropStoredCapability(int fd) const;

  ErrnoOr<backends::AttributeChanges> ForHost(backends::AttributeChanges changes) const;
  ErrnoOr<void> ChangeMode(const InodeTable::Pin& inode, uint32_t mode);
  ErrnoOr<void> ChangeOwner(const InodeTable::Pin& inode,
                            const backends::AttributeChanges& changes);
  ErrnoOr<void> ChangeSize(const InodeTable::Pin& inode, const HandleTable::Pin& handle,
                           uint64_t size, bool kill_suidgid);
  ErrnoOr<void> ChangeTimes(const InodeTable::Pin& inode,
                            const backends::AttributeChanges& changes);

  // Without waiting; EAGAIN if the lock is not to be had.
  ErrnoOr<void> TryLock(NodeId node, FileHandle handle, const backends::FileLock& lock,
                        const backends::LockOptions& options, uint32_t epoch);
  // At FLUSH, and at RELEASE.
  void EndLocks(NodeId node, uint64_t owner);
  void EndLocks(NodeId node, const HandleTable::Pin& handle);

  enum class LookUpEntries : bool { kNo, kYes };
  ErrnoOr<void> ReadEntries(NodeId node, FileHandle handle, uint64_t offset,
                            backends::DirectorySink& sink, LookUpEntries look_up);

  const os::UniqueFd proc_self_fd_;
  const bool read_only_;
  const bool bounces_;       // all, not only those with O_DIRECT (bounced_transfer.h)
  const bool impersonates_;  // whether this process can be somebody else
  const uint64_t root_ino_;
  const backends::HandleLack handle_lack_;
  const bool xattr_;
  const XattrMap xattr_map_;
  const bool posix_acl_;
  const std::optional<XattrName> stored_capability_;  // see DropStoredCapability()
  const IdMap uids_;
  const IdMap gids_;
  const OpenPolicy open_policy_;
  const bool zero_message_open_;
  InodeTable inodes_;
  LookupHistory looked_up_;
  HandleTable handles_;
  OpenFileCache cached_files_;
  // Both or neither. The waiter comes last, so that it ends first: it makes use of all the rest.
  std::optional<LockTable> locks_;
  std::optional<LockWaiter> lock_waiter_;
};

}  // namespace fsd::passthrough

#endif  // FSD_BACKENDS_PASSTHROUGH_PASSTHROUGH_FILESYSTEM_H_
