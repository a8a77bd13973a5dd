#include "server/access/call_relay.h"

#include <utility>

#include "grpcpp/client_context.h"

namespace fsd::access {
namespace {

using grpc::ByteBuffer;

class CallRelay final : public grpc::ServerGenericBidiReactor {
 public:
  CallRelay(grpc::GenericCallbackServerContext& context, grpc::GenericStub& server, CallEnded ended)
      : server_(*this), ended_(std::move(ended)) {
    server_context_.set_deadline(context.deadline());
    server.PrepareBidiStreamingCall(&server_context_, context.method(), {}, &server_);
    // One for each direction: the client's side starts operations of the server's side.
    server_.AddMultipleHolds(2);
    server_.StartCall();
    server_.StartRead(&response_);
    StartRead(&request_);
  }

 private:
  // The server's side of the call, of which this process is the client.
  class ServerSide final : public grpc::ClientBidiReactor<ByteBuffer, ByteBuffer> {
   public:
    explicit ServerSide(CallRelay& relay) : relay_(relay) {}
    void OnReadDone(bool ok) override { relay_.OnResponse(ok); }
    void OnWriteDone(bool ok) override { relay_.OnRequestWritten(ok); }
    void OnDone(const grpc::Status& status) override { relay_.OnAnswered(status); }

   private:
    CallRelay& relay_;
  };

  // Requests: client → server.
  void OnReadDone(bool ok) override {
    if (ok && !has_first_) {
      has_first_ = true;
      first_request_ = request_;
    }
    const os::MutexLock lock(mutex_);
    if (requests_ended_) return;
    if (ok) {
      server_.StartWrite(&request_);
    } else {
      server_.StartWritesDone();
      EndRequests();
    }
  }
  void OnRequestWritten(bool ok) {
    const os::MutexLock lock(mutex_);
    if (requests_ended_) return;
    if (ok) {
      StartRead(&request_);
    } else {
      EndRequests();
    }
  }
  void EndRequests() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    requests_ended_ = true;
    server_.RemoveHold();
  }

  // Responses: server → client.
  void OnResponse(bool ok) {
    if (ok) return StartWrite(&response_);
    {
      // The server has answered: it waits for no more requests, and so does nobody here.
      const os::MutexLock lock(mutex_);
      if (!requests_ended_) EndRequests();
    }
    server_.RemoveHold();
  }
  void OnWriteDone(bool ok) override {
    if (ok) return server_.StartRead(&response_);
    server_context_.TryCancel();
    server_.RemoveHold();
  }

  void OnCancel() override { server_context_.TryCancel(); }
  void OnAnswered(const grpc::Status& status) {
    status_ = status;
    Finish(status);
  }
  // The last of all: only a finished call is done, and only the server's side finishes it.
  void OnDone() override {
    ended_(status_, first_request_);
    delete this;
  }

  grpc::ClientContext server_context_;
  ServerSide server_;
  const CallEnded ended_;
  ByteBuffer request_;
  ByteBuffer response_;
  ByteBuffer first_request_;
  bool has_first_ = false;
  grpc::Status status_;
  os::Mutex mutex_;
  bool requests_ended_ ABSL_GUARDED_BY(mutex_) = false;
};

class Refusal final : public grpc::ServerGenericBidiReactor {
 public:
  explicit Refusal(const grpc::Status& status) { Finish(status); }
  void OnDone() override { delete this; }
};

}  // namespace

grpc::ServerGenericBidiReactor* RelayCall(grpc::GenericCallbackServerContext& context,
                                          grpc::GenericStub& server, CallEnded ended) {
  return new CallRelay(context, server, std::move(ended));
}

grpc::ServerGenericBidiReactor* RefuseCall(const grpc::Status& status) {
  return new Refusal(status);
}

}  // namespace fsd::access
