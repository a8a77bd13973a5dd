// What `fsctl export apply` does to each export, and how that is told.
#ifndef FSD_CLI_APPLY_PLAN_H_
#define FSD_CLI_APPLY_PLAN_H_

#include <string>
#include <vector>

#include "cli/output.h"
#include "proto/fsd/v1/export_service.pb.h"

namespace fsd::cli {

enum class ApplyAction { kCreate, kUpdate, kNothing, kDelete };

struct ApplyStep {
  ApplyAction action = ApplyAction::kNothing;
  v1::Export wanted;                // but of kDelete
  v1::Export before;                // but of kCreate
  v1::UpdateExportResponse update;  // of kUpdate: what it changes
};

// What of `wanted` the server may be left to choose is taken from `before`, the export as it is.
v1::Export WithServersChoices(v1::Export wanted, const v1::Export& before);

// "updated exports/web", with a line for each field that changes.
std::string ApplyText(const ApplyStep& step, bool dry_run);

// {"results": [{"name", "action", "fields": [{"field", "before", "after", "effect"}]}]} as JSON;
// actions are CREATED, UPDATED, UNCHANGED, DELETED.
std::string ApplyJson(const std::vector<ApplyStep>& steps);

}  // namespace fsd::cli

#endif  // FSD_CLI_APPLY_PLAN_H_
