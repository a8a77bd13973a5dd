// The audit log: a line for each call that was to change something, and for each that was refused.
//
//   audit: uid=0 gid=0 pid=17 role=admin called=/fsd.v1.ExportService/DeleteExport
//   resource="exports/web" code=OK duration_us=5310
//
// Lines of calls that were let through are written whatever the log's level is. Of refusals, which
// anybody who can connect can bring about, some are left out if there are too many, and counted.
#ifndef FSD_SERVER_ACCESS_AUDIT_H_
#define FSD_SERVER_ACCESS_AUDIT_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/status.h"
#include "server/access/caller.h"
#include "server/os/mutex.h"
#include "server/telemetry/rate_limit.h"

namespace fsd::access {

// "OK", "PERMISSION_DENIED", …: a code as the API's documents write it.
std::string_view CodeName(grpc::StatusCode code);

// What a call is about, from its request: the request's name, or that which its export_id will
// have; empty if it has neither or cannot be read. `method` is as MethodRow has it.
std::string RequestedResource(std::string_view method, const grpc::ByteBuffer& request);

// Any thread.
class Audit {
 public:
  void LogCall(const Caller& caller, std::string_view method, const grpc::ByteBuffer& request,
               const grpc::Status& status, absl::Duration duration);
  void LogRefusal(const Caller& caller, std::string_view method, const grpc::Status& status);

 private:
  os::Mutex mutex_;
  telemetry::RateLimit refusals_ ABSL_GUARDED_BY(mutex_){50, std::chrono::milliseconds(100)};
  uint64_t left_out_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace fsd::access

#endif  // FSD_SERVER_ACCESS_AUDIT_H_
