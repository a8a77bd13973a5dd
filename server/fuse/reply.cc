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

// The header of a reply that fits, with the reply's length, which it returns; moves on over it.
// Made in its place, if that is one (IovecCursor::Place), not copied there.
uint32_t PutHeader(IovecCursor& writable, size_t body_bytes, int error, uint64_t unique) {
  const auto length = static_cast<uint32_t>(sizeof(fuse_out_header) + body_bytes);
  const auto make = [&] {
    return fuse_out_header{.len = length, .error = error, .unique = unique};
  };
  if (void* const place = writable.Place<fuse_out_header>(); place != nullptr) [[likely]] {
    ::new (place) fuse_out_header(make());
  } else {
    const fuse_out_header header = make();
    writable.CopyIn(&header, sizeof(header));
  }
  return length;
}

}  // namespace

uint32_t WriteReply(IovecCursor writable, uint64_t unique, std::span<const std::byte> body) {
  if (!Fits(writable, body.size())) return WriteErrorReply(writable, unique, Errno(EINVAL));
  const uint32_t length = PutHeader(writable, body.size(), 0, unique);
  writable.CopyIn(body.data(), body.size());
  return length;
}

uint32_t WriteReplyHeader(IovecCursor writable, uint64_t unique, size_t body_bytes) {
  if (!Fits(writable, body_bytes)) return WriteErrorReply(writable, unique, Errno(EINVAL));
  return PutHeader(writable, body_bytes, 0, unique);
}

uint32_t WriteErrorReply(IovecCursor writable, uint64_t unique, Errno error) {
  if (!Fits(writable, 0)) return 0;
  return PutHeader(writable, 0, -ReplyErrno(error).value(), unique);
}

Errno ReplyErrno(Errno error) {
  return error.value() >= 1 && error.value() <= kMaxReplyErrno ? error : Errno(EIO);
}

}  // namespace fsd::fuse
