#include "server/supervisor/export_update.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "server/errors/status_macros.h"
#include "server/supervisor/error_reason.h"
#include "server/supervisor/export_spec.h"

namespace fsd::supervisor {
namespace {

std::vector<std::string_view> NamesWith(const std::vector<ChangedField>& changed,
                                        ChangeEffect effect) {
  std::vector<std::string_view> names;
  for (const ChangedField& field : changed) {
    if (field.effect == effect) names.push_back(field.name);
  }
  return names;
}

absl::Status CheckAllCanChange(const std::string& id, const std::vector<ChangedField>& changed) {
  std::string names;
  for (const std::string_view name : NamesWith(changed, ChangeEffect::kNever)) {
    absl::StrAppend(&names, names.empty() ? "" : ", ", Absl(name));
  }
  if (names.empty()) return absl::OkStatus();
  return ReasonedError(absl::StatusCode::kFailedPrecondition, ErrorReason::kFieldNotLive,
                       absl::StrCat("export ", id, ": ", names,
                                    " cannot change while the export is there; leave it out of "
                                    "the update, or delete the export and create it anew"));
}

}  // namespace

absl::StatusOr<UpdatedExport> UpdateExport(const Config& config, ExportStore& store,
                                           Export& updated, const SpecChange& change,
                                           bool validate_only) {
  internal::ExportRecord record = updated.record();
  FSD_ASSIGN_OR_RETURN(internal::ExportSpec spec, change(record));
  FSD_RETURN_IF_ERROR(CompleteExportSpec(config, spec));
  UpdatedExport result;
  result.changed = ChangedFields(record.spec(), spec);
  FSD_RETURN_IF_ERROR(CheckAllCanChange(updated.id(), result.changed));
  if (!result.changed.empty()) {
    *record.mutable_spec() = std::move(spec);
    // Later than before, also if the host's clock was set back.
    record.set_update_time_unix_nanos(
        std::max(absl::ToUnixNanos(absl::Now()), record.update_time_unix_nanos() + 1));
  }
  if (validate_only) {
    result.view = updated.View();
    result.view.record = std::move(record);
    return result;
  }
  if (!result.changed.empty()) {
    const bool socket =
        std::any_of(result.changed.begin(), result.changed.end(),
                    [](const ChangedField& field) { return field.name.starts_with("socket."); });
    if (socket) FSD_RETURN_IF_ERROR(updated.ChangeSocketAccess(record.spec()));
    if (const absl::Status status = store.Replace(record); !status.ok()) {
      if (socket) (void)updated.ChangeSocketAccess(updated.record().spec());
      return status;
    }
    updated.Update(std::move(record), NamesWith(result.changed, ChangeEffect::kNextConnection));
  }
  result.view = updated.View();
  return result;
}

}  // namespace fsd::supervisor
