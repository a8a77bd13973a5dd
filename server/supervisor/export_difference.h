// In what two specifications of an export differ.
#ifndef FSD_SERVER_SUPERVISOR_EXPORT_DIFFERENCE_H_
#define FSD_SERVER_SUPERVISOR_EXPORT_DIFFERENCE_H_

#include <string_view>

#include "proto/fsd/internal/export_spec.pb.h"

namespace fsd::supervisor {

// The name of the first field in which the two, both complete (CompleteExportSpec), differ, as the
// API has it; empty if they are equal. A default that is spelled out in one of them only is no
// difference.
std::string_view FirstDifference(const internal::ExportSpec& a, const internal::ExportSpec& b);

}  // namespace fsd::supervisor

#endif  // FSD_SERVER_SUPERVISOR_EXPORT_DIFFERENCE_H_
