#include "server/control/export_validation.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/control/cache_validation.h"
#include "server/control/duration_check.h"
#include "server/control/export_name.h"
#include "server/control/field_checks.h"
#include "server/control/id_mapping_validation.h"
#include "server/control/qos_validation.h"
#include "server/control/sandbox_validation.h"
#include "server/control/semantics_validation.h"
#include "server/control/served_export_fields.h"
#include "server/control/served_fields.h"
#include "server/control/update_mask.h"

namespace fsd::control {
namespace {

constexpr size_t kMaxLabels = 64;
constexpr size_t kMaxLabelKeyBytes = 128;
constexpr size_t kMaxLabelValueBytes = 256;
constexpr size_t kMaxOwnerBytes = 128;
constexpr size_t kMaxRequestIdBytes = 128;
constexpr size_t kMaxTagBytes = 36;          // virtio 1.2, 5.11.4
constexpr size_t kMaxPathBytes = 4095;       // PATH_MAX without its NUL
constexpr size_t kMaxSocketPathBytes = 107;  // unix(7), sun_path without its NUL
constexpr uint32_t kNoId = 0xffffffff;       // chown(2): "leave it as it is"
constexpr uint32_t kPermissionBits = 0777;
constexpr uint64_t kMinInodeFds = 64;  // the backend takes no fewer
constexpr uint64_t kMaxInodeFds = uint64_t{1} << 31;
constexpr uint32_t kMaxRequestQueues = 255;  // vhost-user numbers vrings with a byte
constexpr uint32_t kMaxPollUs = 1000;
constexpr int64_t kMaxTimeoutSeconds = 365 * 24 * 60 * 60;

std::vector<std::string> BelowExport(std::span<const std::string> paths) {
  std::vector<std::string> below;
  for (const std::string& path : paths) below.push_back("export." + path);
  return below;
}

bool IsAlphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool IsLabelKey(std::string_view key) {
  return !key.empty() && key.size() <= kMaxLabelKeyBytes && IsAlphanumeric(key.front()) &&
         std::all_of(key.begin(), key.end(), [](char c) {
           return IsAlphanumeric(c) || c == '.' || c == '_' || c == '-' || c == '/';
         });
}

// What is wrong with an absolute, normalised path, if anything.
std::optional<std::string> PathProblem(std::string_view path) {
  if (!path.starts_with('/')) return absl::StrCat(Quoted(path), " is not an absolute path");
  if (path.find('\0') != std::string_view::npos) return "a path cannot contain a NUL byte";
  if (path == "/") return std::nullopt;
  std::string_view rest = path;
  while (!rest.empty()) {
    rest.remove_prefix(1);  // the '/'
    const std::string_view component = rest.substr(0, rest.find('/'));
    if (component.empty() || component == "." || component == "..") {
      return absl::StrCat(Quoted(path),
                          " is not normalised; write it without \".\", \"..\", double or trailing "
                          "slashes");
    }
    rest.remove_prefix(component.size());
  }
  return std::nullopt;
}

// Checks one request.
class Checker : public FieldChecks {
 public:
  void Served(const google::protobuf::Message& request, std::span<const std::string> served,
              std::span<const std::string> output_only = {}) {
    CheckServedFields(request, {.served = served, .output_only = output_only}, violations());
  }

  void Name(const std::string& name, const std::string& field = "name") {
    if (name.empty()) {
      Required(field, "the export's name, \"exports/{export}\", is missing");
    } else if (!ParseExportName(name)) {
      Invalid(field, absl::StrCat(Quoted(name), " is not an export's name; \"exports/web\" is"));
    }
  }

  void ExportId(const std::string& id) {
    if (id.empty()) {
      Required("export_id", "the new export's id is missing");
    } else if (!IsExportId(id)) {
      Invalid("export_id",
              absl::StrCat(Quoted(id),
                           " is not an export id: 1 to 63 lower-case letters, digits and '-', the "
                           "first and the last no '-'"));
    }
  }

  void RequestId(const std::string& id) {
    if (id.size() > kMaxRequestIdBytes ||
        std::any_of(id.begin(), id.end(), [](char c) { return c < 0x20 || c >= 0x7f; })) {
      Invalid("request_id", "at most 128 printable ASCII characters");
    }
  }

  void Timeout(const std::string& field, const google::protobuf::Duration& timeout) {
    if (auto problem = DurationProblem(timeout, kMaxTimeoutSeconds)) {
      Invalid(field, *std::move(problem));
    }
  }

  void Export(const v1::Export& resource) {
    Labels(resource);
    Text("export.owner.system", resource.owner().system(), kMaxOwnerBytes);
    Text("export.owner.vm_id", resource.owner().vm_id(), kMaxOwnerBytes);
    Source(resource.source());
    Tag(resource.tag());
    Socket(resource.socket());
    CheckCache(resource, *this);
    CheckSemantics(resource.semantics(), *this);
    CheckIds(resource.ids(), *this);
    Inodes(resource.inodes());
    Transport(resource.transport());
    CheckSandbox(resource, *this);
    CheckQos(resource.qos(), *this);
  }

 private:
  void Labels(const v1::Export& resource) {
    if (static_cast<size_t>(resource.labels().size()) > kMaxLabels) {
      Invalid("export.labels",
              absl::StrCat("at most ", kMaxLabels, " labels, not ", resource.labels().size()));
    }
    // In the keys' order, so that the same request gets the same answer.
    std::vector<std::pair<std::string, std::string>> labels(resource.labels().begin(),
                                                            resource.labels().end());
    std::sort(labels.begin(), labels.end());
    for (const auto& [key, value] : labels) {
      const std::string field = absl::StrCat("export.labels[", Quoted(key), "]");
      if (!IsLabelKey(key)) {
        Invalid(field,
                "a key has 1 to 128 letters, digits, '.', '_', '-' and '/', the first a letter or "
                "digit");
      }
      Text(field, value, kMaxLabelValueBytes);
    }
  }

  void Source(const v1::Source& source) {
    if (source.backend_case() == v1::Source::BACKEND_NOT_SET) {
      return Required("export.source", "what to share is missing; set passthrough.path");
    }
    const std::string field = "export.source.passthrough.path";
    const std::string& path = source.passthrough().path();
    if (path.empty()) return Required(field, "the directory to share is missing");
    if (auto problem = PathProblem(path)) return Invalid(field, *std::move(problem));
    if (path.size() > kMaxPathBytes) {
      Invalid(field, absl::StrCat("at most ", kMaxPathBytes, " bytes, not ", path.size()));
    }
  }

  void Tag(const std::string& tag) {
    if (tag.empty()) {
      return Required("export.tag", "the tag that the guest mounts by is missing");
    }
    Text("export.tag", tag, kMaxTagBytes);
  }

  void Socket(const v1::Socket& socket) {
    const std::string field = "export.socket.path";
    if (!socket.path().empty()) {
      if (auto problem = PathProblem(socket.path())) {
        Invalid(field, *std::move(problem));
      } else if (socket.path() == "/") {
        Invalid(field, "a socket cannot be the root directory");
      } else if (socket.path().size() > kMaxSocketPathBytes) {
        Add(field, v1::SOCKET_PATH_TOO_LONG,
            absl::StrCat("a unix socket's path has at most ", kMaxSocketPathBytes, " bytes, not ",
                         socket.path().size()));
      }
    }
    if (socket.uid() == kNoId) Invalid("export.socket.uid", "4294967295 is not a user");
    if (socket.gid() == kNoId) Invalid("export.socket.gid", "4294967295 is not a group");
    if ((socket.mode() & ~kPermissionBits) != 0) {
      Invalid("export.socket.mode", "only permission bits, at most 0777 octal (511)");
    }
  }

  void Inodes(const v1::Inodes& inodes) {
    const uint64_t fds = inodes.max_file_descriptors();
    if (fds != 0 && (fds < kMinInodeFds || fds > kMaxInodeFds)) {
      Invalid("export.inodes.max_file_descriptors",
              absl::StrCat(fds, " is not 0 or from ", kMinInodeFds, " to ", kMaxInodeFds));
    }
  }

  void Transport(const v1::Transport& transport) {
    AtMost("export.transport.request_queues", transport.request_queues(), kMaxRequestQueues);
    AtMost("export.transport.poll_us", transport.poll_us(), kMaxPollUs);
  }

  void AtMost(std::string_view field, uint32_t value, uint32_t most) {
    if (value > most) Invalid(std::string(field), absl::StrCat(value, " is more than ", most));
  }
};

}  // namespace

FieldViolations ValidateCreate(const v1::CreateExportRequest& request) {
  static const auto& served = *[] {
    auto* fields = new std::vector<std::string>(BelowExport(ServedExportFields()));
    fields->insert(fields->end(), {"export_id", "request_id", "validate_only"});
    return fields;
  }();
  static const auto& output_only = *new std::vector<std::string>(BelowExport(
      std::vector<std::string>{"name", "uid", "etag", "create_time", "update_time", "status"}));
  Checker checker;
  checker.Served(request, served, output_only);
  checker.ExportId(request.export_id());
  checker.RequestId(request.request_id());
  if (request.has_export_()) {
    checker.Export(request.export_());
  } else {
    checker.Required("export", "the export to create is missing");
  }
  return checker.Take();
}

FieldViolations ValidateGet(const v1::GetExportRequest& request) {
  static const auto& served = *new std::vector<std::string>{"name"};
  Checker checker;
  checker.Served(request, served);
  checker.Name(request.name());
  return checker.Take();
}

FieldViolations ValidateList(const v1::ListExportsRequest& request) {
  static const auto& served =
      *new std::vector<std::string>{"page_size", "page_token", "filter", "order_by"};
  Checker checker;
  checker.Served(request, served);
  if (request.page_size() < 0) checker.Invalid("page_size", "a page size cannot be negative");
  return checker.Take();
}

FieldViolations ValidateUpdate(const v1::UpdateExportRequest& request,
                               std::vector<std::string>& fields) {
  static const auto& served = *[] {
    auto* paths = new std::vector<std::string>(BelowExport(ServedExportFields()));
    paths->insert(paths->end(), {"update_mask", "etag", "validate_only"});
    return paths;
  }();
  Checker checker;
  if (request.has_export_()) {
    checker.Name(request.export_().name(), "export.name");
  } else {
    checker.Required("export", "the export to update is missing");
  }
  if (request.update_mask().paths().empty()) {
    checker.Required("update_mask",
                     "say which fields are to change, or \"*\" for all that clients may set");
  }
  fields = ReadUpdateMask(request.update_mask(), checker.violations());
  // What the mask does not name is not looked at.
  v1::UpdateExportRequest named = request;
  named.clear_export_();
  CopyFields(fields, request.export_(), *named.mutable_export_());
  checker.Served(named, served);
  return checker.Take();
}

FieldViolations ValidateExport(const v1::Export& resource) {
  Checker checker;
  checker.Export(resource);
  return checker.Take();
}

FieldViolations ValidateDelete(const v1::DeleteExportRequest& request) {
  static const auto& served =
      *new std::vector<std::string>{"name", "etag", "allow_missing", "mode", "drain_timeout"};
  Checker checker;
  checker.Served(request, served);
  checker.Name(request.name());
  if (!request.has_drain_timeout()) return checker.Take();
  if (request.mode() == v1::DeleteExportRequest::DRAIN) {
    checker.Timeout("drain_timeout", request.drain_timeout());
  } else {
    checker.Invalid("drain_timeout", "goes with mode DRAIN only");
  }
  return checker.Take();
}

FieldViolations ValidateDrain(const v1::DrainExportRequest& request) {
  static const auto& served = *new std::vector<std::string>{"name", "etag", "timeout"};
  Checker checker;
  checker.Served(request, served);
  checker.Name(request.name());
  if (request.has_timeout()) checker.Timeout("timeout", request.timeout());
  return checker.Take();
}

FieldViolations ValidateNamed(const google::protobuf::Message& request, const std::string& name) {
  static const auto& served = *new std::vector<std::string>{"name", "etag", "force"};
  Checker checker;
  checker.Served(request, served);
  checker.Name(name);
  return checker.Take();
}

FieldViolations ValidateListInflight(const v1::ListInflightRequestsRequest& request) {
  static const auto& served = *new std::vector<std::string>{"name", "page_size"};
  Checker checker;
  checker.Served(request, served);
  checker.Name(request.name());
  if (request.page_size() < 0) checker.Invalid("page_size", "a page size cannot be negative");
  return checker.Take();
}

FieldViolations ValidateWatch(const v1::WatchExportsRequest& request) {
  static const auto& served = *new std::vector<std::string>{"filter", "resume_token"};
  Checker checker;
  checker.Served(request, served);
  return checker.Take();
}

}  // namespace fsd::control
