#include "server/control/update_mask.h"

#include <algorithm>
#include <iterator>
#include <memory>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "server/control/field_checks.h"
#include "server/control/served_export_fields.h"
#include "server/errors/check.h"
#include "server/errors/status_macros.h"

namespace fsd::control {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

constexpr std::string_view kOneLabel = "labels.";

bool IsBelow(std::string_view path, std::string_view parent) {
  return path.size() > parent.size() && path.starts_with(parent) && path[parent.size()] == '.';
}

bool IsOutputOnly(std::string_view path) {
  constexpr std::string_view kOutputOnly[] = {"name",        "uid",         "etag",
                                              "create_time", "update_time", "status"};
  return std::any_of(
      std::begin(kOutputOnly), std::end(kOutputOnly),
      [path](std::string_view field) { return path == field || IsBelow(path, field); });
}

std::string DescribeUnserved(const std::string& path) {
  const google::protobuf::Descriptor* message = v1::Export::descriptor();
  for (const absl::string_view name : absl::StrSplit(path, '.')) {
    const FieldDescriptor* const field =
        message == nullptr ? nullptr : message->FindFieldByName(std::string(name));
    if (field == nullptr) return "Export has no such field";
    message = field->is_repeated() ? nullptr : field->message_type();
  }
  return "this server does not serve the field yet; leave it out";
}

// Everything but `kept` cleared.
void KeepOnly(Message& message, const FieldDescriptor& kept) {
  const Reflection& reflection = *message.GetReflection();
  std::vector<const FieldDescriptor*> set;
  reflection.ListFields(message, &set);
  for (const FieldDescriptor* field : set) {
    if (field != &kept) reflection.ClearField(&message, field);
  }
  reflection.MutableUnknownFields(&message)->Clear();
}

void CopyField(std::string_view path, const Message& from, Message& to) {
  const size_t dot = path.find('.');
  const FieldDescriptor* const field =
      from.GetDescriptor()->FindFieldByName(std::string(path.substr(0, dot)));
  FSD_CHECK(field != nullptr);
  if (dot != std::string_view::npos) {
    return CopyField(path.substr(dot + 1), from.GetReflection()->GetMessage(from, field),
                     *to.GetReflection()->MutableMessage(&to, field));
  }
  const std::unique_ptr<Message> one(from.New());
  one->CopyFrom(from);
  KeepOnly(*one, *field);
  to.GetReflection()->ClearField(&to, field);
  to.MergeFrom(*one);
}

void CopyLabel(const std::string& key, const v1::Export& from, v1::Export& to) {
  const auto label = from.labels().find(key);
  if (label == from.labels().end()) {
    to.mutable_labels()->erase(key);
  } else {
    (*to.mutable_labels())[key] = label->second;
  }
}

}  // namespace

std::vector<std::string> ReadUpdateMask(const google::protobuf::FieldMask& mask,
                                        FieldViolations& violations) {
  const std::span<const std::string> served = ServedExportFields();
  std::vector<std::string> fields;
  for (const std::string& path : mask.paths()) {
    if (path == "*") {
      fields.insert(fields.end(), served.begin(), served.end());
      continue;
    }
    if (path.starts_with(kOneLabel) && path.size() > kOneLabel.size()) {
      fields.push_back(path);
      continue;
    }
    const size_t before = fields.size();
    std::copy_if(
        served.begin(), served.end(), std::back_inserter(fields),
        [&path](const std::string& field) { return field == path || IsBelow(field, path); });
    if (fields.size() > before) continue;
    const bool output_only = IsOutputOnly(path);
    violations.push_back(
        {absl::StrCat("update_mask[", Quoted(path), "]"),
         output_only ? v1::FIELD_OUTPUT_ONLY : v1::FIELD_NOT_SERVED,
         output_only ? "only the server sets it; leave it out" : DescribeUnserved(path)});
  }
  return fields;
}

void CopyFields(std::span<const std::string> paths, const v1::Export& from, v1::Export& to) {
  for (const std::string& path : paths) {
    if (path.starts_with(kOneLabel)) {
      CopyLabel(path.substr(kOneLabel.size()), from, to);
    } else {
      CopyField(path, from, to);
    }
  }
}

}  // namespace fsd::control
