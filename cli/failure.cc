#include "cli/failure.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "cli/printable.h"
#include "proto/google/rpc/error_details.pb.h"
#include "proto/google/rpc/status.pb.h"

namespace fsd::cli {
namespace {

struct Hint {
  std::string_view reason;  // a name of fsd.v1.ErrorReason
  std::string_view text;
};

constexpr std::array<Hint, 14> kHints = {{
    {"EXPORT_NOT_FOUND", "'fsctl export list' shows the exports there are"},
    {"EXPORT_EXISTS", "choose another name, or delete that export first"},
    {"EXPORT_BUSY", "another call works on this export; try again"},
    {"ETAG_MISMATCH", "'fsctl export get' shows what it is now"},
    {"SOURCE_NOT_ALLOWED",
     "'fsctl server info' shows what is allowed; fsd's --allow-source widens it"},
    {"SOCKET_NOT_ALLOWED",
     "'fsctl server info' shows what is allowed; fsd's --allow-socket widens it"},
    {"SANDBOX_NOT_ALLOWED",
     "'fsctl server info' shows what is allowed; fsd's --weakest-sandbox and --weakest-seccomp "
     "widen it"},
    {"CAPABILITY_NOT_ALLOWED",
     "'fsctl server info' shows what is allowed; fsd's --allow-capabilities widens it"},
    {"SOCKET_OWNER_NOT_ALLOWED",
     "'fsctl server info' shows who is allowed; fsd's --allow-socket-uid and --allow-socket-gid "
     "widen it"},
    {"SHUTTING_DOWN", "try again when fsd is back"},
    {"DRAIN_TIMED_OUT",
     "shut the guest down or unplug the device and try again, or cut it off with 'fsctl export "
     "disconnect' or 'fsctl export delete --force'"},
    {"FIELD_NOT_LIVE", "delete the export and create another, or leave the field as it is"},
    {"OPERATION_ENDED", "another call has ended it; 'fsctl export get' shows what the export does"},
    {"WORKER_FAILED",
     "'fsctl export get' shows the conditions; 'fsctl export restart' starts the worker anew when "
     "the cause is mended"},
}};

std::string InUseHint(const google::rpc::ErrorInfo& info) {
  constexpr std::string_view kCollection = "exports/";
  const auto found = info.metadata().find("export");
  std::string id = found == info.metadata().end() ? "NAME" : Printable(found->second);
  if (id.starts_with(kCollection)) id.erase(0, kCollection.size());
  return "export \"" + id + "\" is in use by a connected VM; drain it first ('fsctl export drain " +
         id + "'), or use --force";
}

std::string HintFor(const google::rpc::ErrorInfo& info) {
  if (info.reason() == "EXPORT_IN_USE") return InUseHint(info);
  const auto* found = std::find_if(kHints.begin(), kHints.end(),
                                   [&](const Hint& hint) { return hint.reason == info.reason(); });
  return found == kHints.end() ? "" : std::string(found->text);
}

}  // namespace

std::string DescribeFailure(const grpc::Status& status, const std::string& doing) {
  google::rpc::Status details;
  google::rpc::ErrorInfo info;
  google::rpc::BadRequest bad;
  if (details.ParseFromString(status.error_details())) {
    for (const google::protobuf::Any& detail : details.details()) {
      detail.UnpackTo(&info) || detail.UnpackTo(&bad);
    }
  }
  std::string text = "fsctl: cannot " + doing + ": ";
  if (status.error_code() == grpc::StatusCode::UNIMPLEMENTED) {
    return text +
           "this server does not serve that call\nhint: 'fsctl version' shows the versions of "
           "both; a newer fsd may serve it\n";
  }
  if (!bad.field_violations().empty()) {
    text += "the request is not valid\n";
    for (const auto& violation : bad.field_violations()) {
      text +=
          "  " + Printable(violation.field()) + ": " + Printable(violation.description()) + "\n";
    }
  } else {
    text += Printable(status.error_message()) + "\n";
  }
  if (const std::string hint = HintFor(info); !hint.empty()) {
    text.append("hint: ").append(hint).append("\n");
  }
  return text;
}

}  // namespace fsd::cli
