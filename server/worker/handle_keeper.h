// HandleKeeper: opens host handles for the data plane, and only those that it has issued.
//
// open_by_handle_at(2) reaches every file of a file system, inside the export or not, and needs
// CAP_DAC_READ_SEARCH. So a process of its own has the capability, and the data plane, which talks
// to guests, asks it. A handle is issued for what the data plane already has open, with a keyed
// hash over it and its mount as the proof; the key is in this process only. Requests are structs of
// one size (server/ipc/handle_channel.h); nothing a guest writes gets here but by way of a data
// plane that it has taken over.
//
// The data plane is confined to the export's tree by Landlock, and the keeper is not. An inode that
// was opened by handle while no name of it was cached is in no tree, as far as the kernel knows, so
// that the data plane may neither open it for I/O nor link it; it asks for that, too. Only regular
// files are opened for I/O (a directory that was opened by handle is in its place), nothing is
// made, and for a read-only export nothing is opened for writing or linked.
//
// It shares no table of descriptors with the data plane: in a shared one the mount that a handle is
// opened on could be exchanged after it was checked. Descriptors travel in messages.
//
// One thread.
#ifndef FSD_SERVER_WORKER_HANDLE_KEEPER_H_
#define FSD_SERVER_WORKER_HANDLE_KEEPER_H_

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "absl/status/statusor.h"
#include "server/errors/errno_or.h"
#include "server/ipc/handle_channel.h"
#include "server/os/unique_fd.h"
#include "server/worker/sip_hash.h"

namespace fsd::worker {

class HandleKeeper {
 public:
  // Draws the key.
  static ErrnoOr<HandleKeeper> Create(bool read_only);
  explicit HandleKeeper(const SipHashKey& key, bool read_only = false);

  // The answer to one request and, if it opens something, the fd. EINVAL for what is no request.
  ipc::HandleAnswer Answer(std::span<const std::byte> request, std::span<const os::UniqueFd> fds,
                           os::UniqueFd& opened) const;

  // Answers what comes in until the other side has closed; else what made it stop.
  ErrnoOr<void> Serve(int socket) const;

 private:
  ipc::IssuedHandle Issue(int fd) const;
  ErrnoOr<os::UniqueFd> Open(int mount_fd, const ipc::IssuedHandle& handle, int flags) const;
  ErrnoOr<os::UniqueFd> OpenForIo(int mount_fd, const ipc::IssuedHandle& handle, int flags) const;
  ErrnoOr<void> Link(int fd, int directory, const char* name) const;
  uint64_t Proof(uint64_t mount, const ipc::IssuedHandle& handle) const;

  // Whether a mount is of our own mount namespace. What a VMM hands to the data plane, as a
  // descriptor of its own mounts, is not for us to open. Before Linux 6.8 only the root's is known
  // to be.
  bool IsOurs(uint64_t mount) const;

  SipHashKey key_;
  bool read_only_;
  uint64_t root_mount_ = 0;  // 0: not known
};

// Starts a process that has, of all descriptors, `socket` (at another number, which `keep_handles`
// is given) and the standard ones, and exits when `keep_handles` returns; or when the caller ends,
// the first process of a pid namespace, as there are no host handles without one. Call
// single-threaded. `socket` stays open in the caller.
absl::StatusOr<pid_t> ForkHandleKeeper(int socket, const std::function<int(int)>& keep_handles);

}  // namespace fsd::worker

#endif  // FSD_SERVER_WORKER_HANDLE_KEEPER_H_
