// Handlers of the opcodes that are about POSIX and flock(2) locks; served only with
// SessionOptions.locks.
//
// Each decodes its arguments, runs one operation of the filesystem and replies; see opcode_row.h
// for what has been checked before. A lock ends in the last byte it covers, INT64_MAX standing for
// all that ever follows. EINVAL for what no fcntl(2) or flock(2) can ask for.
#ifndef FSD_SERVER_FUSE_LOCK_HANDLERS_H_
#define FSD_SERVER_FUSE_LOCK_HANDLERS_H_

#include "server/fuse/request.h"

namespace fsd::fuse {

void HandleGetLock(Request& request);
void HandleSetLock(Request& request);
// Waits in the filesystem, where it is pending: it holds up no queue and no lane.
void HandleSetLockWait(Request& request);

}  // namespace fsd::fuse

#endif  // FSD_SERVER_FUSE_LOCK_HANDLERS_H_
