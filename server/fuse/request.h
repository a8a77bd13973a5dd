// Request: one FUSE request from its chain's buffers to its reply.
//
// Lives in a preallocated slot and is used again and again: Begin, then exactly one reply. It is the
// CallState of the backend operation it causes, so a pending operation finds its way back here.
//
// The header and the arguments are copied out of guest memory once, before anything is checked.
// The payload of READ and WRITE is not copied: it goes straight between the file and guest memory.
#ifndef FSD_SERVER_FUSE_REQUEST_H_
#define FSD_SERVER_FUSE_REQUEST_H_

#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "backends/filesystem.h"
#include "server/fuse/abi.h"
#include "server/fuse/iovec_cursor.h"

namespace fsd::fuse {

class Request;
class Session;
struct OpcodeRow;

// Who lent the buffers and wants them back.
class RequestOwner {
 public:
  // The reply is in place: `written` bytes of the writable buffers, 0 if the opcode has no reply.
  // The request and its buffers are no longer used. Called once for each Begin, from any thread.
  virtual void OnReplied(Request& request, uint32_t written) = 0;

 protected:
  ~RequestOwner() = default;
};

class Request : public backends::CallState {
 public:
  Request() = default;
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;

  // Takes a chain's buffers; they stay valid until OnReplied.
  void Begin(backends::IoVectors readable, backends::IoVectors writable, RequestOwner& owner);

  // Of the request that is under way, for its owner's log and tables; valid after
  // Session::Prepare.
  const fuse_in_header& header() const { return header_; }

 private:
  // The implementation adds what it needs: header_, cursors, scratch for arguments and names
  // (inline for the usual sizes, heap for SETXATTR values and long symlink targets), the directory
  // packer, the owner, the session and the row.
  fuse_in_header header_{};
};

}  // namespace fsd::fuse

#endif  // FSD_SERVER_FUSE_REQUEST_H_
