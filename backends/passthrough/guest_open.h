// What the host opens when a guest opens a file: which of open(2)'s flags mean something here, and
// what an export's options make of them.
//
// Refused is what re-opening may not do. O_CREAT, O_EXCL, O_NONBLOCK … are the guest's own business
// and left out, and O_APPEND too, but of an append-only file, which the host opens for writing in
// no other way.
#ifndef FSD_BACKENDS_PASSTHROUGH_GUEST_OPEN_H_
#define FSD_BACKENDS_PASSTHROUGH_GUEST_OPEN_H_

#include <cstdint>

#include "absl/functional/function_ref.h"
#include "server/errors/errno_or.h"
#include "server/os/unique_fd.h"

namespace fsd::passthrough {

struct OpenPolicy {
  // A file that the guest opens for writing only is opened for reading too: the guest's page cache
  // reads what surrounds a small write.
  bool writeback = false;
  // O_DIRECT has its own descriptor beside the ordinary one.
  bool direct_io = false;
  // O_NOATIME is passed on, where the host allows it.
  bool preserve_noatime = false;
};

struct HostOpen {
  int flags = 0;        // for Reopen() and CreateChild(): an access mode, O_TRUNC, O_SYNC …
  bool direct = false;  // a second descriptor with O_DIRECT
  // The guest asked for O_WRONLY, which is what is left if `flags` are refused with EACCES.
  bool write_only_suffices = false;
  // The guest asked for O_APPEND, which is added if `flags` are refused with EPERM.
  bool append_suffices = false;

  bool Changes() const;  // whether the open itself or a write through it would
};

// EINVAL, ENOTDIR: see above.
ErrnoOr<HostOpen> HostOpenOf(uint32_t guest_flags, const OpenPolicy& policy);

struct OpenFds {
  os::UniqueFd file;
  os::UniqueFd direct;       // invalid without HostOpen.direct
  bool append_only = false;  // both have O_APPEND
};

// Opens what it is about with the flags, as Reopen() of safe_open.h.
using Reopener = absl::FunctionRef<ErrnoOr<os::UniqueFd>(int flags)>;

// What `reopen` says, and without O_NOATIME where that is another owner's to allow.
ErrnoOr<os::UniqueFd> ReopenWithAtime(Reopener reopen, int flags);

// The same of both; EINVAL too if the file system has no O_DIRECT, and then nothing has been
// truncated.
ErrnoOr<OpenFds> OpenForGuest(Reopener reopen, const HostOpen& open);

// The second descriptor; invalid if none is wanted.
ErrnoOr<os::UniqueFd> OpenDirect(Reopener reopen, const HostOpen& open);

}  // namespace fsd::passthrough

#endif  // FSD_BACKENDS_PASSTHROUGH_GUEST_OPEN_H_
