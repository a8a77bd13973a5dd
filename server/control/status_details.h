// How calls fail: a gRPC status whose details any client's stock library decodes.
//
// Every status made here carries a google.rpc.ErrorInfo (domain "fsd", a reason of v1::ErrorReason)
// and, if fields were wrong, a google.rpc.BadRequest. Together they stay well below the 8 KiB that
// clients accept as metadata: violations that do not fit are counted in the message.
#ifndef FSD_SERVER_CONTROL_STATUS_DETAILS_H_
#define FSD_SERVER_CONTROL_STATUS_DETAILS_H_

#include <map>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "grpcpp/support/status.h"
#include "server/control/field_violation.h"

namespace fsd::control {

// `status`, which is not OK, with its reason (see supervisor/error_reason.h). `export_id`, if not
// empty, is named in ErrorInfo.metadata["export"].
grpc::Status FailedCall(const absl::Status& status, std::string_view export_id);

// ABORTED: the export is not what the client's etag says.
absl::Status EtagMismatch();

// `status`, which is not OK, for a reason of the API's own.
grpc::Status FailedWith(const absl::Status& status, v1::ErrorReason reason,
                        const std::map<std::string, std::string>& metadata = {});

// INVALID_ARGUMENT for `violations`, at least one.
grpc::Status InvalidFields(const FieldViolations& violations);

}  // namespace fsd::control

#endif  // FSD_SERVER_CONTROL_STATUS_DETAILS_H_
