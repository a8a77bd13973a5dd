// In what two specifications of an export differ.
#ifndef FSD_SERVER_SUPERVISOR_EXPORT_DIFFERENCE_H_
#define FSD_SERVER_SUPERVISOR_EXPORT_DIFFERENCE_H_

#include <string_view>
#include <vector>

#include "proto/fsd/internal/export_spec.pb.h"

namespace fsd::supervisor {

// When a change of a field of a running export takes effect.
enum class ChangeEffect {
  kLive,            // at once
  kNextConnection,  // with the next worker, which is started as soon as no front-end is connected
  kNever,
};

struct ChangedField {
  std::string_view name;  // as the API has it
  ChangeEffect effect;
};

// Every field in which the two differ. One that this program does not know counts as kNever.
std::vector<ChangedField> ChangedFields(const internal::ExportSpec& a,
                                        const internal::ExportSpec& b);

// The name of the first field in which the two, both complete (CompleteExportSpec), differ, as the
// API has it; empty if they are equal. A default that is spelled out in one of them only is no
// difference.
std::string_view FirstDifference(const internal::ExportSpec& a, const internal::ExportSpec& b);

}  // namespace fsd::supervisor

#endif  // FSD_SERVER_SUPERVISOR_EXPORT_DIFFERENCE_H_
