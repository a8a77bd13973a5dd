// RunOperation: from a backend's operation to the guest's reply, now or when the operation is
// completed, on whatever thread that happens.
//
//   RunOperation<backends::Entry, ReplyEntry>(request, [&](backends::Call<backends::Entry> call) {
//     return request.filesystem().Lookup(call, request.node(), name);
//   });
#ifndef FSD_SERVER_FUSE_OPERATION_H_
#define FSD_SERVER_FUSE_OPERATION_H_

#include <type_traits>
#include <utility>

#include "backends/filesystem.h"
#include "server/fuse/request.h"

namespace fsd::fuse {

// Replies with an operation's errno, or has `kReply(request[, value])` reply.
template <typename T, auto kReply>
void FinishOperation(backends::CallState& state, ErrnoOr<T>&& result) {
  auto& request = static_cast<Request&>(state);
  if (!result.ok()) {
    request.ReplyError(result.error());
  } else if constexpr (std::is_void_v<T>) {
    kReply(request);
  } else {
    kReply(request, *result);
  }
}

// Runs `operation(call)`; it is over when `finish` was called, which replies. The request may be
// gone when this returns.
template <typename T, typename Operation>
void RunOperationThen(Request& request, typename backends::Completion<T>::Resume finish,
                      const Operation& operation) {
  backends::Outcome<T> outcome = operation(backends::Call<T>(request, finish));
  if (!outcome.pending()) finish(request, std::move(outcome).result());
}

template <typename T, auto kReply, typename Operation>
void RunOperation(Request& request, const Operation& operation) {
  RunOperationThen<T>(request, &FinishOperation<T, kReply>, operation);
}

inline void ReplyEmpty(Request& request) { request.ReplyEmpty(); }

inline void ReplyEntry(Request& request, const backends::Entry& entry) {
  request.Reply([&] { return ToEntryOut(entry, request.mount().entry_terms()); });
}

// The operation was lent the reply's space and filled this much of it.
inline void ReplyFilled(Request& request, size_t bytes) {
  // More than it was lent is the backend's mistake, not a reason to tell the guest of bytes that
  // nobody wrote.
  if (bytes > request.lent_bytes()) return request.ReplyError(Errno(EIO));
  request.ReplyInPlace(bytes);
}

}  // namespace fsd::fuse

#endif  // FSD_SERVER_FUSE_OPERATION_H_
