#include "server/fuse/ioctl_handlers.h"

#include <linux/fs.h>

#include <cstdint>
#include <span>

#include "server/fuse/abi.h"
#include "server/fuse/operation.h"

namespace fsd::fuse {
namespace {

using backends::Call;
using backends::FileHandle;

bool Mutates(uint32_t command) {
  return command == FS_IOC_SETFLAGS || command == FS_IOC_FSSETXATTR;
}

void ReplyIoctl(Request& request, size_t bytes) {
  if (bytes > request.lent_bytes()) return request.ReplyError(Errno(EIO));
  request.ReplyInFrontOf(fuse_ioctl_out{.result = 0, .flags = 0, .in_iovs = 0, .out_iovs = 0},
                         bytes);
}

}  // namespace

void HandleIoctl(Request& request) {
  Arguments arguments = request.arguments();
  const auto in = arguments.Take<fuse_ioctl_in>();
  constexpr uint32_t kForeignLayout = FUSE_IOCTL_COMPAT | FUSE_IOCTL_32BIT | FUSE_IOCTL_COMPAT_X32;
  if ((in.flags & kForeignLayout) != 0) return request.ReplyError(Errno(ENOTTY));
  if ((in.flags & ~static_cast<uint32_t>(FUSE_IOCTL_DIR)) != 0) {
    return request.ReplyError(Errno(EINVAL));
  }
  const std::span<const char> input = arguments.rest();
  if (input.size() != in.in_size || in.out_size > kMaxIoctlBytes ||
      request.reply_space_bytes() < sizeof(fuse_ioctl_out) + in.out_size) {
    return request.ReplyError(Errno(EINVAL));
  }
  if (request.mount().options().read_only && Mutates(in.cmd)) {
    return request.ReplyError(Errno(EROFS));
  }
  RunOperation<size_t, ReplyIoctl>(request, [&](Call<size_t> call) {
    return request.filesystem().Ioctl(call, request.node(), FileHandle{in.fh}, in.cmd, input,
                                      request.LendReplySpace(in.out_size, sizeof(fuse_ioctl_out)));
  });
}

}  // namespace fsd::fuse
