// What of an export this server serves.
#ifndef FSD_SERVER_CONTROL_SERVED_EXPORT_FIELDS_H_
#define FSD_SERVER_CONTROL_SERVED_EXPORT_FIELDS_H_

#include <span>
#include <string>

namespace fsd::control {

// Paths of the fields of Export that clients may set, as "cache.policy".
std::span<const std::string> ServedExportFields();

}  // namespace fsd::control

#endif  // FSD_SERVER_CONTROL_SERVED_EXPORT_FIELDS_H_
