#include "server/control/export_order.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "google/protobuf/timestamp.pb.h"
#include "server/control/export_name.h"
#include "server/control/field_checks.h"
#include "server/errors/status_macros.h"

namespace fsd::control {
namespace {

struct Field {
  std::string_view name;
  std::string (*text)(const v1::Export& resource);
};

std::string TimeText(const google::protobuf::Timestamp& time) {
  return absl::StrFormat("%020d.%09d", time.seconds(), time.nanos());
}

constexpr Field kFields[] = {
    {"name", [](const v1::Export& e) { return e.name(); }},
    {"create_time", [](const v1::Export& e) { return TimeText(e.create_time()); }},
    {"update_time", [](const v1::Export& e) { return TimeText(e.update_time()); }},
    {"status.state",
     [](const v1::Export& e) { return v1::ExportStatus::State_Name(e.status().state()); }},
};

}  // namespace

absl::StatusOr<ExportOrder> ExportOrder::Parse(std::string_view text) {
  ExportOrder order;
  if (absl::StripAsciiWhitespace(Absl(text)).empty()) return order;
  std::vector<const Field*> seen;
  for (const absl::string_view part : absl::StrSplit(Absl(text), ',')) {
    const std::vector<std::string> words =
        absl::StrSplit(part, absl::ByAnyChar(" \t"), absl::SkipEmpty());
    const bool descending = words.size() == 2 && words[1] == "desc";
    if (words.empty() || words.size() > 2 || (words.size() == 2 && !descending)) {
      return absl::InvalidArgumentError(absl::StrCat(
          Quoted(std::string(part)), " is not a field, with \" desc\" after it if wanted"));
    }
    const auto* const field = std::find_if(std::begin(kFields), std::end(kFields),
                                           [&words](const Field& f) { return f.name == words[0]; });
    if (field == std::end(kFields)) {
      return absl::InvalidArgumentError(
          absl::StrCat("exports cannot be ordered by ", Quoted(words[0]),
                       "; by name, create_time, update_time and status.state they can"));
    }
    if (std::find(seen.begin(), seen.end(), field) != seen.end()) {
      return absl::InvalidArgumentError(absl::StrCat(words[0], " is given twice"));
    }
    seen.push_back(field);
    order.keys_.push_back({field->text, descending});
  }
  return order;
}

ExportPosition ExportOrder::PositionOf(const v1::Export& resource) const {
  ExportPosition position;
  for (const Key& key : keys_) position.keys.push_back(key.text(resource));
  position.id = ParseExportName(resource.name()).value_or("");
  return position;
}

bool ExportOrder::Less(const ExportPosition& a, const ExportPosition& b) const {
  for (size_t i = 0; i < keys_.size(); ++i) {
    if (a.keys[i] != b.keys[i]) return (a.keys[i] < b.keys[i]) != keys_[i].descending;
  }
  return a.id < b.id;
}

}  // namespace fsd::control
