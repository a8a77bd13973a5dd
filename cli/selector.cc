#include "cli/selector.h"

#include <array>
#include <string_view>
#include <vector>

#include "cli/printable.h"

namespace fsd::cli {
namespace {

std::vector<std::string> Split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  size_t begin = 0;
  for (;;) {
    const size_t end = text.find(separator, begin);
    parts.push_back(text.substr(begin, end - begin));
    if (end == std::string::npos) return parts;
    begin = end + 1;
  }
}

std::string Label(const std::string& key, const std::string& selector) {
  if (key.empty()) {
    throw CLI::ValidationError(
        "--selector",
        "'" + Printable(selector) + "' is not of the form key=value,key!=value,key,!key");
  }
  return "labels." + FilterString(key);
}

std::string Requirement(const std::string& text, const std::string& selector) {
  if (const size_t at = text.find("!="); at != std::string::npos) {
    return Label(text.substr(0, at), selector) + " != " + FilterString(text.substr(at + 2));
  }
  if (const size_t at = text.find('='); at != std::string::npos) {
    const size_t value = text.compare(at, 2, "==") == 0 ? at + 2 : at + 1;
    return Label(text.substr(0, at), selector) + " = " + FilterString(text.substr(value));
  }
  if (text.starts_with('!')) return "NOT " + Label(text.substr(1), selector) + ":*";
  return Label(text, selector) + ":*";
}

}  // namespace

std::string FilterString(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + "\"";
}

std::string SelectorFilter(const std::string& selector) {
  std::string filter;
  for (const std::string& requirement : Split(selector, ',')) {
    if (!filter.empty()) filter += " AND ";
    filter += Requirement(requirement, selector);
  }
  return filter;
}

std::string BothFilters(const std::string& filter, const std::string& other) {
  if (filter.empty() || other.empty()) return filter + other;
  return "(" + filter + ") AND (" + other + ")";
}

std::string OrderBy(const std::string& sort) {
  struct Name {
    std::string_view name;
    std::string_view field;
  };
  constexpr std::array<Name, 3> kNames = {
      {{"created", "create_time"}, {"updated", "update_time"}, {"state", "status.state"}}};
  std::string order;
  for (std::string key : Split(sort, ',')) {
    const bool descending = key.starts_with('-');
    if (descending) key.erase(0, 1);
    for (const Name& known : kNames) {
      if (key == known.name) key = known.field;
    }
    if (!order.empty()) order += ',';
    order += key + (descending ? " desc" : "");
  }
  return order;
}

std::string Selection::Filter() const {
  return BothFilters(filter, selector.empty() ? "" : SelectorFilter(selector));
}

void AddSelectionOptions(CLI::App& command, Selection& selection) {
  command
      .add_option("--filter", selection.filter,
                  "Only those that match: status.state = LISTENING AND tag = \"my*\" (AIP-160)")
      ->type_name("EXPRESSION");
  command
      .add_option("-l,--selector", selection.selector,
                  "Only those with these labels: tier=front,zone!=1,keep,!drop")
      ->type_name("LABELS");
}

}  // namespace fsd::cli
