// Handlers of the opcodes that are about ranges of open files: allocating, finding and copying
// them.
//
// Each decodes its arguments, runs one operation of the filesystem and replies; see opcode_row.h
// for what has been checked before.
#ifndef FSD_SERVER_FUSE_RANGE_HANDLERS_H_
#define FSD_SERVER_FUSE_RANGE_HANDLERS_H_

#include "server/fuse/request.h"

namespace fsd::fuse {

void HandleFallocate(Request& request);
// SEEK_DATA and SEEK_HOLE; EINVAL for what else a guest does by itself.
void HandleSeek(Request& request);
// Both copy at most up to the largest offset, and the first what its 32-bit reply can tell of, in
// whole pages.
void HandleCopyFileRange(Request& request);
void HandleCopyFileRange64(Request& request);

}  // namespace fsd::fuse

#endif  // FSD_SERVER_FUSE_RANGE_HANDLERS_H_
