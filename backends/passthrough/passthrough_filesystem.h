// PassthroughFilesystem: a directory of the host, served as it is.
//
// An inode the guest knows is an O_PATH fd; everything is done relative to it, one path component
// at a time, so there is no path a guest could make lead elsewhere. What the guest may open for I/O
// is re-opened from that fd (safe_open.h), and is a regular file or a directory, nothing else.
//
// Errors are the host's, handed through; ESTALE for a node that is not known, EBADF for a handle
// that is not the node's, ENFILE when a table is full. Permissions are the guest's to check (it
// mounts with default_permissions); what a caller makes is made with its uid and gid.
//
// Every operation completes on the calling thread. They are split by family: name_ops.cc,
// attr_ops.cc, file_ops.cc, dir_ops.cc. LOOKUP of a known inode, GETATTR, READ and WRITE allocate
// nothing.
#ifndef FSD_BACKENDS_PASSTHROUGH_PASSTHROUGH_FILESYSTEM_H_
#define FSD_BACKENDS_PASSTHROUGH_PASSTHROUGH_FILESYSTEM_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "absl/status/statusor.h"
#include "backends/filesystem.h"
#include "backends/passthrough/component_name.h"
#include "backends/passthrough/handle_table.h"
#include "backends/passthrough/inode_table.h"
#include "server/errors/errno_or.h"
#include "server/os/unique_fd.h"

namespace fsd::passthrough {

struct Options {
  // O_PATH directory: the share's "/".
  os::UniqueFd root;
  // O_PATH|O_DIRECTORY fd of this process's "self/fd" in a proc file system. Opened after the last
  // fork: an earlier one names the parent's fds.
  os::UniqueFd proc_self_fd;
  // Whatever would change something is EROFS, whether or not the mount itself is read-only.
  bool read_only = false;
  // Bounds of what one guest can make us hold; each inode and each handle is one fd, so
  // RLIMIT_NOFILE (EMFILE) may come first.
  uint32_t max_inodes = uint32_t{1} << 20;
  uint32_t max_handles = uint32_t{1} << 18;
};

class PassthroughFilesystem final : public backends::Filesystem {
 public:
  // Sets the process's umask to 0, for good: the guest's applies to each request of its own.
  static absl::StatusOr<std::unique_ptr<PassthroughFilesystem>> Create(Options options);
  ~PassthroughFilesystem() override;

  void Reset() override;
  backends::FilesystemUsage Usage() const override;

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
                        SlotMemory handles);

  Epochs Begin() const { return {.inodes = inodes_.epoch(), .handles = handles_.epoch()}; }

  // ESTALE if the node is not known; ENOTDIR if it is no directory.
  ErrnoOr<InodeTable::Pin> PinNode(NodeId node);
  ErrnoOr<InodeTable::Pin> PinDirectory(NodeId node);
  // EBADF if the handle is not the node's or, in the second, is of the other kind; but ESTALE if
  // the node is not known either.
  ErrnoOr<HandleTable::Pin> PinHandle(NodeId node, FileHandle handle);
  ErrnoOr<HandleTable::Pin> PinHandle(NodeId node, FileHandle handle, HandleKind kind);

  // Name operations that end in an entry. Each adds one lookup.
  ErrnoOr<backends::Entry> LookUpChild(int directory, const ComponentName& name, Epochs epochs);
  ErrnoOr<backends::Entry> LookUpParent(NodeId node, const InodeTable::Pin& directory,
                                        Epochs epochs);
  ErrnoOr<backends::Entry> InsertOpened(os::UniqueFd fd, Epochs epochs);
  ErrnoOr<backends::Entry> EntryOf(const InodeTable::Pin& inode);

  // CREATE's two ways, with one lookup taken. CreateNew is EEXIST if the name is taken.
  ErrnoOr<backends::CreatedFile> CreateNew(const backends::Caller& caller, int directory,
                                           const ComponentName& name, mode_t mode, uint32_t flags,
                                           Epochs epochs);
  ErrnoOr<backends::CreatedFile> CreateExisting(const backends::Caller& caller, int directory,
                                                const ComponentName& name, uint32_t flags,
                                                bool kill_suidgid, Epochs epochs);
  ErrnoOr<FileHandle> InsertFile(os::UniqueFd file, NodeId node, uint32_t flags, Epochs epochs);

  ErrnoOr<void> ChangeMode(const InodeTable::Pin& inode, uint32_t mode);
  ErrnoOr<void> ChangeOwner(const InodeTable::Pin& inode,
                            const backends::AttributeChanges& changes);
  ErrnoOr<void> ChangeSize(const InodeTable::Pin& inode, const HandleTable::Pin& handle,
                           uint64_t size, bool kill_suidgid);
  ErrnoOr<void> ChangeTimes(const InodeTable::Pin& inode,
                            const backends::AttributeChanges& changes);

  enum class LookUpEntries : bool { kNo, kYes };
  ErrnoOr<void> ReadEntries(NodeId node, FileHandle handle, uint64_t offset,
                            backends::DirectorySink& sink, LookUpEntries look_up);

  const os::UniqueFd proc_self_fd_;
  const bool read_only_;
  const uint64_t root_ino_;
  InodeTable inodes_;
  HandleTable handles_;
};

}  // namespace fsd::passthrough

#endif  // FSD_BACKENDS_PASSTHROUGH_PASSTHROUGH_FILESYSTEM_H_
