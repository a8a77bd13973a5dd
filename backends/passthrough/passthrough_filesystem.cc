#include "backends/passthrough/passthrough_filesystem.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "backends/passthrough/bounced_transfer.h"
#include "backends/passthrough/caller_credentials.h"
#include "backends/passthrough/safe_open.h"
#include "server/errors/status_macros.h"

namespace fsd::passthrough {

using backends::HandleLack;

namespace {

// Finds out at the start what would else be every OPEN's failure: an fd of another process's "fd".
absl::Status CheckProcSelfFd(int proc_self_fd, int root, const Attributes& attributes) {
  ErrnoOr<os::UniqueFd> reopened = ReopenAsPath(proc_self_fd, root);
  if (!reopened.ok()) return ErrnoStatus(reopened.error(), "re-opening the root through proc");
  ErrnoOr<Attributes> found = StatFd(reopened->get());
  if (!found.ok() || KeyOf(*found) != KeyOf(attributes)) {
    return absl::InvalidArgumentError("proc_self_fd is not this process's self/fd");
  }
  return absl::OkStatus();
}

constexpr std::string_view kCapability = "security.capability";

std::optional<XattrName> StoredCapability(const Options& options) {
  if (!options.xattr) return std::nullopt;
  const ErrnoOr<XattrName> name = options.xattr_map.ToHost(kCapability);
  if (!name.ok() || name->c_str() == kCapability) return std::nullopt;
  return *name;
}

constexpr uint64_t kMinInodeFds = 64;

uint64_t MaxInodeFds(const Options& options) {
  uint64_t fds = options.max_inode_fds;
  rlimit limit;
  // The other half is for open files, connections and queues.
  if (fds == 0 && ::getrlimit(RLIMIT_NOFILE, &limit) == 0) fds = limit.rlim_cur / 2;
  return std::max(fds, kMinInodeFds);
}

// Finds the root again by its handle. Results in an fd to open handles of its mount through.
absl::StatusOr<os::UniqueFd> TryHandles(HandleBroker* broker, int proc_self_fd, int root,
                                        const Attributes& attributes) {
  if (broker == nullptr)
    return absl::PermissionDeniedError(
        "nobody may open them (which takes CAP_DAC_READ_SEARCH and CAP_DAC_OVERRIDE)");
  IssuedHandle issued{};
  const ErrnoOr<void> answered = broker->Issue({&root, 1}, {&issued, 1});
  if (!answered.ok()) return ErrnoStatus(answered.error(), "getting the root's handle");
  if (issued.handle.size == 0) {
    return absl::FailedPreconditionError("its file system gives no handles, or longer ones than " +
                                         std::to_string(HostHandle::kMaxBytes) + " bytes");
  }
  ErrnoOr<os::UniqueFd> mount = OpenOnMount(proc_self_fd, root, S_IFDIR);
  if (!mount.ok()) return ErrnoStatus(mount.error(), "opening the root");
  const ErrnoOr<os::UniqueFd> opened = broker->Open(mount->get(), issued);
  if (!opened.ok()) return ErrnoStatus(opened.error(), "opening the root by its handle");
  const ErrnoOr<Attributes> found = StatFd(opened->get());
  if (!found.ok() || KeyOf(*found) != KeyOf(attributes)) {
    return absl::FailedPreconditionError("the root's handle leads to another inode");
  }
  return *std::move(mount);
}

// Nothing if inodes are not to be, or cannot be, held by handle; `lack` is why not, then.
absl::StatusOr<std::optional<InodeReferences::Handles>> SetUpHandles(Options& options,
                                                                     const Attributes& root,
                                                                     HandleLack& lack) {
  if (options.host_handles == HostHandles::kNever) return std::nullopt;
  auto mount =
      TryHandles(options.broker.get(), options.proc_self_fd.get(), options.root.get(), root);
  if (!mount.ok()) {
    if (options.host_handles == HostHandles::kPrefer) {
      lack = absl::IsPermissionDenied(mount.status()) ? HandleLack::kNotPermitted
                                                      : HandleLack::kUnsupported;
      return std::nullopt;
    }
    return Annotate(mount.status(), "host handles are required (ALWAYS) but cannot be used");
  }
  auto handles = InodeReferences::Handles::Create(
      std::move(options.broker), options.proc_self_fd.get(), *std::move(mount), options.max_inodes);
  if (!handles.ok()) return ErrnoStatus(handles.error(), "memory for the inodes' handles");
  return *std::move(handles);
}

}  // namespace

absl::StatusOr<std::unique_ptr<PassthroughFilesystem>> PassthroughFilesystem::Create(
    Options options) {
  ErrnoOr<Attributes> root = StatFd(options.root.get());
  if (!root.ok()) return ErrnoStatus(root.error(), "the share's root");
  if (!S_ISDIR(root->stx_mode)) return ErrnoStatus(Errno(ENOTDIR), "the share's root");
  if (options.max_inodes == 0) return absl::InvalidArgumentError("max_inodes is 0");
  if (options.posix_acl && !options.xattr) {
    return absl::InvalidArgumentError("posix_acl needs xattr");
  }
  FSD_RETURN_IF_ERROR(CheckProcSelfFd(options.proc_self_fd.get(), options.root.get(), *root));
  if (options.xattr && ::fchdir(options.proc_self_fd.get()) != 0) {
    return ErrnoStatus(Errno::Last(), "changing to proc_self_fd");
  }

  ErrnoOr<SlotMemory> inodes = InodeTable::Slots::Reserve("fsd-inodes", options.max_inodes);
  if (!inodes.ok()) return ErrnoStatus(inodes.error(), "memory for the inode table");
  ErrnoOr<SlotMemory> handles = HandleTable::Slots::Reserve("fsd-handles", options.max_handles);
  if (!handles.ok()) return ErrnoStatus(handles.error(), "memory for the handle table");
  HandleLack handle_lack = HandleLack::kNone;
  FSD_ASSIGN_OR_RETURN(auto host_handles, SetUpHandles(options, *root, handle_lack));

  ::umask(0);
  return std::unique_ptr<PassthroughFilesystem>(
      new PassthroughFilesystem(std::move(options), *root, *std::move(inodes), *std::move(handles),
                                std::move(host_handles), handle_lack));
}

PassthroughFilesystem::PassthroughFilesystem(Options options, const Attributes& root,
                                             SlotMemory inodes, SlotMemory handles,
                                             std::optional<InodeReferences::Handles> host_handles,
                                             HandleLack handle_lack)
    : proc_self_fd_(std::move(options.proc_self_fd)),
      read_only_(options.read_only),
      bounces_(MayPin(options.root.get())),
      impersonates_(CallerCredentials::Possible()),
      root_ino_(root.stx_ino),
      handle_lack_(handle_lack),
      xattr_(options.xattr),
      xattr_map_(options.xattr_map),
      posix_acl_(options.posix_acl),
      stored_capability_(StoredCapability(options)),
      uids_(std::move(options.uids)),
      gids_(std::move(options.gids)),
      open_policy_(options.open_policy),
      zero_message_open_(options.zero_message_open),
      inodes_(std::move(inodes), std::move(options.root), root, MaxInodeFds(options),
              std::move(host_handles)),
      handles_(std::move(handles)),
      cached_files_(std::max(options.max_cached_files, uint32_t{1})) {
  if (!options.shared_locks) return;
  locks_.emplace(
      LockTable::Limits{.owners = options.max_lock_owners, .ranges = options.max_lock_ranges});
  lock_waiter_.emplace(options.lock_wait, options.max_lock_waiters);
}

PassthroughFilesystem::~PassthroughFilesystem() = default;

void PassthroughFilesystem::Reset() {
  // While its handle is open: a try that is under way is to end as its wait does.
  if (lock_waiter_) lock_waiter_->Reset();
  handles_.Reset();
  inodes_.Reset();
  cached_files_.Clear();
  if (locks_) locks_->Reset();
  if (lock_waiter_) lock_waiter_->Reset();  // who has come since
}

backends::FilesystemUsage PassthroughFilesystem::Usage() const {
  return {.inodes = inodes_.size(),
          .open_files = handles_.size(),
          .inodes_refused = inodes_.references().refused(),
          .inodes_spent = inodes_.references().spent(),
          .handle_lack = handle_lack_};
}

void PassthroughFilesystem::WhenInodesAreRefused(std::function<void()> tell) {
  inodes_.WhenRefused(std::move(tell));
}

ErrnoOr<InodeTable::Pin> PassthroughFilesystem::PinNode(NodeId node) {
  return inodes_.AcquireOpen(node);
}

ErrnoOr<InodeTable::Pin> PassthroughFilesystem::PinDirectory(NodeId node) {
  ErrnoOr<InodeTable::Pin> inode = PinNode(node);
  if (inode.ok() && (*inode)->type != S_IFDIR) return Errno(ENOTDIR);
  return inode;
}

ErrnoOr<HandleTable::Pin> PassthroughFilesystem::PinHandle(NodeId node, FileHandle handle) {
  ErrnoOr<HandleTable::Pin> open = handles_.Acquire(node, handle);
  if (!open.ok() && !inodes_.Acquire(node)) return Errno(ESTALE);
  return open;
}

ErrnoOr<HandleTable::Pin> PassthroughFilesystem::PinHandle(NodeId node, FileHandle handle,
                                                           HandleKind kind) {
  ErrnoOr<HandleTable::Pin> open = PinHandle(node, handle);
  if (open.ok() && (*open)->kind != kind) return Errno(EBADF);
  return open;
}

ErrnoOr<backends::Caller> PassthroughFilesystem::HostCaller(const backends::Caller& caller) const {
  backends::Caller host = caller;
  FSD_ASSIGN_OR_RETURN_ERRNO(host.uid, uids_.ToHost(caller.uid));
  FSD_ASSIGN_OR_RETURN_ERRNO(host.gid, gids_.ToHost(caller.gid));
  return host;
}

ErrnoOr<PassthroughFilesystem::Maker> PassthroughFilesystem::MakerOf(
    const backends::Caller& caller, const backends::Creation& creation) const {
  Maker maker;
  FSD_ASSIGN_OR_RETURN_ERRNO(maker.caller, HostCaller(caller));
  if (creation.supplementary_group) {
    FSD_ASSIGN_OR_RETURN_ERRNO(maker.supplementary_group,
                               gids_.ToHost(*creation.supplementary_group));
  }
  return maker;
}

Attributes& PassthroughFilesystem::ForGuest(Attributes& attributes) const {
  attributes.stx_uid = uids_.ToGuest(attributes.stx_uid);
  attributes.stx_gid = gids_.ToGuest(attributes.stx_gid);
  return attributes;
}

}  // namespace fsd::passthrough
