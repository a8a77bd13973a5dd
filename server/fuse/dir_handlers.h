// Handlers of the opcodes that are about open directories.
//
// Each decodes its arguments, runs one operation of the filesystem and replies; see opcode_row.h
// for what has been checked before. Where it was agreed that directories are not opened
// (NO_OPENDIR_SUPPORT), OPENDIR is ENOSYS, and RELEASEDIR of handle 0 nothing to do.
#ifndef FSD_SERVER_FUSE_DIR_HANDLERS_H_
#define FSD_SERVER_FUSE_DIR_HANDLERS_H_

#include "server/fuse/request.h"

namespace fsd::fuse {

void HandleOpenDirectory(Request& request);
// Both fill the smaller of what the guest asks for and what it has room for. An error after some
// entries is left for the next call, as getdents(2) does: READDIRPLUS's entries were counted as
// lookups, so the guest must see them.
void HandleReadDirectory(Request& request);
void HandleReadDirectoryPlus(Request& request);
void HandleReleaseDirectory(Request& request);
void HandleFsyncDirectory(Request& request);

}  // namespace fsd::fuse

#endif  // FSD_SERVER_FUSE_DIR_HANDLERS_H_
