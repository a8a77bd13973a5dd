#include "server/fuse/session_handlers.h"

#include "server/fuse/abi.h"

namespace fsd::fuse {

void HandleInit(Request& request) {
  const auto in = request.arguments().Take<fuse_init_in>();
  const ErrnoOr<fuse_init_out> out = request.mount().Init(in, request.argument_bytes());
  if (!out.ok()) return request.ReplyError(out.error());
  request.Reply([&] { return *out; });
}

void HandleDestroy(Request& request) {
  request.mount().Destroy();
  request.ReplyEmpty();
}

void HandleInterrupt(Request& request) { request.ReplyNothing(); }

}  // namespace fsd::fuse
