// Handlers of the opcodes that are about open files.
//
// Each decodes its arguments, runs one operation of the filesystem and replies; see opcode_row.h
// for what has been checked before. Open flags reach the filesystem through a list of those that
// mean something here: CREATE's carry O_EXCL but not O_CREAT, which the operation implies, and
// neither CREATE's nor OPEN's ever O_PATH, O_TMPFILE, O_DIRECTORY, O_NOCTTY or anything unknown.
//
// Where it was agreed that nothing is opened (NO_OPEN_SUPPORT), OPEN and FLUSH are ENOSYS, which a
// guest asks once; what CREATE and TMPFILE make is not kept open; handles are 0 (kNoHandle), and
// their RELEASE is nothing to do. With write-back caching O_APPEND reaches no filesystem.
#ifndef FSD_SERVER_FUSE_FILE_HANDLERS_H_
#define FSD_SERVER_FUSE_FILE_HANDLERS_H_

#include "server/fuse/request.h"

namespace fsd::fuse {

// EROFS on a read-only export if the flags ask for writing or truncation.
void HandleOpen(Request& request);
void HandleCreate(Request& request);
// TMPFILE. Its name means nothing (Linux sends "/").
void HandleCreateTemporary(Request& request);
// EINVAL if the guest gave less room than it asks bytes for, or the range ends beyond 2^63 - 1.
void HandleRead(Request& request);
// EINVAL if the size is not that of the payload, or the range ends beyond 2^63 - 1.
void HandleWrite(Request& request);
void HandleFlush(Request& request);
void HandleRelease(Request& request);
void HandleFsync(Request& request);

}  // namespace fsd::fuse

#endif  // FSD_SERVER_FUSE_FILE_HANDLERS_H_
