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
    if (Claim()) Finish(grpc::Status::CANCELLED);
  }
  void OnDone() override { const std::shared_ptr<Reactor> last = std::move(self_); }

 private:
  std::atomic<bool> claimed_ = false;
  std::shared_ptr<Reactor> self_;
};

PendingCall::PendingCall() : reactor_(Reactor::Make()) {}

PendingCall::~PendingCall() {
  Answer([] { return FailedCall(absl::InternalError("the call was not answered"), ""); });
}

grpc::ServerUnaryReactor* PendingCall::reactor() const { return reactor_.get(); }

void PendingCall::Answer(const std::function<grpc::Status()>& fill) {
  if (reactor_->Claim()) reactor_->Finish(fill());
}

}  // namespace fsd::control
