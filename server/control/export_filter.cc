#include "server/control/export_filter.h"

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/errors/status_macros.h"

namespace fsd::control {
namespace {

using Kind = FilterExpression::Kind;
using Operator = FilterComparison::Operator;

constexpr size_t kMaxFilterBytes = 4096;
constexpr std::string_view kLabels = "labels";
constexpr std::string_view kState = "status.state";

struct Field {
  std::string_view name;
  std::string (*value)(const v1::Export& resource);  // empty: not set
};

constexpr Field kFields[] = {
    {"name", [](const v1::Export& e) { return e.name(); }},
    {"owner.system", [](const v1::Export& e) { return e.owner().system(); }},
    {"owner.vm_id", [](const v1::Export& e) { return e.owner().vm_id(); }},
    {kState, [](const v1::Export& e) { return v1::ExportStatus::State_Name(e.status().state()); }},
    {"source.passthrough.path",
     [](const v1::Export& e) { return e.source().passthrough().path(); }},
    {"tag", [](const v1::Export& e) { return e.tag(); }},
};

std::string Joined(const std::vector<std::string>& path) {
  std::string joined;
  for (const std::string& segment : path) {
    absl::StrAppend(&joined, joined.empty() ? "" : ".", segment);
  }
  return joined;
}

const Field* FindField(const std::vector<std::string>& path) {
  const std::string name = Joined(path);
  const auto* const found = std::find_if(std::begin(kFields), std::end(kFields),
                                         [&name](const Field& f) { return f.name == name; });
  return found == std::end(kFields) ? nullptr : found;
}

bool IsLabel(const FilterComparison& comparison) {
  return comparison.path.size() == 2 && comparison.path[0] == kLabels;
}
bool IsLabelsKey(const FilterComparison& comparison) {
  return comparison.path.size() == 1 && comparison.path[0] == kLabels;
}

absl::Status CheckState(const FilterComparison& comparison) {
  if (comparison.op == Operator::kHas) {
    return FilterError(comparison.path_at, "status.state takes = and != only");
  }
  v1::ExportStatus::State state;
  if (v1::ExportStatus::State_Parse(comparison.value, &state)) return absl::OkStatus();
  return FilterError(comparison.value_at,
                     "this is no state; states are CREATING, LISTENING, CONNECTED, MOUNTED, "
                     "DRAINING, RECOVERING, FAILED and DELETING");
}

absl::Status CheckComparison(const FilterComparison& comparison) {
  if (IsLabel(comparison)) return absl::OkStatus();
  if (IsLabelsKey(comparison)) {
    if (comparison.op == Operator::kHas) return absl::OkStatus();
    return FilterError(comparison.path_at,
                       "labels takes : only, with a key; for a value, write labels.KEY");
  }
  if (comparison.path[0] == kLabels) {
    return FilterError(comparison.path_at,
                       "a key with dots stands in quotes: labels.\"example.com/tier\"");
  }
  const Field* const field = FindField(comparison.path);
  if (field == nullptr) {
    return FilterError(comparison.path_at,
                       "no such field; fields are name, labels.KEY, owner.system, owner.vm_id, "
                       "status.state, source.passthrough.path and tag");
  }
  return field->name == kState ? CheckState(comparison) : absl::OkStatus();
}

absl::Status CheckFields(const FilterExpression& expression) {
  if (expression.kind == Kind::kComparison) return CheckComparison(expression.comparison);
  for (const FilterExpression& operand : expression.operands) {
    FSD_RETURN_IF_ERROR(CheckFields(operand));
  }
  return absl::OkStatus();
}

// `wanted` may begin and end with '*'.
bool Equals(std::string_view value, std::string_view wanted) {
  const bool begins = wanted.ends_with('*');
  if (begins) wanted.remove_suffix(1);
  const bool ends = wanted.starts_with('*');
  if (ends) wanted.remove_prefix(1);
  if (begins && ends) return value.find(wanted) != std::string_view::npos;
  if (begins) return value.starts_with(wanted);
  if (ends) return value.ends_with(wanted);
  return value == wanted;
}

bool Compare(bool is_set, std::string_view value, const FilterComparison& comparison) {
  switch (comparison.op) {
    case Operator::kEquals:
      return is_set && Equals(value, comparison.value);
    case Operator::kNotEquals:
      return !is_set || !Equals(value, comparison.value);
    case Operator::kHas:
      break;
  }
  if (comparison.value == "*") return is_set;
  return is_set && value.find(comparison.value) != std::string_view::npos;
}

bool MatchesComparison(const FilterComparison& comparison, const v1::Export& resource) {
  if (IsLabelsKey(comparison)) {
    return comparison.value == "*" ? !resource.labels().empty()
                                   : resource.labels().contains(comparison.value);
  }
  if (IsLabel(comparison)) {
    const auto label = resource.labels().find(comparison.path[1]);
    const bool is_set = label != resource.labels().end();
    return Compare(is_set, is_set ? std::string_view(label->second) : "", comparison);
  }
  const std::string value = FindField(comparison.path)->value(resource);
  return Compare(!value.empty(), value, comparison);
}

bool MatchesExpression(const FilterExpression& expression, const v1::Export& resource) {
  const auto matches = [&resource](const FilterExpression& operand) {
    return MatchesExpression(operand, resource);
  };
  const auto& operands = expression.operands;
  switch (expression.kind) {
    case Kind::kAnd:
      return std::all_of(operands.begin(), operands.end(), matches);
    case Kind::kOr:
      return std::any_of(operands.begin(), operands.end(), matches);
    case Kind::kNot:
      return !matches(operands[0]);
    case Kind::kComparison:
      break;
  }
  return MatchesComparison(expression.comparison, resource);
}

}  // namespace

absl::StatusOr<ExportFilter> ExportFilter::Parse(std::string_view text) {
  if (text.find_first_not_of(" \t\r\n") == std::string_view::npos) return ExportFilter();
  if (text.size() > kMaxFilterBytes) {
    return FilterError(kMaxFilterBytes,
                       absl::StrCat("a filter has at most ", kMaxFilterBytes, " bytes"));
  }
  FSD_ASSIGN_OR_RETURN(FilterExpression expression, ParseFilterExpression(text));
  FSD_RETURN_IF_ERROR(CheckFields(expression));
  return ExportFilter(std::move(expression));
}

bool ExportFilter::Matches(const v1::Export& resource) const {
  return !expression_.has_value() || MatchesExpression(*expression_, resource);
}

}  // namespace fsd::control
