#include "server/control/export_service.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "google/protobuf/duration.pb.h"
#include "server/control/export_name.h"
#include "server/control/export_page.h"
#include "server/control/export_translation.h"
#include "server/control/export_update.h"
#include "server/control/export_validation.h"
#include "server/control/pending_call.h"
#include "server/control/stats_translation.h"
#include "server/control/status_details.h"
#include "server/errors/status_macros.h"

namespace fsd::control {
namespace {

using supervisor::ExportView;

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

// The export of a validated name and etag.
supervisor::ExportTarget TargetOf(const std::string& name, const std::string& etag) {
  supervisor::ExportTarget target{.id = *ParseExportName(name), .precondition = nullptr};
  if (etag.empty()) return target;
  target.precondition = [etag](const internal::ExportRecord& record) {
    return Etag(record) == etag ? absl::OkStatus() : EtagMismatch();
  };
  return target;
}

// What a call that changes an export hands to the supervisor.
struct Changed {
  const PendingCall& call;
  supervisor::ExportTarget target;
  supervisor::Callback<ExportView> answer;
};

// A call that answers with the export: `change` starts it, unless `violations` refuse it.
template <typename Request, typename Start>
grpc::ServerUnaryReactor* Change(const Request& request, const FieldViolations& violations,
                                 v1::Export* response, const Start& change) {
  auto call = std::make_shared<PendingCall>();
  if (!violations.empty()) return Refuse(*call, violations);
  supervisor::ExportTarget target = TargetOf(request.name(), request.etag());
  auto answer = AnswerWithExport(call, target.id, response);
  change({.call = *call, .target = std::move(target), .answer = std::move(answer)});
  return call->reactor();
}

absl::Duration ToDuration(const google::protobuf::Duration& duration) {
  return absl::Seconds(duration.seconds()) + absl::Nanoseconds(duration.nanos());
}

supervisor::Deletion ToDeletion(const v1::DeleteExportRequest& request, const PendingCall& call) {
  using Mode = supervisor::Deletion::Mode;
  supervisor::Deletion deletion;
  if (request.mode() == v1::DeleteExportRequest::FORCE) deletion.mode = Mode::kForce;
  if (request.mode() != v1::DeleteExportRequest::DRAIN) return deletion;
  deletion.mode = Mode::kDrain;
  deletion.wait.cancellation = call.cancellation();
  if (request.has_drain_timeout()) deletion.wait.timeout = ToDuration(request.drain_timeout());
  return deletion;
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
  const ExportQuery query = ReadQuery(*request, violations);
  if (!violations.empty()) return Refuse(*call, violations);
  supervisor_.ListExports(
      [call, query, response](const absl::StatusOr<std::vector<ExportView>>& views) {
        call->Answer([&] {
          if (!views.ok()) return FailedCall(views.status(), "");
          *response = MakePage(*views, query);
          return grpc::Status();
        });
      });
  return call->reactor();
}

grpc::ServerUnaryReactor* ExportService::UpdateExport(grpc::CallbackServerContext*,
                                                      const v1::UpdateExportRequest* request,
                                                      v1::UpdateExportResponse* response) {
  auto call = std::make_shared<PendingCall>();
  const auto update = std::make_shared<ExportUpdate>();
  if (auto violations = update->Read(*request); !violations.empty()) {
    return Refuse(*call, violations);
  }
  supervisor_.UpdateExport(
      update->id(),
      [update](const internal::ExportRecord& record) { return update->Change(record); },
      request->validate_only(),
      [call, update, response](const absl::StatusOr<supervisor::UpdatedExport>& updated) {
        call->Answer([&] {
          if (!updated.ok()) return update->Failed(updated.status());
          *response = ToUpdateResponse(*updated);
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
  supervisor::ExportTarget target = TargetOf(request->name(), request->etag());
  auto answer = [call, id = target.id,
                 allow_missing = request->allow_missing()](const absl::Status& status) {
    call->Answer([&] {
      if (status.ok() || (absl::IsNotFound(status) && allow_missing)) return grpc::Status();
      return FailedCall(status, id);
    });
  };
  supervisor_.DeleteExport(std::move(target), ToDeletion(*request, *call), std::move(answer));
  return call->reactor();
}

grpc::ServerWriteReactor<v1::WatchExportsResponse>* ExportService::WatchExports(
    grpc::CallbackServerContext*, const v1::WatchExportsRequest* request) {
  return watchers_->Watch(*request);
}

grpc::ServerUnaryReactor* ExportService::DrainExport(grpc::CallbackServerContext*,
                                                     const v1::DrainExportRequest* request,
                                                     v1::Export* response) {
  return Change(*request, ValidateDrain(*request), response, [this, request](Changed changed) {
    std::optional<supervisor::DrainWait> wait;
    if (request->has_timeout()) {
      wait = {.timeout = ToDuration(request->timeout()),
              .cancellation = changed.call.cancellation()};
    }
    supervisor_.DrainExport(std::move(changed.target), std::move(wait), std::move(changed.answer));
  });
}

grpc::ServerUnaryReactor* ExportService::ResumeExport(grpc::CallbackServerContext*,
                                                      const v1::ResumeExportRequest* request,
                                                      v1::Export* response) {
  return Change(*request, ValidateNamed(*request, request->name()), response,
                [this](Changed changed) {
                  supervisor_.ResumeExport(std::move(changed.target), std::move(changed.answer));
                });
}

grpc::ServerUnaryReactor* ExportService::DisconnectExport(
    grpc::CallbackServerContext*, const v1::DisconnectExportRequest* request,
    v1::Export* response) {
  return Change(
      *request, ValidateNamed(*request, request->name()), response, [this](Changed changed) {
        supervisor_.DisconnectExport(std::move(changed.target), std::move(changed.answer));
      });
}

grpc::ServerUnaryReactor* ExportService::RestartWorker(grpc::CallbackServerContext*,
                                                       const v1::RestartWorkerRequest* request,
                                                       v1::Export* response) {
  return Change(*request, ValidateNamed(*request, request->name()), response,
                [this, request](Changed changed) {
                  supervisor_.RestartWorker(std::move(changed.target), request->force(),
                                            std::move(changed.answer));
                });
}

grpc::ServerUnaryReactor* ExportService::GetExportStats(grpc::CallbackServerContext*,
                                                        const v1::GetExportStatsRequest* request,
                                                        v1::ExportStats* response) {
  auto call = std::make_shared<PendingCall>();
  if (auto violations = ValidateNamed(*request, request->name()); !violations.empty()) {
    return Refuse(*call, violations);
  }
  const std::string id = *ParseExportName(request->name());
  supervisor_.SampleExport(
      id, [call, id, response](const absl::StatusOr<supervisor::ExportSample>& sample) {
        call->Answer([&] {
          if (!sample.ok()) return FailedCall(sample.status(), id);
          const auto counts = sample->ReadCounts();
          if (!counts.ok()) {
            return FailedCall(ErrnoStatus(counts.error(), "read the export's counters"), id);
          }
          *response = ToStats(*sample, *counts, absl::Now());
          return grpc::Status();
        });
      });
  return call->reactor();
}

grpc::ServerUnaryReactor* ExportService::ListInflightRequests(
    grpc::CallbackServerContext*, const v1::ListInflightRequestsRequest* request,
    v1::ListInflightRequestsResponse* response) {
  auto call = std::make_shared<PendingCall>();
  if (auto violations = ValidateListInflight(*request); !violations.empty()) {
    return Refuse(*call, violations);
  }
  const std::string id = *ParseExportName(request->name());
  const int32_t page_size = request->page_size();
  supervisor_.ListInflightRequests(
      id,
      [call, id, page_size, response](const absl::StatusOr<supervisor::InflightRequests>& list) {
        call->Answer([&] {
          if (!list.ok()) return FailedCall(list.status(), id);
          *response = ToInflight(*list, page_size);
          return grpc::Status();
        });
      });
  return call->reactor();
}

}  // namespace fsd::control
