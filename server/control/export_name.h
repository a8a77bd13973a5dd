// Resource names of exports: "exports/{export}".
#ifndef FSD_SERVER_CONTROL_EXPORT_NAME_H_
#define FSD_SERVER_CONTROL_EXPORT_NAME_H_

#include <optional>
#include <string>
#include <string_view>

namespace fsd::control {

// 1 to 63 lower-case letters, digits and '-', the first and the last no '-'. Safe as a file name.
bool IsExportId(std::string_view id);

// "exports/web" of "web".
std::string ExportName(std::string_view id);

// "web" of "exports/web"; nothing if that is not an export's name.
std::optional<std::string> ParseExportName(std::string_view name);

}  // namespace fsd::control

#endif  // FSD_SERVER_CONTROL_EXPORT_NAME_H_
