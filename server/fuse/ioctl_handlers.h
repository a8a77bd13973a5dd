// The handler of IOCTL; see opcode_row.h for what has been checked before.
#ifndef FSD_SERVER_FUSE_IOCTL_HANDLERS_H_
#define FSD_SERVER_FUSE_IOCTL_HANDLERS_H_

#include "server/fuse/request.h"

namespace fsd::fuse {

// Restricted ioctls only: data in and out are of the sizes that the request tells, as the number's
// encoding says them. Which numbers are served is the filesystem's matter (ENOTTY).
//
// ENOTTY: of a 32-bit or x32 program, whose structs may be laid out otherwise. EINVAL: unrestricted
// (CUSE's), a retry, unknown flags, a size that is not that of the data, or less room than the
// guest asks bytes for. EROFS: sets flags or attributes on a read-only export.
void HandleIoctl(Request& request);

}  // namespace fsd::fuse

#endif  // FSD_SERVER_FUSE_IOCTL_HANDLERS_H_
