// Handlers of the opcodes that are about names and the nodes behind them.
//
// Each decodes its arguments, runs one operation of the filesystem and replies; see opcode_row.h
// for what has been checked before.
#ifndef FSD_SERVER_FUSE_NAME_HANDLERS_H_
#define FSD_SERVER_FUSE_NAME_HANDLERS_H_

#include "server/fuse/request.h"

namespace fsd::fuse {

// A name that does not exist is ENOENT, or an entry of node 0 if the guest may remember that
// (SessionOptions.negative_timeout).
void HandleLookup(Request& request);
void HandleForget(Request& request);
// Drops a message whose count does not match its body, or is over kMaxForgets: there is no reply
// to refuse it with.
void HandleBatchForget(Request& request);
void HandleReadLink(Request& request);
void HandleSymlink(Request& request);
void HandleMakeNode(Request& request);
void HandleMakeDirectory(Request& request);
void HandleUnlink(Request& request);
void HandleRemoveDirectory(Request& request);
void HandleRename(Request& request);
void HandleRename2(Request& request);
void HandleLink(Request& request);

// The most that one BATCH_FORGET gives back, so that none holds up its queue for long.
inline constexpr size_t kMaxForgets = 65536;

}  // namespace fsd::fuse

#endif  // FSD_SERVER_FUSE_NAME_HANDLERS_H_
