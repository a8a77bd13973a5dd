#include "server/worker/handle_keeper.h"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <cstring>
#include <string_view>
#include <utility>

#include "server/errors/status_macros.h"
#include "server/os/unix_socket.h"

#ifndef STATX_MNT_ID_UNIQUE
#define STATX_MNT_ID_UNIQUE 0x00004000U  // linux/stat.h of Linux 6.8
#endif

namespace fsd::worker {
namespace {

struct RawHandle {
  alignas(file_handle) std::byte bytes[sizeof(file_handle) + ipc::kMaxHandleBytes];
  file_handle* get() { return reinterpret_cast<file_handle*>(bytes); }
};

// The mount that `fd`, or a path from it, is on; by an id that never passes to another, from Linux
// 6.8 on.
ErrnoOr<uint64_t> MountOf(int fd, const char* path = "") {
  struct statx found;
  if (::statx(fd, path, AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_MNT_ID | STATX_MNT_ID_UNIQUE,
              &found) != 0) {
    return Errno::Last();
  }
  return found.stx_mnt_id;
}

// Whether a mount is in our mount namespace, by its unique id (statmount(2), Linux 6.8).
bool IsInOurNamespace(uint64_t mount) {
  constexpr long kStatMount = 457;
  struct {  // mnt_id_req
    uint32_t size = 24;
    uint32_t spare = 0;
    uint64_t mount;
    uint64_t wanted = 0x2;  // STATMOUNT_MNT_BASIC
  } request{.mount = mount};
  alignas(uint64_t) std::array<std::byte, 1024> answer;
  return ::syscall(kStatMount, &request, answer.data(), answer.size(), 0) == 0;
}

// The type of what `fd` holds, and of nothing else: it can be opened again by the same handle only.
ErrnoOr<mode_t> TypeOf(int fd) {
  struct statx found;
  if (::statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &found) != 0) {
    return Errno::Last();
  }
  return mode_t{found.stx_mode} & S_IFMT;
}

// One component, within its room.
bool IsName(std::span<const char> room) {
  const std::string_view name(room.data(), ::strnlen(room.data(), room.size()));
  return !name.empty() && name.size() < room.size() && name.find('/') == name.npos && name != "." &&
         name != "..";
}

}  // namespace

ErrnoOr<HandleKeeper> HandleKeeper::Create(bool read_only) {
  SipHashKey key;
  if (::getrandom(key.data(), sizeof key, 0) != sizeof key) return Errno::Last();
  return HandleKeeper(key, read_only);
}

HandleKeeper::HandleKeeper(const SipHashKey& key, bool read_only)
    : key_(key), read_only_(read_only) {
  const ErrnoOr<uint64_t> root = MountOf(AT_FDCWD, "/");
  if (root.ok()) root_mount_ = *root;
}

bool HandleKeeper::IsOurs(uint64_t mount) const {
  return (mount == root_mount_ && mount != 0) || IsInOurNamespace(mount);
}

uint64_t HandleKeeper::Proof(uint64_t mount, const ipc::IssuedHandle& handle) const {
  std::array<std::byte, sizeof mount + offsetof(ipc::IssuedHandle, proof)> proven;
  std::memcpy(proven.data(), &mount, sizeof mount);
  std::memcpy(proven.data() + sizeof mount, &handle, offsetof(ipc::IssuedHandle, proof));
  return SipHash(key_, proven);
}

ipc::IssuedHandle HandleKeeper::Issue(int fd) const {
  RawHandle raw;
  raw.get()->handle_bytes = ipc::kMaxHandleBytes;
  int reusable_id;
  if (::name_to_handle_at(fd, "", raw.get(), &reusable_id, AT_EMPTY_PATH) != 0) return {};
  const ErrnoOr<uint64_t> mount = MountOf(fd);
  if (!mount.ok() || !IsOurs(*mount)) return {};
  ipc::IssuedHandle handle{.type = raw.get()->handle_type,
                           .size = std::min(raw.get()->handle_bytes, ipc::kMaxHandleBytes),
                           .bytes = {},
                           .proof = 0};
  std::memcpy(handle.bytes, raw.get()->f_handle, handle.size);
  handle.proof = Proof(*mount, handle);
  return handle;
}

ErrnoOr<os::UniqueFd> HandleKeeper::Open(int mount_fd, const ipc::IssuedHandle& handle,
                                         int flags) const {
  if (handle.size == 0 || handle.size > ipc::kMaxHandleBytes) return Errno(EINVAL);
  FSD_ASSIGN_OR_RETURN_ERRNO(const uint64_t mount, MountOf(mount_fd));
  if (handle.proof != Proof(mount, handle)) return Errno(EPERM);
  RawHandle raw;
  raw.get()->handle_type = handle.type;
  raw.get()->handle_bytes = handle.size;
  std::memcpy(raw.get()->f_handle, handle.bytes, handle.size);
  os::UniqueFd fd(::open_by_handle_at(mount_fd, raw.get(), flags | O_CLOEXEC));
  if (!fd.valid()) return Errno::Last();
  return fd;
}

ErrnoOr<os::UniqueFd> HandleKeeper::OpenForIo(int mount_fd, const ipc::IssuedHandle& handle,
                                              int flags) const {
  if ((flags & ~ipc::kHandleOpenFlags) != 0 || (flags & O_ACCMODE) == O_ACCMODE) {
    return Errno(EINVAL);
  }
  if (read_only_ && (flags & O_ACCMODE) != O_RDONLY) return Errno(EROFS);
  // To open a device or a FIFO may do something, so it is not tried.
  FSD_ASSIGN_OR_RETURN_ERRNO(const os::UniqueFd path, Open(mount_fd, handle, O_PATH));
  FSD_ASSIGN_OR_RETURN_ERRNO(const mode_t type, TypeOf(path.get()));
  if (type != S_IFREG) return Errno(ENXIO);
  // Whoever has a lease on the file must not hold up everybody else.
  return Open(mount_fd, handle, flags | O_NONBLOCK);
}

ErrnoOr<void> HandleKeeper::Link(int fd, int directory, const char* name) const {
  if (read_only_) return Errno(EROFS);
  FSD_ASSIGN_OR_RETURN_ERRNO(const uint64_t mount, MountOf(directory));
  if (!IsOurs(mount)) return Errno(EXDEV);
  if (::linkat(fd, "", directory, name, AT_EMPTY_PATH) != 0) return Errno::Last();
  return {};
}

ipc::HandleAnswer HandleKeeper::Answer(std::span<const std::byte> request,
                                       std::span<const os::UniqueFd> fds,
                                       os::UniqueFd& opened) const {
  ipc::HandleAnswer answer{};
  ipc::HandleRequest asked;
  if (request.size() == sizeof asked) {
    std::memcpy(&asked, request.data(), sizeof asked);
    if (asked.operation == ipc::HandleOperation::kIssue && !fds.empty() &&
        fds.size() <= ipc::kMaxHandlesPerRequest) {
      for (const os::UniqueFd& fd : fds) answer.handles[answer.count++] = Issue(fd.get());
      return answer;
    }
    const bool for_io = asked.operation == ipc::HandleOperation::kOpenForIo;
    if ((for_io || asked.operation == ipc::HandleOperation::kOpen) && fds.size() == 1) {
      ErrnoOr<os::UniqueFd> fd = for_io ? OpenForIo(fds[0].get(), asked.handle, asked.open_flags)
                                        : Open(fds[0].get(), asked.handle, O_PATH);
      if (fd.ok()) {
        opened = *std::move(fd);
      } else {
        answer.error = fd.error().value();
      }
      return answer;
    }
    if (asked.operation == ipc::HandleOperation::kLink && fds.size() == 2 && IsName(asked.name)) {
      const ErrnoOr<void> linked = Link(fds[0].get(), fds[1].get(), asked.name);
      answer.error = linked.ok() ? 0 : linked.error().value();
      return answer;
    }
  }
  answer.error = EINVAL;
  return answer;
}

ErrnoOr<void> HandleKeeper::Serve(int socket) const {
  std::array<std::byte, sizeof(ipc::HandleRequest)> request;
  while (true) {
    ErrnoOr<os::Received> received =
        os::ReceiveWithFds(socket, request, ipc::kMaxHandlesPerRequest);
    if (!received.ok()) return received.error();
    if (received->bytes == 0) return {};
    os::UniqueFd opened;
    // A request that was cut off is none.
    const size_t size = received->truncated ? 0 : received->bytes;
    const ipc::HandleAnswer answer = Answer(std::span(request).first(size), received->fds, opened);
    // Before whoever asked goes on: a removed file takes space for as long as it is open here too.
    received->fds.clear();
    const int fd = opened.get();
    const ErrnoOr<size_t> sent = os::SendWithFds(socket, std::as_bytes(std::span(&answer, 1)),
                                                 std::span(&fd, opened.valid() ? 1 : 0));
    if (!sent.ok()) {
      if (sent.error() == Errno(EPIPE) || sent.error() == Errno(ECONNRESET)) return {};
      return sent.error();
    }
  }
}

absl::StatusOr<pid_t> ForkHandleKeeper(int socket, const std::function<int(int)>& keep_handles) {
  const pid_t pid = ::fork();
  if (pid < 0) return ErrnoStatus(Errno::Last(), "fork of the handle keeper");
  if (pid > 0) return pid;
  constexpr int kSocket = STDERR_FILENO + 1;
  if (socket != kSocket && ::dup2(socket, kSocket) != kSocket) ::_exit(EXIT_FAILURE);
  if (::close_range(kSocket + 1, UINT_MAX, 0) != 0) ::_exit(EXIT_FAILURE);
  // No destructors: what they would close is the caller's.
  ::_exit(keep_handles(kSocket));
}

}  // namespace fsd::worker
