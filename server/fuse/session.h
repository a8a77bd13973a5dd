// Session: one guest's FUSE life, from INIT to DESTROY, on top of a Filesystem.
//
// Iovecs in, iovecs out: it knows neither virtqueues nor files. Every request is answered, whatever
// its bytes say. Any thread may call Prepare and Serve, for different requests at once.
#ifndef FSD_SERVER_FUSE_SESSION_H_
#define FSD_SERVER_FUSE_SESSION_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>

#include "absl/time/time.h"
#include "backends/filesystem.h"
#include "server/fuse/request.h"

namespace fsd::fuse {

// How long and what the guest may cache.
enum class CachePolicy { kNever, kAuto, kMetadata, kAlways };

struct SessionOptions {
  std::string export_name;  // for the log
  CachePolicy cache = CachePolicy::kAuto;
  bool read_only = false;
};

// What was agreed with the guest at INIT.
struct NegotiatedInit {
  uint32_t major = 0;
  uint32_t minor = 0;
  uint64_t flags = 0;  // FUSE_* INIT flags, INIT_EXT's upper half included
  uint32_t max_write_bytes = 0;
};

class Session {
 public:
  // `on_mounted` is told of each INIT that succeeded, `on_unmounted` of DESTROY; from any thread.
  Session(backends::Filesystem& filesystem, SessionOptions options,
          std::function<void(const NegotiatedInit&)> on_mounted,
          std::function<void()> on_unmounted);
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

  // The connection or device was reset: forgets the guest. May block.
  void Reset();

 private:
  // The implementation adds what it needs.
};

}  // namespace fsd::fuse

#endif  // FSD_SERVER_FUSE_SESSION_H_
