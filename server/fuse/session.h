// Session: one guest's FUSE life, from INIT to DESTROY, on top of a Filesystem.
//
// Iovecs in, iovecs out: it knows neither virtqueues nor files. Every request is answered, whatever
// its bytes say. Any thread may call Prepare and Serve, for different requests at once.
//
// A request is refused, before its operation is run, in this order:
//   EINVAL  the header is cut short, or its length is not what the chain can hold
//   ENOSYS  no such opcode
//   EIO     no guest has mounted (INIT is yet to come, or DESTROY was the last)
//   EROFS   it would change a read-only export
//   ENOSYS  the opcode is not served, or not with these options
//   EINVAL  there is no room for the reply, or the arguments are too short
//   …       what its handler finds
// A refusal that does not fit, and the opcodes that have no reply, come back with 0 bytes.
#ifndef FSD_SERVER_FUSE_SESSION_H_
#define FSD_SERVER_FUSE_SESSION_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "backends/filesystem.h"
#include "server/errors/errno_or.h"
#include "server/fuse/init.h"
#include "server/fuse/mount.h"
#include "server/fuse/request.h"
#include "server/fuse/session_options.h"

namespace fsd::fuse {

class Session {
 public:
  // `on_mounted` is told of each INIT that succeeded, `on_unmounted` of DESTROY; from any thread.
  // Neither may call the session.
  Session(backends::Filesystem& filesystem, SessionOptions options,
          std::function<void(const NegotiatedInit&)> on_mounted,
          std::function<void()> on_unmounted);
  // No request may be under way.
  ~Session();

  // Where a request is to be served.
  enum class Lane {
    kQueue,  // on the calling thread: it is not known to block
    kSlow,   // elsewhere: it is known to block (fsync, a session's reset, …)
  };

  // Copies the header out and finds its row. Then call Serve, on the lane this says.
  Lane Prepare(Request& request);
  // Decodes, runs the operation and replies; the reply may come later if the operation is pending.
  void Serve(Request& request);

  // A queue stops and serves no more: what waits for a lock is answered (EAGAIN), as the stop waits
  // for it. Does not block: what is just being tried is answered once the host has answered.
  void EndWaits() { mount_.filesystem().EndWaits(); }

  // The connection or device was reset: forgets the guest. May block.
  void Reset();

 private:
  // Fetches the request's arguments, unless it is not to be handled; then why.
  ErrnoOr<void> Accept(Request& request) const;

  Mount mount_;
};

}  // namespace fsd::fuse

#endif  // FSD_SERVER_FUSE_SESSION_H_
