#include "server/exe/handle_keeper_client.h"

#include <fcntl.h>

#include <cstddef>
#include <cstring>

#include "server/errors/status_macros.h"
#include "server/os/unix_socket.h"

namespace fsd::exe {
namespace {

using passthrough::HostHandle;
using passthrough::IssuedHandle;

// One layout on both sides of the wall.
static_assert(sizeof(IssuedHandle) == sizeof(ipc::IssuedHandle));
static_assert(offsetof(IssuedHandle, proof) == offsetof(ipc::IssuedHandle, proof));
static_assert(offsetof(HostHandle, type) == offsetof(ipc::IssuedHandle, type));
static_assert(offsetof(HostHandle, size) == offsetof(ipc::IssuedHandle, size));
static_assert(offsetof(HostHandle, bytes) == offsetof(ipc::IssuedHandle, bytes));
static_assert(HostHandle::kMaxBytes == ipc::kMaxHandleBytes);
static_assert(passthrough::HandleBroker::kMaxBatch == ipc::kMaxHandlesPerRequest);
static_assert(passthrough::ComponentName::kMaxBytes == ipc::kMaxNameBytes);

}  // namespace

ErrnoOr<HandleKeeperClient::Reply> HandleKeeperClient::Ask(const ipc::HandleRequest& request,
                                                           std::span<const int> fds) {
  Reply reply{};
  os::MutexLock lock(mutex_);
  FSD_RETURN_IF_ERRNO(os::SendWithFds(socket_.get(), std::as_bytes(std::span(&request, 1)), fds));
  FSD_ASSIGN_OR_RETURN_ERRNO(
      os::Received received,
      os::ReceiveWithFds(socket_.get(), std::as_writable_bytes(std::span(&reply.answer, 1)), 1));
  if (received.bytes != sizeof reply.answer) return Errno(EPIPE);
  if (reply.answer.error != 0) return Errno(reply.answer.error);
  // The table of descriptors had no room for the one that came.
  if (received.truncated) return Errno(EMFILE);
  if (!received.fds.empty()) reply.fd = std::move(received.fds[0]);
  return reply;
}

ErrnoOr<void> HandleKeeperClient::Issue(std::span<const int> fds, std::span<IssuedHandle> handles) {
  FSD_ASSIGN_OR_RETURN_ERRNO(const Reply reply,
                             Ask({.operation = ipc::HandleOperation::kIssue}, fds));
  if (reply.answer.count != handles.size()) return Errno(EPIPE);
  std::memcpy(handles.data(), reply.answer.handles, handles.size_bytes());
  return {};
}

ErrnoOr<os::UniqueFd> HandleKeeperClient::AskForFd(int mount_fd, const IssuedHandle& handle,
                                                   ipc::HandleRequest request) {
  std::memcpy(&request.handle, &handle, sizeof request.handle);
  FSD_ASSIGN_OR_RETURN_ERRNO(Reply reply, Ask(request, std::span(&mount_fd, 1)));
  if (!reply.fd.valid()) return Errno(EPIPE);
  return std::move(reply.fd);
}

ErrnoOr<os::UniqueFd> HandleKeeperClient::Open(int mount_fd, const IssuedHandle& handle) {
  return AskForFd(mount_fd, handle, {.operation = ipc::HandleOperation::kOpen});
}

ErrnoOr<os::UniqueFd> HandleKeeperClient::OpenForIo(int mount_fd, const IssuedHandle& handle,
                                                    int flags) {
  FSD_ASSIGN_OR_RETURN_ERRNO(
      os::UniqueFd fd,
      AskForFd(mount_fd, handle,
               {.operation = ipc::HandleOperation::kOpenForIo, .open_flags = flags}));
  // Of those that F_SETFL changes, the caller's.
  if (::fcntl(fd.get(), F_SETFL, flags & (O_APPEND | O_DIRECT | O_NOATIME)) != 0) {
    return Errno::Last();
  }
  return fd;
}

ErrnoOr<void> HandleKeeperClient::Link(int fd, int directory,
                                       const passthrough::ComponentName& name) {
  ipc::HandleRequest request{.operation = ipc::HandleOperation::kLink};
  std::strncpy(request.name, name.c_str(), sizeof request.name);
  const int fds[] = {fd, directory};
  FSD_RETURN_IF_ERRNO(Ask(request, fds));
  return {};
}

}  // namespace fsd::exe
