#include "server/control/call_counting.h"

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"

namespace fsd::control {
namespace {

using grpc::experimental::InterceptionHookPoints;

std::string CodeName(grpc::StatusCode code) {
  if (code < grpc::OK || code > grpc::UNAUTHENTICATED) return "UNKNOWN";
  return absl::StatusCodeToString(static_cast<absl::StatusCode>(code));
}

class CountingInterceptor final : public grpc::experimental::Interceptor {
 public:
  CountingInterceptor(std::string method, std::shared_ptr<telemetry::CallCounters> counters)
      : method_(std::move(method)), counters_(std::move(counters)) {}
  ~CountingInterceptor() override {
    counters_->Count(method_, CodeName(code_.value_or(grpc::CANCELLED)));
  }

  void Intercept(grpc::experimental::InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_STATUS)) {
      code_ = methods->GetSendStatus().error_code();
    }
    methods->Proceed();
  }

 private:
  const std::string method_;
  const std::shared_ptr<telemetry::CallCounters> counters_;
  std::optional<grpc::StatusCode> code_;
};

class Factory final : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  explicit Factory(std::shared_ptr<telemetry::CallCounters> counters)
      : counters_(std::move(counters)) {}
  grpc::experimental::Interceptor* CreateServerInterceptor(
      grpc::experimental::ServerRpcInfo* info) override {
    std::string_view method = info->method();
    if (method.starts_with('/')) method.remove_prefix(1);
    return new CountingInterceptor(std::string(method), counters_);
  }

 private:
  const std::shared_ptr<telemetry::CallCounters> counters_;
};

}  // namespace

std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> CallCounting(
    std::shared_ptr<telemetry::CallCounters> counters) {
  return std::make_unique<Factory>(std::move(counters));
}

}  // namespace fsd::control
