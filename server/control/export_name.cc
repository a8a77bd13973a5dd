#include "server/control/export_name.h"

#include <algorithm>

namespace fsd::control {
namespace {

constexpr std::string_view kCollection = "exports/";
constexpr size_t kMaxIdBytes = 63;

bool IsLowerAlphanumeric(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

}  // namespace

bool IsExportId(std::string_view id) {
  return !id.empty() && id.size() <= kMaxIdBytes && id.front() != '-' && id.back() != '-' &&
         std::all_of(id.begin(), id.end(),
                     [](char c) { return IsLowerAlphanumeric(c) || c == '-'; });
}

std::string ExportName(std::string_view id) { return std::string(kCollection).append(id); }

std::optional<std::string> ParseExportName(std::string_view name) {
  if (!name.starts_with(kCollection)) return std::nullopt;
  name.remove_prefix(kCollection.size());
  if (!IsExportId(name)) return std::nullopt;
  return std::string(name);
}

}  // namespace fsd::control
