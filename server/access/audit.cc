#include "server/access/audit.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <array>
#include <memory>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "server/errors/status_macros.h"
#include "server/telemetry/log.h"

namespace fsd::access {
namespace {

namespace pb = google::protobuf;

constexpr size_t kMaxResourceBytes = 256;

// "/fsd.v1.ExportService/GetExport" → the descriptor of its request; null if there is none.
const pb::Descriptor* RequestType(std::string_view method) {
  if (!method.starts_with('/')) return nullptr;
  std::string name(method.substr(1));
  const size_t slash = name.find('/');
  if (slash == std::string::npos) return nullptr;
  name[slash] = '.';
  const auto* const found = pb::DescriptorPool::generated_pool()->FindMethodByName(name);
  return found == nullptr ? nullptr : found->input_type();
}

std::string TextField(const pb::Message& message, const char* name) {
  const pb::FieldDescriptor* const field = message.GetDescriptor()->FindFieldByName(name);
  if (field == nullptr || field->is_repeated() ||
      field->cpp_type() != pb::FieldDescriptor::CPPTYPE_STRING) {
    return "";
  }
  return message.GetReflection()->GetString(message, field);
}

// The name of the resource that `message` has whole, as an update does.
std::string NameInside(const pb::Message& message, const char* resource) {
  const pb::FieldDescriptor* const field = message.GetDescriptor()->FindFieldByName(resource);
  if (field == nullptr || field->is_repeated() || field->message_type() == nullptr) return "";
  return TextField(message.GetReflection()->GetMessage(message, field), "name");
}

// What a client writes is no more than one quoted word of the line.
std::string Quoted(std::string text) {
  if (text.size() > kMaxResourceBytes) text.resize(kMaxResourceBytes);
  return absl::StrCat("\"", absl::CHexEscape(text), "\"");
}

std::string_view RoleName(const Caller& caller) {
  return caller.role.has_value() ? supervisor::RoleWord(*caller.role) : "none";
}

}  // namespace

std::string_view CodeName(grpc::StatusCode code) {
  constexpr std::array<std::string_view, 17> kNames = {"OK",
                                                       "CANCELLED",
                                                       "UNKNOWN",
                                                       "INVALID_ARGUMENT",
                                                       "DEADLINE_EXCEEDED",
                                                       "NOT_FOUND",
                                                       "ALREADY_EXISTS",
                                                       "PERMISSION_DENIED",
                                                       "RESOURCE_EXHAUSTED",
                                                       "FAILED_PRECONDITION",
                                                       "ABORTED",
                                                       "OUT_OF_RANGE",
                                                       "UNIMPLEMENTED",
                                                       "INTERNAL",
                                                       "UNAVAILABLE",
                                                       "DATA_LOSS",
                                                       "UNAUTHENTICATED"};
  const auto index = static_cast<size_t>(code);
  return index < kNames.size() ? kNames[index] : "UNKNOWN";
}

std::string RequestedResource(std::string_view method, const grpc::ByteBuffer& request) {
  const pb::Descriptor* const type = RequestType(method);
  grpc::Slice bytes;
  if (type == nullptr || !request.DumpToSingleSlice(&bytes).ok()) return "";
  const std::unique_ptr<pb::Message> message(
      pb::MessageFactory::generated_factory()->GetPrototype(type)->New());
  if (!message->ParseFromArray(bytes.begin(), static_cast<int>(bytes.size()))) return "";
  const std::string id = TextField(*message, "export_id");
  if (!id.empty()) return absl::StrCat("exports/", id);
  std::string name = TextField(*message, "name");
  return name.empty() ? NameInside(*message, "export") : name;
}

void Audit::LogCall(const Caller& caller, std::string_view method, const grpc::ByteBuffer& request,
                    const grpc::Status& status, absl::Duration duration) {
  FSD_LOG_ALWAYS(kInfo, "", "audit: %s role=%s called=%s resource=%s code=%s duration_us=%d",
                 caller.name, Absl(RoleName(caller)), Absl(method),
                 Quoted(RequestedResource(method, request)), Absl(CodeName(status.error_code())),
                 absl::ToInt64Microseconds(duration));
}

void Audit::LogRefusal(const Caller& caller, std::string_view method, const grpc::Status& status) {
  uint64_t left_out = 0;
  {
    const os::MutexLock lock(mutex_);
    if (!refusals_.Take(telemetry::RateLimit::Clock::now())) {
      ++left_out_;
      return;
    }
    left_out = std::exchange(left_out_, 0);
  }
  if (left_out > 0) {
    FSD_LOG(kWarning, "", "audit: %d refusals were left out, as they were too many", left_out);
  }
  FSD_LOG(kWarning, "", "audit: %s role=%s was refused %s code=%s: %s", caller.name,
          Absl(RoleName(caller)), Quoted(std::string(method)), Absl(CodeName(status.error_code())),
          status.error_message());
}

}  // namespace fsd::access
