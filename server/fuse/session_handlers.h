// Handlers of the opcodes that are about the session itself.
#ifndef FSD_SERVER_FUSE_SESSION_HANDLERS_H_
#define FSD_SERVER_FUSE_SESSION_HANDLERS_H_

#include "server/fuse/request.h"

namespace fsd::fuse {

void HandleInit(Request& request);
void HandleDestroy(Request& request);
// Accepted and ignored: no operation can be called off, and there is no reply.
void HandleInterrupt(Request& request);

}  // namespace fsd::fuse

#endif  // FSD_SERVER_FUSE_SESSION_HANDLERS_H_
