#include "cli/host_checks.h"

#include <vector>

#include "cli/printable.h"

namespace fsd::cli {
namespace {

std::string LevelText(v1::HostCheck::Level level, const Style& style) {
  const std::string name = v1::HostCheck::Level_Name(level);
  switch (level) {
    case v1::HostCheck::OK:
      return Colored(name, Color::kGreen, style);
    case v1::HostCheck::WARNING:
      return Colored(name, Color::kYellow, style);
    case v1::HostCheck::ERROR:
      return Colored(name, Color::kRed, style);
    default:
      return "UNKNOWN";  // of a newer server
  }
}

}  // namespace

std::string HostChecks(const v1::CheckHostResponse& response, const Style& style) {
  std::vector<std::vector<std::string>> rows;
  std::string remedies;
  size_t warnings = 0;
  size_t errors = 0;
  for (const v1::HostCheck& check : response.checks()) {
    std::string name = Printable(check.check());
    if (!check.subject().empty()) name += " " + Printable(check.subject());
    rows.push_back({LevelText(check.level(), style), name, Printable(check.found())});
    warnings += check.level() == v1::HostCheck::WARNING ? 1 : 0;
    errors += check.level() == v1::HostCheck::ERROR ? 1 : 0;
    if (check.cost().empty() && check.remedy().empty()) continue;
    remedies += "\n" + name + ": " + Printable(check.cost()) + "\n";
    if (!check.remedy().empty()) remedies += "  do: " + Printable(check.remedy()) + "\n";
  }
  const std::string summary = std::to_string(rows.size()) + " checks, " + std::to_string(errors) +
                              " errors, " + std::to_string(warnings) + " warnings\n";
  return HeadedTable({"LEVEL", "CHECK", "FOUND"}, rows, style) + remedies + "\n" + summary;
}

}  // namespace fsd::cli
