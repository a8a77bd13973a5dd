// Names of exports as users give them: "web" or "exports/web".
#ifndef FSD_CLI_RESOURCE_NAME_H_
#define FSD_CLI_RESOURCE_NAME_H_

#include <string>
#include <string_view>

namespace fsd::cli {

inline constexpr std::string_view kExportCollection = "exports/";

// "exports/web" of either.
inline std::string ResourceName(const std::string& name) {
  return name.starts_with(kExportCollection) ? name : std::string(kExportCollection) + name;
}

// "web" of either.
inline std::string ExportId(const std::string& name) {
  return ResourceName(name).substr(kExportCollection.size());
}

}  // namespace fsd::cli

#endif  // FSD_CLI_RESOURCE_NAME_H_
