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

constexpr std::array<Hint, 11> kHints = {{
    {"EXPORT_NOT_FOUND", "'fsctl export list' shows the exports there are"},
    {"EXPORT_EXISTS", "choose another name, or delete that export first"},
    {"EXPORT_IN_USE", "stop or unplug its virtual machine, or cut it off with --force"},
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
}};

std::string_view HintFor(std::string_view reason) {
  const auto* found = std::find_if(kHints.begin(), kHints.end(),
                                   [&](const Hint& hint) { return hint.reason == reason; });
  return found == kHints.end() ? std::string_view() : found->text;
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
  if (bad.field_violations().empty()) {
    text += Printable(status.error_message()) + "\n";
  } else {
    text += "the request is not valid\n";
    for (const auto& violation : bad.field_violations()) {
      text +=
          "  " + Printable(violation.field()) + ": " + Printable(violation.description()) + "\n";
    }
  }
  if (const std::string_view hint = HintFor(info.reason()); !hint.empty()) {
    text.append("hint: ").append(hint).append("\n");
  }
  return text;
}

}  // namespace fsd::cli
