#include "cli/apply_plan.h"

#include "cli/export_changes.h"
#include "cli/printable.h"
#include "google/protobuf/struct.pb.h"

namespace fsd::cli {
namespace {

const std::string& NameOf(const ApplyStep& step) {
  return step.action == ApplyAction::kDelete ? step.before.name() : step.wanted.name();
}

const char* ActionName(ApplyAction action) {
  switch (action) {
    case ApplyAction::kCreate:
      return "CREATED";
    case ApplyAction::kUpdate:
      return "UPDATED";
    case ApplyAction::kNothing:
      return "UNCHANGED";
    case ApplyAction::kDelete:
      return "DELETED";
  }
  return "";
}

google::protobuf::Value StringValue(const std::string& text) {
  google::protobuf::Value value;
  value.set_string_value(text);
  return value;
}

google::protobuf::Value FieldsOf(const ApplyStep& step) {
  google::protobuf::Value fields;
  fields.mutable_list_value();
  for (const v1::FieldEffect& effect : step.update.effects()) {
    auto& field =
        *fields.mutable_list_value()->add_values()->mutable_struct_value()->mutable_fields();
    field["field"] = StringValue(effect.field());
    field["before"] = StringValue(FieldText(step.before, effect.field()));
    field["after"] = StringValue(FieldText(step.update.export_(), effect.field()));
    field["effect"] = StringValue(v1::FieldEffect::Effect_Name(effect.effect()));
  }
  return fields;
}

}  // namespace

v1::Export WithServersChoices(v1::Export wanted, const v1::Export& before) {
  if (!wanted.has_socket()) {
    if (before.has_socket()) *wanted.mutable_socket() = before.socket();
  } else if (wanted.socket().path().empty()) {
    wanted.mutable_socket()->set_path(before.socket().path());
  }
  return wanted;
}

std::string ApplyText(const ApplyStep& step, bool dry_run) {
  std::string text = ActionName(step.action);
  for (char& c : text) c = static_cast<char>(c - 'A' + 'a');
  text += " " + Printable(NameOf(step)) + (dry_run ? " (dry run)" : "") + "\n";
  if (step.action == ApplyAction::kUpdate) text += ChangeLines(step.before, step.update);
  return text;
}

std::string ApplyJson(const std::vector<ApplyStep>& steps) {
  google::protobuf::Struct document;
  auto& results = *(*document.mutable_fields())["results"].mutable_list_value();
  for (const ApplyStep& step : steps) {
    auto& result = *results.add_values()->mutable_struct_value()->mutable_fields();
    result["name"] = StringValue(NameOf(step));
    result["action"] = StringValue(ActionName(step.action));
    result["fields"] = FieldsOf(step);
  }
  return Json(document);
}

}  // namespace fsd::cli
