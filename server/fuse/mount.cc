#include "server/fuse/mount.h"

#include <utility>

#include "server/telemetry/log.h"

namespace fsd::fuse {

namespace {

EntryTerms TermsOf(const SessionOptions& options) {
  const CacheTimeouts timeouts = TimeoutsOf(options);
  return {.attributes = ToTimeout(timeouts.attributes),
          .entries = ToTimeout(timeouts.entries),
          .negative = ToTimeout(timeouts.negative)};
}

}  // namespace

Mount::Mount(backends::Filesystem& filesystem, SessionOptions options,
             std::function<void(const NegotiatedInit&)> on_mounted,
             std::function<void()> on_unmounted)
    : filesystem_(filesystem),
      options_(std::move(options)),
      terms_(TermsOf(options_)),
      on_mounted_(std::move(on_mounted)),
      on_unmounted_(std::move(on_unmounted)) {}

EntryTerms Mount::entry_terms() const {
  EntryTerms terms = terms_;
  terms.announce_submounts = agreed(FUSE_SUBMOUNTS);
  return terms;
}

ErrnoOr<fuse_init_out> Mount::Init(const fuse_init_in& in, size_t in_bytes) {
  BeginChange();
  filesystem_.Reset();
  const ErrnoOr<InitReply> reply = NegotiateInit(in, in_bytes, options_);
  if (!reply.ok() || !reply->agreed.has_value()) {
    EndChange(State::kAwaitingInit);
    return NotMounted(in, reply);
  }
  const NegotiatedInit& agreed = *reply->agreed;
  agreed_flags_.store(agreed.flags, std::memory_order_relaxed);
  if (on_mounted_) on_mounted_(agreed);
  EndChange(State::kMounted);
  FSD_LOG(kInfo, options_.export_name, "guest mounted, FUSE %u.%u, flags %#x", agreed.major,
          agreed.minor, agreed.flags);
  return reply->out;
}

ErrnoOr<fuse_init_out> Mount::NotMounted(const fuse_init_in& in,
                                         const ErrnoOr<InitReply>& reply) const {
  if (!reply.ok()) {
    FSD_LOG(kWarning, options_.export_name, "guest speaks FUSE %u.%u: refused", in.major, in.minor);
    return reply.error();
  }
  if (reply->lacks != nullptr) {
    FSD_LOG(kWarning, options_.export_name,
            "guest refused: the export demands %s, which the guest does not offer", reply->lacks);
    return Errno(EPROTO);
  }
  FSD_LOG(kWarning, options_.export_name, "guest speaks FUSE %u.%u: asked to speak ours", in.major,
          in.minor);
  return reply->out;
}

void Mount::Destroy() {
  BeginChange();
  filesystem_.Reset();
  if (on_unmounted_) on_unmounted_();
  EndChange(State::kAwaitingInit);
  FSD_LOG(kInfo, options_.export_name, "guest unmounted");
}

void Mount::Reset() {
  BeginChange();
  filesystem_.Reset();
  EndChange(State::kAwaitingInit);
}

void Mount::BeginChange() {
  State seen = state_.load(std::memory_order_acquire);
  while (true) {
    if (seen == State::kChanging) {
      state_.wait(State::kChanging, std::memory_order_acquire);
      seen = state_.load(std::memory_order_acquire);
    } else if (state_.compare_exchange_weak(seen, State::kChanging, std::memory_order_acq_rel,
                                            std::memory_order_acquire)) {
      return;
    }
  }
}

void Mount::EndChange(State state) {
  state_.store(state, std::memory_order_release);
  state_.notify_all();
}

}  // namespace fsd::fuse
