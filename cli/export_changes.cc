#include "cli/export_changes.h"

#include <cstdio>
#include <memory>
#include <vector>

#include "cli/option_fields.h"
#include "cli/output.h"
#include "cli/printable.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"

namespace fsd::cli {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr char kUnset[] = "unset";

// The JSON of the one field of `message` that is `field`, of a list or a message.
std::string StructureText(const Message& message, const FieldDescriptor& field) {
  const std::unique_ptr<Message> one(message.New());
  one->CopyFrom(message);
  std::vector<const FieldDescriptor*> set;
  one->GetReflection()->ListFields(*one, &set);
  for (const FieldDescriptor* other : set) {
    if (other != &field) one->GetReflection()->ClearField(one.get(), other);
  }
  const std::string json = JsonOfSetFields(*one);  // {"field":VALUE}
  const size_t colon = json.find(':');
  std::string value = json.substr(colon + 1, json.size() - colon - 2);
  // A duration is a message, and a string in JSON.
  if (value.size() >= 2 && value.front() == '"') value = value.substr(1, value.size() - 2);
  return Printable(value);
}

std::string ScalarText(const Message& message, const FieldDescriptor& field) {
  const auto& reflection = *message.GetReflection();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection.GetBool(message, &field) ? "true" : "false";
    case FieldDescriptor::CPPTYPE_ENUM:
      return reflection.GetEnum(message, &field)->name();
    case FieldDescriptor::CPPTYPE_STRING:
      return Printable(reflection.GetString(message, &field));
    case FieldDescriptor::CPPTYPE_UINT64:
      return std::to_string(reflection.GetUInt64(message, &field));
    case FieldDescriptor::CPPTYPE_UINT32:
      return std::to_string(reflection.GetUInt32(message, &field));
    default:
      return StructureText(message, field);
  }
}

}  // namespace

std::string FieldText(const v1::Export& resource, std::string_view path) {
  if (path == "labels") return resource.labels().empty() ? kUnset : LabelsText(resource);
  if (path == "socket.mode") {
    char mode[8];
    std::snprintf(mode, sizeof mode, "%04o", resource.socket().mode() & 0777);
    return mode;
  }
  const Message* message = &resource;
  for (;;) {
    const size_t dot = path.find('.');
    const FieldDescriptor* const field =
        message->GetDescriptor()->FindFieldByName(std::string(path.substr(0, dot)));
    if (field == nullptr) return kUnset;  // of a newer server
    const auto& reflection = *message->GetReflection();
    const bool is_set = field->is_repeated() ? reflection.FieldSize(*message, field) != 0
                                             : reflection.HasField(*message, field);
    if (!is_set) return kUnset;
    if (dot == std::string_view::npos) {
      return field->is_repeated() ? StructureText(*message, *field) : ScalarText(*message, *field);
    }
    if (field->is_repeated() || field->message_type() == nullptr) return kUnset;
    message = &reflection.GetMessage(*message, field);
    path.remove_prefix(dot + 1);
  }
}

std::string EffectText(v1::FieldEffect::Effect effect) {
  std::string text = ChoiceName(v1::FieldEffect::Effect_Name(effect));
  for (char& c : text) {
    if (c == '_') c = ' ';
  }
  return text;
}

std::string ChangeLines(const v1::Export& before, const v1::UpdateExportResponse& update) {
  std::string lines;
  for (const v1::FieldEffect& effect : update.effects()) {
    lines += "  " + Printable(effect.field()) + ": " + FieldText(before, effect.field()) + " -> " +
             FieldText(update.export_(), effect.field()) + " (" + EffectText(effect.effect()) +
             ")\n";
  }
  return lines;
}

}  // namespace fsd::cli
