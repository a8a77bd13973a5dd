// How replies are written into a request's writable buffers.
//
// A reply is a fuse_out_header and its body. `writable` is all the room there is. Each function
// returns the bytes of the reply, which is the header's `len` and must become the chain's used
// length; recent kernels fail a request where the two differ. 0 means that not even a header fits:
// the chain is then completed with length 0.
#ifndef FSD_SERVER_FUSE_REPLY_H_
#define FSD_SERVER_FUSE_REPLY_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "server/errors/errno_or.h"
#include "server/fuse/iovec_cursor.h"

namespace fsd::fuse {

// Header and body. An error reply (EINVAL) if they do not fit.
uint32_t WriteReply(IovecCursor writable, uint64_t unique, std::span<const std::byte> body);

// The header in front of `body_bytes` that are in place already. An error reply (EINVAL) if the
// buffers have no room for so many.
uint32_t WriteReplyHeader(IovecCursor writable, uint64_t unique, size_t body_bytes);

// A header alone that carries -errno; EIO for a number that no reply may carry.
uint32_t WriteErrorReply(IovecCursor writable, uint64_t unique, Errno error);

// `error`, or EIO if a reply may not carry it.
Errno ReplyErrno(Errno error);

}  // namespace fsd::fuse

#endif  // FSD_SERVER_FUSE_REPLY_H_
