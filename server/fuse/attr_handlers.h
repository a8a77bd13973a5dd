// Handlers of the opcodes that are about attributes, of inodes and of the file system.
//
// Each decodes its arguments, runs one operation of the filesystem and replies; see opcode_row.h
// for what has been checked before.
#ifndef FSD_SERVER_FUSE_ATTR_HANDLERS_H_
#define FSD_SERVER_FUSE_ATTR_HANDLERS_H_

#include "server/fuse/request.h"

namespace fsd::fuse {

void HandleGetAttributes(Request& request);
// STATX: the same with birth time and the file's flags. Always all that the filesystem knows.
void HandleStatx(Request& request);
// EINVAL for nanoseconds of a second or more (utimensat(2) would take some of them for UTIME_NOW or
// UTIME_OMIT) and for sizes beyond 2^63 - 1.
void HandleSetAttributes(Request& request);
// EINVAL for bits that access(2) does not have; EOVERFLOW for a caller that is nobody (kInvalidId).
void HandleAccess(Request& request);
void HandleStatFilesystem(Request& request);
void HandleSyncFilesystem(Request& request);

}  // namespace fsd::fuse

#endif  // FSD_SERVER_FUSE_ATTR_HANDLERS_H_
