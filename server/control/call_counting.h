// Counts every call of the API, by method and how it ended.
#ifndef FSD_SERVER_CONTROL_CALL_COUNTING_H_
#define FSD_SERVER_CONTROL_CALL_COUNTING_H_

#include <memory>

#include "grpcpp/support/server_interceptor.h"
#include "server/telemetry/call_counters.h"

namespace fsd::control {

// For a ServerBuilder. Only methods of registered services are told of, so that there is a bound to
// what is counted; a call whose client goes away before its answer is CANCELLED.
std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> CallCounting(
    std::shared_ptr<telemetry::CallCounters> counters);

}  // namespace fsd::control

#endif  // FSD_SERVER_CONTROL_CALL_COUNTING_H_
