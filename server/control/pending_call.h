// PendingCall: a unary call that waits for the supervisor's answer, on no thread of its own.
//
// The service hands the supervisor a callback that shares the PendingCall, returns reactor() to
// gRPC and is done. Whatever comes first ends the call, once: the answer; the client going away, or
// the server stopping, after which an answer is dropped; or the last share going unanswered, which
// is INTERNAL. So neither a slow supervisor nor a forgotten callback can keep the server from
// stopping.
//
// Any thread.
#ifndef FSD_SERVER_CONTROL_PENDING_CALL_H_
#define FSD_SERVER_CONTROL_PENDING_CALL_H_

#include <functional>
#include <memory>

#include "grpcpp/support/server_callback.h"
#include "server/control/field_violation.h"
#include "server/supervisor/cancellation.h"

namespace fsd::control {

class PendingCall {
 public:
  PendingCall();
  ~PendingCall();
  PendingCall(const PendingCall&) = delete;
  PendingCall& operator=(const PendingCall&) = delete;

  // For gRPC, which keeps it until the call is over. Call while holding a share.
  grpc::ServerUnaryReactor* reactor() const;

  // Cancelled when the client goes away, or the server stops, before the call is answered.
  std::shared_ptr<supervisor::Cancellation> cancellation() const;

  // If the call is still open, runs `fill`, which may write the response, and ends the call with
  // its status. `fill` does not run otherwise: the response may be gone.
  void Answer(const std::function<grpc::Status()>& fill);

 private:
  class Reactor;
  std::shared_ptr<Reactor> reactor_;
};

// Answers a call whose request has these violations. Results in its reactor.
grpc::ServerUnaryReactor* Refuse(PendingCall& call, const FieldViolations& violations);

}  // namespace fsd::control

#endif  // FSD_SERVER_CONTROL_PENDING_CALL_H_
