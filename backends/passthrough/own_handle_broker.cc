#include "backends/passthrough/own_handle_broker.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstring>

#include "server/errors/status_macros.h"

namespace fsd::passthrough {
namespace {

constexpr uint64_t kProof = 0x5eed;

ErrnoOr<os::UniqueFd> OpenHandle(int mount_fd, const IssuedHandle& issued, int flags) {
  alignas(file_handle) std::byte buffer[sizeof(file_handle) + HostHandle::kMaxBytes];
  auto* raw = reinterpret_cast<file_handle*>(buffer);
  raw->handle_type = issued.handle.type;
  raw->handle_bytes = issued.handle.size;
  std::memcpy(raw->f_handle, issued.handle.bytes, issued.handle.size);
  os::UniqueFd fd(::open_by_handle_at(mount_fd, raw, flags | O_CLOEXEC));
  if (!fd.valid()) return Errno::Last();
  return fd;
}

}  // namespace

ErrnoOr<void> OwnHandleBroker::Issue(std::span<const int> fds, std::span<IssuedHandle> handles) {
  if (log_.broken) return Errno(EPIPE);
  if (log_.when_issuing) log_.when_issuing();
  for (size_t i = 0; i < fds.size(); ++i) {
    const ErrnoOr<HostHandle> handle = HandleOf(fds[i]);
    handles[i] = {};
    if (!handle.ok() || log_.without_handles) continue;
    handles[i] = {.handle = *handle, .proof = kProof};
    if (*handle == log_.of_another_generation) handles[i].handle.bytes[4] ^= std::byte{0xff};
    ++log_.issued;
  }
  return {};
}

ErrnoOr<os::UniqueFd> OwnHandleBroker::Open(int mount_fd, const IssuedHandle& issued) {
  if (log_.broken) return Errno(EPIPE);
  if (issued.proof != kProof) return Errno(EPERM);
  if (log_.opens_without_room > 0) {
    --log_.opens_without_room;
    return Errno(EMFILE);
  }
  if (log_.opens_instead >= 0) {
    return os::UniqueFd(::fcntl(log_.opens_instead, F_DUPFD_CLOEXEC, 0));
  }
  FSD_ASSIGN_OR_RETURN_ERRNO(os::UniqueFd fd, OpenHandle(mount_fd, issued, O_PATH));
  ++log_.opened;
  return fd;
}

ErrnoOr<os::UniqueFd> OwnHandleBroker::OpenForIo(int mount_fd, const IssuedHandle& issued,
                                                 int flags) {
  return OpenHandle(mount_fd, issued, flags);
}

ErrnoOr<void> OwnHandleBroker::Link(int fd, int directory, const ComponentName& name) {
  ++log_.linked;
  if (::linkat(fd, "", directory, name.c_str(), AT_EMPTY_PATH) != 0) return Errno::Last();
  return {};
}

}  // namespace fsd::passthrough
