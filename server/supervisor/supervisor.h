// Supervisor: owns every export, its sockets and its worker, for as long as the host runs.
//
// All state belongs to one thread, the one that calls Run. The public functions may be called from
// any thread: they hand the work over and answer through their callback, on Run's thread; a
// callback must not block. Nothing here knows gRPC, vhost-user or FUSE.
//
// A failed call's Status carries a reason (see error_reason.h) that clients can act on.
#ifndef FSD_SERVER_SUPERVISOR_SUPERVISOR_H_
#define FSD_SERVER_SUPERVISOR_SUPERVISOR_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "proto/fsd/internal/export_spec.pb.h"
#include "server/supervisor/config.h"
#include "server/supervisor/export_removal.h"
#include "server/supervisor/export_sample.h"
#include "server/supervisor/export_update.h"
#include "server/supervisor/export_view.h"
#include "server/supervisor/maintenance.h"
#include "server/supervisor/timing.h"
#include "server/telemetry/log.h"

namespace fsd::supervisor {

template <typename T>
using Callback = std::function<void(absl::StatusOr<T>)>;
using StatusCallback = std::function<void(absl::Status)>;

// Which export a call is about.
struct ExportTarget {
  std::string id;
  // Looks at the export's record, on Run's thread, before anything is done, and must not block.
  // What it says, if not OK, is the answer. Null: whatever it is.
  std::function<absl::Status(const internal::ExportRecord&)> precondition;
};

class Supervisor {
 public:
  virtual ~Supervisor() = default;

  // Opens the state directory and reads every recorded export.
  static absl::StatusOr<std::unique_ptr<Supervisor>> Create(Config config,
                                                            const Timing& timing = {});

  // Brings every recorded export back to listening; one that cannot come back is FAILED with the
  // reason and holds nobody up. Serves until Shutdown. What `workers` of the configuration says
  // then happens to the workers.
  virtual void Run() = 0;
  // Any thread, also a signal handler's.
  virtual void Shutdown() = 0;

  // What an export has served, or all of them, ordered by id. Waits for no worker: what workers
  // tell is as of their last word, and they are asked for another.
  virtual void SampleExport(std::string id, Callback<ExportSample> done) = 0;
  virtual void SampleExports(Callback<std::vector<ExportSample>> done) = 0;
  // At least the 1000 oldest. UNAVAILABLE (WORKER_FAILED): there is no worker, or it does not
  // answer.
  virtual void ListInflightRequests(std::string id, Callback<InflightRequests> done) = 0;

  // `spec` is complete but for socket_path, which may be empty: then one is chosen under the
  // runtime directory. Answers when the socket is listening and the worker is ready. With an id
  // that exists: the existing export if its spec is equal, else ALREADY_EXISTS; ABORTED while an
  // operation on it is pending.
  virtual void CreateExport(internal::ExportSpec spec, std::string request_id, bool validate_only,
                            Callback<ExportView> done) = 0;
  virtual void GetExport(std::string id, Callback<ExportView> done) = 0;
  // All of them, ordered by id.
  virtual void ListExports(Callback<std::vector<ExportView>> done) = 0;
  // FAILED_PRECONDITION with EXPORT_IN_USE if a front-end is connected and the mode is kSafe.
  // Answers when worker, sockets and record are gone. A drain that ends otherwise leaves the export
  // as it was.
  virtual void DeleteExport(ExportTarget target, Deletion deletion, StatusCallback done) = 0;

  // `change` runs on Run's thread and must not block. Answers when the new record is on disk and
  // the next front-end will be served as it says, the present one as far as it is live; see
  // export_update.h.
  virtual void UpdateExport(std::string id, SpecChange change, bool validate_only,
                            Callback<UpdatedExport> done) = 0;
  // See maintenance.h.
  virtual void DrainExport(ExportTarget target, std::optional<DrainWait> wait,
                           Callback<ExportView> done) = 0;
  virtual void ResumeExport(ExportTarget target, Callback<ExportView> done) = 0;
  virtual void DisconnectExport(ExportTarget target, Callback<ExportView> done) = 0;
  virtual void RestartWorker(ExportTarget target, bool force, Callback<ExportView> done) = 0;

  // Of this process and every worker, also of those to come. Answers with the level before.
  virtual void SetLogLevel(telemetry::LogLevel level, Callback<telemetry::LogLevel> done) = 0;

  // Requests of guests that take longer are slow; 0: none is. From 0 to 24 hours. Of every worker,
  // also of those to come. Answers with the threshold before.
  virtual void SetSlowRequest(absl::Duration threshold, Callback<absl::Duration> done) = 0;
  // As it is now. Any thread.
  virtual absl::Duration SlowRequest() const = 0;

  // Of the cgroup below which workers have theirs; empty if there is none. Any thread.
  virtual std::string CgroupDirectory() const = 0;

  // Calls `beat` on Run's thread when it begins to serve, and every `period` from then on until Run
  // returns; so not while that thread hangs. Set once, before Run.
  virtual void SetHeartbeat(absl::Duration period, std::function<void()> beat) = 0;

  // Told of each change of an export's record, state, connection or conditions, on Run's thread, in
  // order; an export that is gone has a view in state kDeleting as its last, and `gone`. Set once,
  // before Run.
  virtual void SetObserver(std::function<void(const ExportView&)> observer) = 0;
};

}  // namespace fsd::supervisor

#endif  // FSD_SERVER_SUPERVISOR_SUPERVISOR_H_
