#include "server/fuse/xattr_handlers.h"

#include <sys/xattr.h>

#include <algorithm>
#include <span>
#include <string_view>

#include "server/fuse/abi.h"
#include "server/fuse/operation.h"

namespace fsd::fuse {
namespace {

using backends::Call;

fuse_setxattr_in TakeSetxattrIn(Request& request, Arguments& arguments) {
  if (request.mount().agreed(FUSE_SETXATTR_EXT)) return arguments.Take<fuse_setxattr_in>();
  struct ShortForm {
    uint32_t size;
    uint32_t flags;
  };
  static_assert(sizeof(ShortForm) == kShortSetxattrInBytes);
  const auto in = arguments.Take<ShortForm>();
  return {.size = in.size, .flags = in.flags, .setxattr_flags = 0, .padding = 0};
}

void ReplyLength(Request& request, size_t bytes) {
  request.Reply(
      [&] { return fuse_getxattr_out{.size = static_cast<uint32_t>(bytes), .padding = 0}; });
}

// Runs `operation(call, destination)`, which results in a length, as the guest's `size` asks.
template <typename Operation>
void Fetch(Request& request, uint32_t size, const Operation& operation) {
  const size_t needed = size == 0 ? sizeof(fuse_getxattr_out) : size;
  if (request.reply_space_bytes() < needed) return request.ReplyError(Errno(EINVAL));
  if (size == 0) {
    RunOperation<size_t, ReplyLength>(request,
                                      [&](Call<size_t> call) { return operation(call, {}); });
  } else {
    RunOperation<size_t, ReplyFilled>(request, [&](Call<size_t> call) {
      return operation(call, request.LendReplySpace(std::min<size_t>(size, kMaxXattrValueBytes)));
    });
  }
}

}  // namespace

void HandleSetXattr(Request& request) {
  Arguments arguments = request.arguments();
  const fuse_setxattr_in in = TakeSetxattrIn(request, arguments);
  constexpr uint32_t kKnownFlags = XATTR_CREATE | XATTR_REPLACE;
  if ((in.flags & ~kKnownFlags) != 0) return request.ReplyError(Errno(EINVAL));
  const ErrnoOr<std::string_view> name = arguments.TakeXattrName();
  if (!name.ok()) return request.ReplyError(name.error());
  const std::span<const char> value = arguments.rest();
  if (value.size() != in.size) return request.ReplyError(Errno(EINVAL));
  if (value.size() > kMaxXattrValueBytes) return request.ReplyError(Errno(E2BIG));
  RunOperation<void, ReplyEmpty>(request, [&](Call<void> call) {
    return request.filesystem().SetXattr(call, request.node(), *name, value, in.flags,
                                         (in.setxattr_flags & FUSE_SETXATTR_ACL_KILL_SGID) != 0);
  });
}

void HandleGetXattr(Request& request) {
  Arguments arguments = request.arguments();
  const auto in = arguments.Take<fuse_getxattr_in>();
  const ErrnoOr<std::string_view> name = arguments.TakeXattrName();
  if (!name.ok()) return request.ReplyError(name.error());
  Fetch(request, in.size, [&](Call<size_t> call, backends::IoVectors destination) {
    return request.filesystem().GetXattr(call, request.node(), *name, destination);
  });
}

void HandleListXattr(Request& request) {
  const auto in = request.arguments().Take<fuse_getxattr_in>();
  Fetch(request, in.size, [&](Call<size_t> call, backends::IoVectors destination) {
    return request.filesystem().ListXattr(call, request.node(), destination);
  });
}

void HandleRemoveXattr(Request& request) {
  const ErrnoOr<std::string_view> name = request.arguments().TakeXattrName();
  if (!name.ok()) return request.ReplyError(name.error());
  RunOperation<void, ReplyEmpty>(request, [&](Call<void> call) {
    return request.filesystem().RemoveXattr(call, request.node(), *name);
  });
}

}  // namespace fsd::fuse
