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

}  // namespace

uint32_t WriteReply(IovecCursor writable, uint64_t unique, std::span<const std::byte> body) {
  const uint32_t written = WriteReplyHeader(writable, unique, body.size());
  if (written != sizeof(fuse_out_header) + body.size()) return written;
  writable.Skip(sizeof(fuse_out_header));
  writable.CopyIn(body.data(), body.size());
  return written;
}

uint32_t WriteReplyHeader(IovecCursor writable, uint64_t unique, size_t body_bytes) {
  if (!Fits(writable, body_bytes)) return WriteErrorReply(writable, unique, Errno(EINVAL));
  const auto length = static_cast<uint32_t>(sizeof(fuse_out_header) + body_bytes);
  writable.Put([&] { return fuse_out_header{.len = length, .error = 0, .unique = unique}; });
  return length;
}

uint32_t WriteErrorReply(IovecCursor writable, uint64_t unique, Errno error) {
  const bool put = writable.Put([&] {
    return fuse_out_header{
        .len = sizeof(fuse_out_header), .error = -ReplyErrno(error).value(), .unique = unique};
  });
  return put ? sizeof(fuse_out_header) : 0;
}

Errno ReplyErrno(Errno error) {
  return error.value() >= 1 && error.value() <= kMaxReplyErrno ? error : Errno(EIO);
}

}  // namespace fsd::fuse
