#include "server/fuse/reply.h"

#include <limits>
#include <new>

#include "server/fuse/abi.h"

namespace fsd::fuse {
namespace {

constexpr size_t kMaxBodyBytes = std::numeric_limits<uint32_t>::max() - sizeof(fuse_out_header);

// Whether a reply of this size can be written; moves nothing.
bool Fits(const IovecCursor& cursor, size_t body_bytes) {
  return body_bytes <= kMaxBodyBytes && cursor.remaining() >= sizeof(fuse_out_header) + body_bytes;
}

// Moves on over it. It fits.
void PutHeader(IovecCursor& writable, uint32_t length, int error, uint64_t unique) {
  const fuse_out_header header{.len = length, .error = error, .unique = unique};
  if (void* const place = writable.Place<fuse_out_header>(); place != nullptr) [[likely]] {
    ::new (place) fuse_out_header(header);
  } else {
    writable.CopyIn(&header, sizeof(header));
  }
}

}  // namespace

uint32_t WriteReply(IovecCursor writable, uint64_t unique, std::span<const std::byte> body) {
  if (!Fits(writable, body.size())) return WriteErrorReply(writable, unique, Errno(EINVAL));
  const auto length = static_cast<uint32_t>(sizeof(fuse_out_header) + body.size());
  PutHeader(writable, length, 0, unique);
  writable.CopyIn(body.data(), body.size());
  return length;
}

uint32_t WriteReplyHeader(IovecCursor writable, uint64_t unique, size_t body_bytes) {
  if (!Fits(writable, body_bytes)) return WriteErrorReply(writable, unique, Errno(EINVAL));
  const auto length = static_cast<uint32_t>(sizeof(fuse_out_header) + body_bytes);
  PutHeader(writable, length, 0, unique);
  return length;
}

uint32_t WriteErrorReply(IovecCursor writable, uint64_t unique, Errno error) {
  if (writable.remaining() < sizeof(fuse_out_header)) return 0;
  PutHeader(writable, sizeof(fuse_out_header), -ReplyErrno(error).value(), unique);
  return sizeof(fuse_out_header);
}

Errno ReplyErrno(Errno error) {
  return error.value() >= 1 && error.value() <= kMaxReplyErrno ? error : Errno(EIO);
}

}  // namespace fsd::fuse
