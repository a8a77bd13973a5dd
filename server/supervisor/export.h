// Export: one directory offered to one VM: its record, state, sockets and worker.
//
// The vhost-user socket listens for the export's whole life and each worker gets a duplicate: a
// front-end that connects while the worker restarts waits in the backlog. Only an export that is
// given up closes it, so that front-ends are refused rather than kept waiting.
// The control socket is made anew for each worker, and only the worker listens on it: that it can
// be dialled means that the worker lives.
//
// The destructor closes our descriptors and leaves worker and files alone. For the loop's thread.
#ifndef FSD_SERVER_SUPERVISOR_EXPORT_H_
#define FSD_SERVER_SUPERVISOR_EXPORT_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "proto/fsd/internal/export_spec.pb.h"
#include "proto/fsd/internal/worker.pb.h"
#include "server/os/unique_fd.h"
#include "server/supervisor/cgroup_subtree.h"
#include "server/supervisor/config.h"
#include "server/supervisor/earlier_worker.h"
#include "server/supervisor/event_loop.h"
#include "server/supervisor/export_socket.h"
#include "server/supervisor/export_view.h"
#include "server/supervisor/restart_policy.h"
#include "server/supervisor/timing.h"
#include "server/supervisor/user_namespaces.h"
#include "server/supervisor/worker_process.h"

namespace fsd::supervisor {

std::string_view ExportStateName(ExportState state);
// Whether an export may go from one state to another.
bool IsLegalTransition(ExportState from, ExportState to);

class Export {
 public:
  // What every export shares; outlives them.
  struct Surroundings {
    EventLoop& loop;
    const Config& config;  // with normal paths
    const Timing& timing;
    UserNamespaces& user_namespaces;
    CgroupSubtree* cgroups;                      // null: none
    std::function<void(const Export&)> changed;  // state or conditions did
  };

  enum class Origin {
    kClient,  // to be made with Create
    kStore,   // to be brought back with Restore; what its record names is ours
  };

  // `record` is complete. Begins in kCreating; nothing runs yet.
  Export(const Surroundings& surroundings, internal::ExportRecord record, Origin origin);
  ~Export();
  Export(const Export&) = delete;
  Export& operator=(const Export&) = delete;

  const std::string& id() const { return record_.spec().id(); }
  const internal::ExportRecord& record() const { return record_; }
  ExportState state() const { return state_; }
  ExportView View() const;

  // Whether the export's sockets could be made now; changes nothing.
  static absl::Status CheckSocket(const Config& config, const internal::ExportSpec& spec);

  // An error means that it is not to be. `started` is told,
  // once, later, whether the first worker became ready; it may destroy the export. After an error
  // or a failed start the export is only good for Stop and RemoveFiles.
  absl::Status Create(os::UniqueFd source, std::function<void(absl::Status)> started);
  // What fails is tried again, or ends in kFailed.
  void Restore(os::UniqueFd source);

  // A worker of an earlier supervisor serves it: gives it up, and touches nothing of it.
  void LeaveToEarlierWorker();
  bool left_to_earlier_worker() const { return left_to_earlier_worker_; }

  // Gives up, with a condition that says why.
  void Fail(std::string_view reason, std::string_view message);
  void Fail(const absl::Status& why);
  void AddCondition(std::string_view reason, std::string_view message);
  void RemoveCondition(std::string_view reason);

  // From here on nothing is started. Worker ends, or is killed; `stopped` follows when it is gone
  // (at once if there is none) and may destroy the export.
  void Stop(std::function<void()> stopped);
  // To be deleted: kDeleting, then Stop.
  // `killed`: once, if the worker had to be killed and is not gone yet.
  void Delete(std::function<void()> deleted, std::function<void()> killed);
  // Takes the sockets' names away, and the worker's cgroup.
  void RemoveFiles();

 private:
  ExportSocket::IfDead if_dead() const;
  absl::Status Listen();
  absl::Status LaunchWorker();
  absl::StatusOr<os::UniqueFd> MakeWorkerSpec(bool in_user_namespace, bool has_device_wall) const;
  void OnStatus(const internal::WorkerStatus& status);
  // `refused`: a request was since the last status; `spent`: one would be.
  void ReportRefusedInodes(bool refused, bool spent);
  // Once the worker has been ready for so long that its predecessor's end is past.
  void OnHealthy();
  // `message`: of the condition; empty if there is none.
  void ReportUnenforcedLimits(const std::string& message);
  void ReportHandleLack(internal::WorkerStatus::HandleLack lack);
  void ReportLandlockLack(bool lacking);
  void ReportRefusedDevices(bool refused);
  // The condition holds for as long as `lacking` does.
  void ReportLack(std::string_view reason, bool lacking, std::string_view message);
  bool HasCondition(std::string_view reason) const;
  void OnWorkerEnd(const WorkerEnd& end);
  void OnFailure(std::string_view reason, const std::string& how, absl::Duration healthy_for);
  void Restart();
  void SetState(ExportState state);

  const Surroundings& surroundings_;
  const internal::ExportRecord record_;
  const Origin origin_;
  ExportState state_ = ExportState::kCreating;
  std::vector<Condition> conditions_;
  std::optional<Condition> last_failure_;
  bool left_to_earlier_worker_ = false;

  os::UniqueFd source_;  // held: a restart shows the very same directory
  std::optional<ExportSocket> vhost_;
  std::optional<ExportSocket> control_;
  std::unique_ptr<WorkerProcess> worker_;
  std::unique_ptr<EarlierWorker> earlier_worker_;  // while it is being stopped
  internal::WorkerStatus status_;
  RestartPolicy restart_policy_;
  uint64_t restarts_ = 0;
  TimerId restart_timer_ = kNoTimer;
  TimerId healthy_timer_ = kNoTimer;  // from the first status of a worker that has a predecessor
  std::function<void(absl::Status)> started_;  // while the first worker is not ready
  std::function<void()> stopped_;
  std::function<void()> killed_;
  bool stopping_ = false;
};

}  // namespace fsd::supervisor

#endif  // FSD_SERVER_SUPERVISOR_EXPORT_H_
