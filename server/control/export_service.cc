#include "server/control/export_service.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "server/control/export_name.h"
#include "server/control/export_page.h"
#include "server/control/export_translation.h"
#include "server/control/export_validation.h"
#include "server/control/pending_call.h"
#include "server/control/status_details.h"

namespace fsd::control {
namespace {

using supervisor::ExportView;

grpc::ServerUnaryReactor* Refuse(PendingCall& call, const FieldViolations& violations) {
  call.Answer([&] { return InvalidFields(violations); });
  return call.reactor();
}

// Answers `call` with an export, or with why there is none.
supervisor::Callback<ExportView> AnswerWithExport(std::shared_ptr<PendingCall> call, std::string id,
                                                  v1::Export* response) {
  return [call = std::move(call), id = std::move(id), response](absl::StatusOr<ExportView> view) {
    call->Answer([&] {
      if (!view.ok()) return FailedCall(view.status(), id);
      *response = ToExport(*view);
      return grpc::Status();
    });
  };
}

// One DeleteExport on its way: the etag is compared first, if there is one.
struct Deletion {
  std::string id;
  std::string etag;
  bool allow_missing;
  bool force;
};

void Delete(supervisor::Supervisor& supervisor, std::shared_ptr<PendingCall> call,
            const Deletion& deletion) {
  supervisor.DeleteExport(
      deletion.id, deletion.force, [call = std::move(call), deletion](const absl::Status& status) {
        call->Answer([&] {
          if (status.ok() || (absl::IsNotFound(status) && deletion.allow_missing)) {
            return grpc::Status();
          }
          return FailedCall(status, deletion.id);
        });
      });
}

void DeleteIfUnchanged(supervisor::Supervisor& supervisor, std::shared_ptr<PendingCall> call,
                       Deletion deletion) {
  auto compare = [&supervisor, call, deletion](const absl::StatusOr<ExportView>& view) {
    if (view.ok() && Etag(view->record) != deletion.etag) {
      return call->Answer([&] { return EtagMismatch(deletion.id); });
    }
    // A missing export is DeleteExport's to answer.
    Delete(supervisor, call, deletion);
  };
  supervisor.GetExport(std::move(deletion.id), std::move(compare));
}

}  // namespace

grpc::ServerUnaryReactor* ExportService::CreateExport(grpc::CallbackServerContext*,
                                                      const v1::CreateExportRequest* request,
                                                      v1::Export* response) {
  auto call = std::make_shared<PendingCall>();
  if (auto violations = ValidateCreate(*request); !violations.empty()) {
    return Refuse(*call, violations);
  }
  supervisor_.CreateExport(ToSpec(request->export_id(), request->export_()), request->request_id(),
                           request->validate_only(),
                           AnswerWithExport(call, request->export_id(), response));
  return call->reactor();
}

grpc::ServerUnaryReactor* ExportService::GetExport(grpc::CallbackServerContext*,
                                                   const v1::GetExportRequest* request,
                                                   v1::Export* response) {
  auto call = std::make_shared<PendingCall>();
  if (auto violations = ValidateGet(*request); !violations.empty()) {
    return Refuse(*call, violations);
  }
  const std::string id = *ParseExportName(request->name());
  supervisor_.GetExport(id, AnswerWithExport(call, id, response));
  return call->reactor();
}

grpc::ServerUnaryReactor* ExportService::ListExports(grpc::CallbackServerContext*,
                                                     const v1::ListExportsRequest* request,
                                                     v1::ListExportsResponse* response) {
  auto call = std::make_shared<PendingCall>();
  auto violations = ValidateList(*request);
  const auto after_id = ReadPageToken(request->page_token());
  if (!after_id) {
    violations.push_back({"page_token", v1::PAGE_TOKEN_INVALID,
                          "not a token of this server; take next_page_token of the page before"});
  }
  if (!violations.empty()) return Refuse(*call, violations);
  supervisor_.ListExports([call, after_id = *after_id, page_size = request->page_size(),
                           response](const absl::StatusOr<std::vector<ExportView>>& views) {
    call->Answer([&] {
      if (!views.ok()) return FailedCall(views.status(), "");
      *response = MakePage(*views, after_id, page_size);
      return grpc::Status();
    });
  });
  return call->reactor();
}

grpc::ServerUnaryReactor* ExportService::DeleteExport(grpc::CallbackServerContext*,
                                                      const v1::DeleteExportRequest* request,
                                                      google::protobuf::Empty*) {
  auto call = std::make_shared<PendingCall>();
  if (auto violations = ValidateDelete(*request); !violations.empty()) {
    return Refuse(*call, violations);
  }
  const Deletion deletion = {
      .id = *ParseExportName(request->name()),
      .etag = request->etag(),
      .allow_missing = request->allow_missing(),
      .force = request->mode() == v1::DeleteExportRequest::FORCE,
  };
  if (deletion.etag.empty()) {
    Delete(supervisor_, call, deletion);
  } else {
    DeleteIfUnchanged(supervisor_, call, deletion);
  }
  return call->reactor();
}

}  // namespace fsd::control
