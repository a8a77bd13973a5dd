// Handlers of the opcodes that are about extended attributes; served only with
// SessionOptions.xattr.
//
// Each decodes its arguments, runs one operation of the filesystem and replies; see opcode_row.h
// for what has been checked before. Names are whole ones, as in setxattr(2), and as there ERANGE if
// empty or too long.
#ifndef FSD_SERVER_FUSE_XATTR_HANDLERS_H_
#define FSD_SERVER_FUSE_XATTR_HANDLERS_H_

#include "server/fuse/request.h"

namespace fsd::fuse {

// EINVAL if the size is not that of the value. Flags of its own only where SETXATTR_EXT was agreed.
void HandleSetXattr(Request& request);
// Both answer the length alone if the guest asks for 0 bytes; EINVAL if it gave less room than it
// asks bytes for, ERANGE if those are too few.
void HandleGetXattr(Request& request);
void HandleListXattr(Request& request);
void HandleRemoveXattr(Request& request);

}  // namespace fsd::fuse

#endif  // FSD_SERVER_FUSE_XATTR_HANDLERS_H_
