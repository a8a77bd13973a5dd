// UpdateExport: another specification for an export that is there.
#ifndef FSD_SERVER_SUPERVISOR_EXPORT_UPDATE_H_
#define FSD_SERVER_SUPERVISOR_EXPORT_UPDATE_H_

#include <functional>
#include <vector>

#include "absl/status/statusor.h"
#include "proto/fsd/internal/export_spec.pb.h"
#include "server/supervisor/config.h"
#include "server/supervisor/export.h"
#include "server/supervisor/export_difference.h"
#include "server/supervisor/export_store.h"
#include "server/supervisor/export_view.h"

namespace fsd::supervisor {

// The specification that is wanted in place of the record's, or the call's answer.
using SpecChange =
    std::function<absl::StatusOr<internal::ExportSpec>(const internal::ExportRecord& record)>;

struct UpdatedExport {
  ExportView view;
  std::vector<ChangedField> changed;
};

// All of the change or, after an error, none of it: FIELD_NOT_LIVE with the names of the fields
// that cannot change, or what CompleteExportSpec says, or ExportSocket::ChangeAccess. On disk
// before it is done; a limit that the host does not take is recorded all the same, and reported.
// After STATE_UNAVAILABLE the record on disk may be either.
absl::StatusOr<UpdatedExport> UpdateExport(const Config& config, ExportStore& store,
                                           Export& updated, const SpecChange& change,
                                           bool validate_only);

}  // namespace fsd::supervisor

#endif  // FSD_SERVER_SUPERVISOR_EXPORT_UPDATE_H_
