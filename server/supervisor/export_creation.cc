#include "server/supervisor/export_creation.h"

#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/errors/status_macros.h"
#include "server/supervisor/error_reason.h"
#include "server/supervisor/export_difference.h"
#include "server/supervisor/export_spec.h"
#include "server/supervisor/source_directory.h"
#include "server/telemetry/log.h"

namespace fsd::supervisor {

void ExportCreation::Create(internal::ExportSpec spec, std::string request_id, bool validate_only,
                            Done done) {
  if (surroundings_.of_exports.shutting_down) return done(ShuttingDownError());
  if (const absl::Status status = CompleteExportSpec(surroundings_.of_exports.config, spec);
      !status.ok()) {
    return done(status);
  }
  if (auto answer = AnswerFromExisting(spec, request_id)) return done(*std::move(answer));
  if (const Export* const other = surroundings_.exports.FindBySocket(spec.socket_path())) {
    return done(ReasonedError(
        absl::StatusCode::kFailedPrecondition, ErrorReason::kSocketInUse,
        absl::StrCat("socket ", spec.socket_path(), ": it is export ", other->id(), "'s")));
  }
  if (validate_only) return ValidateOnly(std::move(spec), std::move(done));

  Export& added = surroundings_.exports.Add(std::make_unique<Export>(
      surroundings_.of_exports, NewExportRecord(std::move(spec), std::move(request_id)),
      Export::Origin::kClient));
  const std::string id = added.id();
  Operation& operation =
      surroundings_.operations.emplace(id, Operation(Operation::Kind::kCreate, std::move(done)))
          .first->second;
  operation.deadline = surroundings_.of_exports.loop.CallAfter(
      surroundings_.of_exports.timing.worker.ready + surroundings_.of_exports.timing.kill,
      [this, id] {
        Fail(id, ReasonedError(absl::StatusCode::kUnavailable, ErrorReason::kWorkerFailed,
                               absl::StrCat("export ", id,
                                            ": neither its source nor its worker "
                                            "answers; is the source's file system there?")));
      });
  surroundings_.of_exports.changed(added);
  OpenSourceDirectoryInBackground(
      surroundings_.of_exports.config.allow_source, added.record().spec().source_path(),
      surroundings_.of_exports.loop.queue(),
      [this, id, uid = added.record().uid()](absl::StatusOr<os::UniqueFd> source) {
        OnSource(id, uid, std::move(source));
      });
}

std::optional<absl::StatusOr<ExportView>> ExportCreation::AnswerFromExisting(
    const internal::ExportSpec& spec, const std::string& request_id) {
  const std::string& id = spec.id();
  if (surroundings_.operations.contains(id)) return BusyError(id);
  const Export* const existing = surroundings_.exports.Find(id);
  if (existing == nullptr) return std::nullopt;
  // The very call that made it, repeated; it may have been updated since.
  if (!request_id.empty() && existing->record().request_id() == request_id) {
    return existing->View();
  }
  const std::string_view difference = FirstDifference(existing->record().spec(), spec);
  if (difference.empty()) return existing->View();
  return ReasonedError(absl::StatusCode::kAlreadyExists, ErrorReason::kExportExists,
                       absl::StrCat("export ", id, ": exists with another ", Absl(difference),
                                    "; delete it first, or choose another name"));
}

void ExportCreation::ValidateOnly(internal::ExportSpec spec, Done done) {
  OpenSourceDirectoryInBackground(
      surroundings_.of_exports.config.allow_source, spec.source_path(),
      surroundings_.of_exports.loop.queue(),
      [this, spec, done](const absl::StatusOr<os::UniqueFd>& source) {
        if (!source.ok()) return done(source.status());
        if (const absl::Status status = Export::CheckSocket(surroundings_.of_exports.config, spec);
            !status.ok()) {
          return done(status);
        }
        ExportView view;
        *view.record.mutable_spec() = spec;
        done(std::move(view));
      });
}

void ExportCreation::OnSource(const std::string& id, const std::string& uid,
                              absl::StatusOr<os::UniqueFd> source) {
  Export* const created = FindCreating(id, uid);
  if (created == nullptr) return;  // undone meanwhile
  if (!source.ok()) return Fail(id, source.status());
  // Before a worker runs, so that a supervisor that takes over knows of it.
  absl::Status status = surroundings_.store.Save(created->record());
  if (status.ok()) {
    status = created->Create(*std::move(source),
                             [this, id](const absl::Status& started) { OnStarted(id, started); });
  }
  // While the worker gets ready, and before anybody is told.
  if (status.ok()) status = surroundings_.store.Sync(id);
  if (!status.ok()) Fail(id, status);
}

void ExportCreation::OnStarted(const std::string& id, const absl::Status& status) {
  if (!status.ok()) return Fail(id, status);
  auto operation = surroundings_.operations.extract(id);
  surroundings_.of_exports.loop.Cancel(operation.mapped().deadline);
  operation.mapped().AnswerView(surroundings_.exports.Find(id)->View());
}

void ExportCreation::Fail(const std::string& id, const absl::Status& why) {
  FSD_LOG(kError, id, "cannot be created: %s", std::string(why.message()));
  surroundings_.operations.at(id).failure = why;
  surroundings_.removal.Remove(*surroundings_.exports.Find(id));
}

Export* ExportCreation::FindCreating(const std::string& id, const std::string& uid) const {
  Export* const found = surroundings_.exports.Find(id);
  const bool is_it =
      found != nullptr && found->record().uid() == uid && found->state() == ExportState::kCreating;
  return is_it ? found : nullptr;
}

void ExportCreation::Shutdown() {
  std::vector<std::string> unfinished;
  for (const auto& [id, operation] : surroundings_.operations) {
    if (operation.kind() == Operation::Kind::kCreate && operation.failure.ok()) {
      unfinished.push_back(id);
    }
  }
  for (const std::string& id : unfinished) Fail(id, ShuttingDownError());
}

}  // namespace fsd::supervisor
