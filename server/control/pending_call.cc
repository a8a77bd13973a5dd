#include "server/control/pending_call.h"

#include <atomic>
#include <utility>

#include "absl/status/status.h"
#include "server/control/status_details.h"

namespace fsd::control {

class PendingCall::Reactor final : public grpc::ServerUnaryReactor {
 public:
  // Keeps `self` until gRPC is done with it.
  static std::shared_ptr<Reactor> Make() {
    auto self = std::make_shared<Reactor>();
    self->self_ = self;
    return self;
  }

  // True once.
  bool Claim() { return !claimed_.exchange(true); }

  void OnCancel() override {
    if (!Claim()) return;
    // Finish may be the end of this object.
    const std::shared_ptr<supervisor::Cancellation> cancellation = cancellation_;
    Finish(grpc::Status::CANCELLED);
    cancellation->Cancel();
  }
  void OnDone() override { const std::shared_ptr<Reactor> last = std::move(self_); }

  const std::shared_ptr<supervisor::Cancellation>& cancellation() const { return cancellation_; }

 private:
  const std::shared_ptr<supervisor::Cancellation> cancellation_ =
      std::make_shared<supervisor::Cancellation>();
  std::atomic<bool> claimed_ = false;
  std::shared_ptr<Reactor> self_;
};

PendingCall::PendingCall() : reactor_(Reactor::Make()) {}

PendingCall::~PendingCall() {
  Answer([] { return FailedCall(absl::InternalError("the call was not answered"), ""); });
}

grpc::ServerUnaryReactor* PendingCall::reactor() const { return reactor_.get(); }

std::shared_ptr<supervisor::Cancellation> PendingCall::cancellation() const {
  return reactor_->cancellation();
}

void PendingCall::Answer(const std::function<grpc::Status()>& fill) {
  if (reactor_->Claim()) reactor_->Finish(fill());
}

grpc::ServerUnaryReactor* Refuse(PendingCall& call, const FieldViolations& violations) {
  call.Answer([&] { return InvalidFields(violations); });
  return call.reactor();
}

}  // namespace fsd::control
