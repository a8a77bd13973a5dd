#include "server/control/status_details.h"

#include <algorithm>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "proto/google/rpc/error_details.pb.h"
#include "proto/google/rpc/status.pb.h"
#include "server/control/export_name.h"
#include "server/supervisor/error_reason.h"

namespace fsd::control {
namespace {

constexpr char kDomain[] = "fsd";
constexpr size_t kMaxMessageBytes = 1024;
constexpr size_t kMaxDetailsBytes = 4096;

// At most `max_bytes` of `text`, not cutting a UTF-8 sequence in two.
std::string Shortened(std::string text, size_t max_bytes) {
  if (text.size() <= max_bytes) return text;
  size_t end = max_bytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  text.resize(end);
  return text + "…";
}

grpc::Status WithDetails(google::rpc::Status& details) {
  return grpc::Status(static_cast<grpc::StatusCode>(details.code()), details.message(),
                      details.SerializeAsString());
}

google::rpc::ErrorInfo MakeInfo(std::string reason) {
  google::rpc::ErrorInfo info;
  info.set_domain(kDomain);
  info.set_reason(std::move(reason));
  return info;
}

// The reason that all violations share, else that fields are invalid.
v1::ErrorReason CommonReason(const FieldViolations& violations) {
  const v1::ErrorReason first = violations.front().reason;
  const bool shared = std::all_of(violations.begin(), violations.end(),
                                  [&](const FieldViolation& v) { return v.reason == first; });
  return shared ? first : v1::FIELD_INVALID;
}

google::rpc::BadRequest MakeBadRequest(const FieldViolations& violations) {
  google::rpc::BadRequest bad;
  for (const FieldViolation& violation : violations) {
    auto& out = *bad.add_field_violations();
    out.set_field(Shortened(violation.field, kMaxMessageBytes));
    out.set_description(Shortened(violation.description, kMaxMessageBytes));
    out.set_reason(v1::ErrorReason_Name(violation.reason));
    if (bad.ByteSizeLong() > kMaxDetailsBytes) {
      bad.mutable_field_violations()->RemoveLast();
      break;
    }
  }
  return bad;
}

grpc::Status WithReason(const absl::Status& status, std::string reason,
                        const std::map<std::string, std::string>& metadata) {
  google::rpc::ErrorInfo info = MakeInfo(std::move(reason));
  info.mutable_metadata()->insert(metadata.begin(), metadata.end());
  google::rpc::Status details;
  details.set_code(static_cast<int>(status.code()));
  details.set_message(Shortened(std::string(status.message()), kMaxMessageBytes));
  details.add_details()->PackFrom(info);
  return WithDetails(details);
}

}  // namespace

grpc::Status FailedCall(const absl::Status& status, std::string_view export_id) {
  std::map<std::string, std::string> metadata;
  if (!export_id.empty()) metadata["export"] = ExportName(export_id);
  return WithReason(
      status, supervisor::ReasonOf(status).value_or(v1::ErrorReason_Name(v1::INTERNAL_FAILURE)),
      metadata);
}

absl::Status EtagMismatch() {
  return supervisor::ReasonedError(absl::StatusCode::kAborted,
                                   supervisor::ErrorReason::kEtagMismatch,
                                   "the export has changed since its etag was read; get it again");
}

grpc::Status FailedWith(const absl::Status& status, v1::ErrorReason reason,
                        const std::map<std::string, std::string>& metadata) {
  return WithReason(status, v1::ErrorReason_Name(reason), metadata);
}

grpc::Status InvalidFields(const FieldViolations& violations) {
  const google::rpc::BadRequest bad = MakeBadRequest(violations);
  const FieldViolation& first = violations.front();
  std::string message =
      Shortened(absl::StrCat(first.field, ": ", first.description), kMaxMessageBytes);
  if (violations.size() > 1) {
    absl::StrAppend(&message, " (and ", violations.size() - 1, " more)");
  }
  google::rpc::Status details;
  details.set_code(static_cast<int>(grpc::StatusCode::INVALID_ARGUMENT));
  details.set_message(std::move(message));
  details.add_details()->PackFrom(MakeInfo(v1::ErrorReason_Name(CommonReason(violations))));
  details.add_details()->PackFrom(bad);
  return WithDetails(details);
}

}  // namespace fsd::control
