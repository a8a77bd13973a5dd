// Mount: a session's state, and what the handlers of its requests may know of it.
//
//   awaiting INIT --Init--> changing --agreed--> mounted
//                            |  ^ |                 |
//        any state --Reset---+  | +--not agreed, Destroy, Reset--> awaiting INIT
//                               +----Init, Destroy, Reset--- (from mounted)
//
// While it is changing, other changes wait and requests are refused, so the filesystem is reset by
// one thread at a time. Requests that were let in before may still run; the filesystem copes.
//
// Any thread may call anything.
#ifndef FSD_SERVER_FUSE_MOUNT_H_
#define FSD_SERVER_FUSE_MOUNT_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>

#include "backends/filesystem.h"
#include "server/errors/errno_or.h"
#include "server/fuse/abi.h"
#include "server/fuse/attributes.h"
#include "server/fuse/init.h"
#include "server/fuse/session_options.h"

namespace fsd::fuse {

class Mount {
 public:
  // The callbacks run while the mount is changing and must not change it themselves.
  Mount(backends::Filesystem& filesystem, SessionOptions options,
        std::function<void(const NegotiatedInit&)> on_mounted, std::function<void()> on_unmounted);

  backends::Filesystem& filesystem() const { return filesystem_; }
  const SessionOptions& options() const { return options_; }
  bool mounted() const { return state_.load(std::memory_order_acquire) == State::kMounted; }
  // The INIT flags of the last guest that mounted; a guest's requests may be served a little longer
  // than its session lasts.
  uint64_t agreed_flags() const { return agreed_flags_.load(std::memory_order_relaxed); }
  bool agreed(uint64_t flag) const { return (agreed_flags() & flag) != 0; }
  EntryTerms entry_terms() const;

  // INIT: ends the session before it, whose guest may have rebooted without DESTROY, and begins
  // anew. May block. Errors as NegotiateInit's, and EPROTO for a guest that does not offer what the
  // options demand.
  ErrnoOr<fuse_init_out> Init(const fuse_init_in& in, size_t in_bytes);
  // DESTROY. May block.
  void Destroy();
  // The guest is gone without a word. May block.
  void Reset();

 private:
  enum class State { kAwaitingInit, kChanging, kMounted };

  // Tells the log why `in` was not agreed on, and the guest what it is to know.
  ErrnoOr<fuse_init_out> NotMounted(const fuse_init_in& in, const ErrnoOr<InitReply>& reply) const;
  void BeginChange();
  void EndChange(State state);

  backends::Filesystem& filesystem_;
  const SessionOptions options_;
  const EntryTerms terms_;  // but for what is agreed
  const std::function<void(const NegotiatedInit&)> on_mounted_;
  const std::function<void()> on_unmounted_;
  std::atomic<State> state_{State::kAwaitingInit};
  std::atomic<uint64_t> agreed_flags_{0};
};

}  // namespace fsd::fuse

#endif  // FSD_SERVER_FUSE_MOUNT_H_
