#include "server/control/served_fields.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/unknown_field_set.h"

namespace fsd::control {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using google::protobuf::UnknownFieldSet;

bool Contains(std::span<const std::string> paths, const std::string& path) {
  return std::find(paths.begin(), paths.end(), path) != paths.end();
}

bool IsOwnMessage(const FieldDescriptor& field) {
  return field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE &&
         field.message_type()->file()->package() != "google.protobuf";
}

class Walk {
 public:
  Walk(const FieldRules& rules, FieldViolations& violations)
      : rules_(rules), violations_(violations) {}

  // `served`: the message stands in a served field, so only unknown fields can be wrong in it.
  void Visit(const Message& message, const std::string& prefix, bool served) {
    const Reflection& reflection = *message.GetReflection();
    std::vector<const FieldDescriptor*> set;
    reflection.ListFields(message, &set);
    for (const FieldDescriptor* field : set) {
      VisitField(message, *field, prefix + field->name(), served);
    }
    const UnknownFieldSet& unknown = reflection.GetUnknownFields(message);
    for (int i = 0; i < unknown.field_count(); ++i) {
      Refuse(absl::StrCat(prefix, unknown.field(i).number()),
             "this server does not know a field of this number; leave it unset or use a newer "
             "server");
    }
  }

 private:
  void VisitField(const Message& message, const FieldDescriptor& field, const std::string& path,
                  bool served) {
    if (Contains(rules_.output_only, path)) return;
    served = served || Contains(rules_.served, path);
    if (field.is_repeated()) {
      if (!served) return RefuseKnown(path);
      if (field.is_map() || field.cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) return;
      for (int i = 0; i < message.GetReflection()->FieldSize(message, &field); ++i) {
        Visit(message.GetReflection()->GetRepeatedMessage(message, &field, i),
              absl::StrCat(path, "[", i, "]."), true);
      }
    } else if (IsOwnMessage(field)) {
      Visit(message.GetReflection()->GetMessage(message, &field), path + ".", served);
    } else if (!served) {
      RefuseKnown(path);
    } else if (field.cpp_type() == FieldDescriptor::CPPTYPE_ENUM) {
      VisitEnum(field, message.GetReflection()->GetEnumValue(message, &field), path);
    }
  }

  void VisitEnum(const FieldDescriptor& field, int value, const std::string& path) {
    if (field.enum_type()->FindValueByNumber(value) != nullptr) return;
    Refuse(path, absl::StrCat("this server does not know the value ", value,
                              "; use one that it knows or a newer server"));
  }

  void RefuseKnown(const std::string& path) {
    Refuse(path, "this server does not serve the field yet; leave it unset");
  }

  void Refuse(std::string path, std::string description) {
    violations_.push_back({std::move(path), v1::FIELD_NOT_SERVED, std::move(description)});
  }

  const FieldRules& rules_;
  FieldViolations& violations_;
};

}  // namespace

void CheckServedFields(const Message& request, const FieldRules& rules,
                       FieldViolations& violations) {
  Walk(rules, violations).Visit(request, "", false);
}

}  // namespace fsd::control
