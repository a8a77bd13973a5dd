#include "server/fuse/reply.h"

#include <limits>

#include "server/fuse/abi.h"

namespace fsd::fuse {
namespace {

constexpr size_t kMaxBodyBytes = std::numeric_limits<uint32_t>::max() - sizeof(fuse_out_header);

// Whether a reply of this size can be written; moves nothing.
bool Fits(const IovecCursor& cursor, size_t body_bytes) {
  return body_bytes <= kMaxBodyBytes && cursor.remaining() >= sizeof(fuse_out_header) + body_bytes;
}

fuse_out_header OkHeader(uint64_t unique, size_t body_bytes) {
  return {.len = static_cast<uint32_t>(sizeof(fuse_out_header) + body_bytes),
          .error = 0,
          .unique = unique};
}

}  // namespace

uint32_t WriteReply(IovecCursor writable, uint64_t unique, std::span<const std::byte> body) {
  if (!Fits(writable, body.size())) return WriteErrorReply(writable, unique, Errno(EINVAL));
  const fuse_out_header header = OkHeader(unique, body.size());
  writable.CopyIn(&header, sizeof(header));
  writable.CopyIn(body.data(), body.size());
  return header.len;
}

uint32_t WriteReplyHeader(IovecCursor writable, uint64_t unique, size_t body_bytes) {
  if (!Fits(writable, body_bytes)) return WriteErrorReply(writable, unique, Errno(EINVAL));
  const fuse_out_header header = OkHeader(unique, body_bytes);
  writable.CopyIn(&header, sizeof(header));
  return header.len;
}

uint32_t WriteErrorReply(IovecCursor writable, uint64_t unique, Errno error) {
  const fuse_out_header header = {
      .len = sizeof(fuse_out_header), .error = -ReplyErrno(error).value(), .unique = unique};
  if (writable.remaining() < sizeof(header)) return 0;
  writable.CopyIn(&header, sizeof(header));
  return header.len;
}

Errno ReplyErrno(Errno error) {
  return error.value() >= 1 && error.value() <= kMaxReplyErrno ? error : Errno(EIO);
}

}  // namespace fsd::fuse
