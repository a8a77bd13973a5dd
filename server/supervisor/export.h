// Export: one directory offered to one VM: its record, state, sockets and worker.
//
// The vhost-user socket listens for the export's whole life and each worker gets a duplicate: a
// front-end that connects while the worker restarts waits in the backlog. Only an export that is
// given up closes it, so that front-ends are refused rather than kept waiting.
// The control socket is made anew for each worker, and only the worker listens on it: that it can
// be dialled means that the worker lives.
//
// A worker may be older than this supervisor: it is adopted, with its listener and its counters,
// and then is as any other, but that the source, which it has only as its root, is opened beside
// it. What cannot be adopted is killed and replaced.
//
// The destructor closes our descriptors and leaves worker and files alone. For the loop's thread.
//
// export.cc has its state, its files and what its worker is told, export_worker.cc the life of its
// worker, export_adoption.cc the adoption of one.
#ifndef FSD_SERVER_SUPERVISOR_EXPORT_H_
#define FSD_SERVER_SUPERVISOR_EXPORT_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "proto/fsd/internal/export_spec.pb.h"
#include "proto/fsd/internal/worker.pb.h"
#include "server/os/unique_fd.h"
#include "server/supervisor/cgroup_subtree.h"
#include "server/supervisor/config.h"
#include "server/supervisor/earlier_worker.h"
#include "server/supervisor/event_loop.h"
#include "server/supervisor/export_conditions.h"
#include "server/supervisor/export_counting.h"
#include "server/supervisor/export_sample.h"
#include "server/supervisor/export_socket.h"
#include "server/supervisor/export_view.h"
#include "server/supervisor/inflight_calls.h"
#include "server/supervisor/restart_policy.h"
#include "server/supervisor/slow_writes.h"
#include "server/supervisor/timing.h"
#include "server/supervisor/user_namespaces.h"
#include "server/supervisor/worker_process.h"
#include "server/telemetry/log.h"

namespace fsd::supervisor {

class Export {
 public:
  // What every export shares; outlives them.
  struct Surroundings {
    EventLoop& loop;
    const Config& config;  // with normal paths
    const Timing& timing;
    UserNamespaces& user_namespaces;
    CgroupSubtree* cgroups;  // null: none
    const telemetry::LogLevel& log_level;
    const std::atomic<int64_t>& slow_request_nanos;
    const bool& shutting_down;  // no worker is started any more
    // Record, state, connection or conditions did. Called from within: to change the export, wait.
    std::function<void(const Export&)> changed;
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
  // The worker is asked for its present numbers; the next sample has them.
  ExportSample Sample() const;
  // UNAVAILABLE: there is no worker that could answer.
  void ListInflight(InflightCalls::Done done);

  // Whether the export's sockets could be made now; changes nothing.
  static absl::Status CheckSocket(const Config& config, const internal::ExportSpec& spec);

  // An error means that it is not to be. `started` is told,
  // once, later, whether the first worker became ready; it may destroy the export. After an error
  // or a failed start the export is only good for Stop and RemoveFiles.
  absl::Status Create(os::UniqueFd source, std::function<void(absl::Status)> started);
  // Opens its source and starts a worker. What fails is tried again, or ends in kFailed.
  void Restore();
  // Somebody listens on its control socket who may turn out to be its worker: Adopt, Restore or
  // Fail follows.
  void AwaitEarlierWorker() { adopting_ = true; }
  void Adopt(EarlierWorker earlier);
  // A worker is being adopted, or waited for: there is no telling yet what it does.
  bool adopting() const { return adopting_; }

  // Whether a front-end is connected, or may be.
  bool in_use() const;
  // Whether none is connected and none can come: it drains, and its worker, if any, knows.
  bool is_drained() const;
  // When the front-end connected; 0 if none is.
  int64_t connected_since_unix_nanos() const { return status_.connection().since_unix_nanos(); }
  bool draining() const { return draining_; }

  // Whether front-ends that connect are turned away. The record's own word counts at the start.
  void SetDraining(bool draining);
  // Whether its worker, if any, does as `draining` says.
  bool worker_knows_draining() const;
  // Owner and mode of the socket that listens, if one does: as `spec` has them, or an error and as
  // they were. The record is left to Update.
  absl::Status ChangeSocketAccess(const internal::ExportSpec& spec);
  // Replaces the record. Limits hold at once, or are reported. What only the next worker can do is
  // done as soon as no front-end is connected: `for_next_worker`, the names of its fields.
  void Update(internal::ExportRecord record, const std::vector<std::string_view>& for_next_worker);
  // Whether it is sure, as the worker knows that it is to retire, and has the limits that are live.
  bool updates_are_known() const;
  // The worker is told the surroundings' level, or threshold.
  void TellLogLevel();
  void TellSlowRequest();
  // Has the worker end the front-end's connection.
  void Disconnect();
  // As it does not end it: kills the worker, which is replaced.
  void CutConnection();

  using ReadyCallback = std::function<void(absl::Status)>;
  // Exchanges the worker; not while kCreating, kFailed or kDeleting. `ready`: once, when another is
  // ready or has failed, which is then dealt with as any failure. A later call replaces it.
  void RestartWorker(ReadyCallback ready);
  // Of one that is kFailed, and not being removed: begins anew, as Restore.
  void Revive(os::UniqueFd source, ReadyCallback ready);
  // Nobody waits any more.
  void ForgetReady() { restarted_ = nullptr; }
  // Stop or Delete has been called.
  bool stopping() const { return stopping_; }

  // Gives up, with a condition that says why.
  void Fail(std::string_view reason, std::string_view message);
  void Fail(const absl::Status& why);
  void AddCondition(std::string_view reason, std::string_view message) {
    conditions_.Add(reason, message);
  }

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
  absl::Status Watch(WorkerOrigin origin, LaunchedWorker worker, ipc::WorkerChannel channel);
  // In the background; OnSource follows, once.
  void OpenSource();
  void OnSource(absl::StatusOr<os::UniqueFd> source);
  // For the worker that follows an adopted one, which goes on meanwhile.
  void KeepSource(absl::StatusOr<os::UniqueFd> source);
  absl::Status OnHandover(Handover handover);
  // Both the adopted worker and the source are known.
  void CompareSource();
  void OnStatus(const internal::WorkerStatus& status);
  // Once the worker has been ready for so long that its predecessor's end is past.
  void OnHealthy();
  // Of a worker that runs. Without its source, limits of I/O are reported as not enforced.
  void Relimit();
  void OnMemoryNotLimited(pid_t worker, Errno error);
  // See ExportConditions::Set.
  void SetCondition(std::string_view reason, std::string_view message);
  void OnWorkerEnd(const WorkerEnd& end);
  void OnFailure(std::string_view reason, const std::string& how, absl::Duration healthy_for);
  void Restart();
  // As soon as its source is open, which it is after the first time.
  void StartWorker();
  void AwaitChanges(const std::vector<std::string_view>& names);
  // Ends the worker so that another is started.
  void Exchange();
  // Tells `restarted_`, once.
  void TellRestarted(const absl::Status& status);
  ExportState StateOfWorker() const;
  void SetState(ExportState state);

  const Surroundings& surroundings_;
  internal::ExportRecord record_;
  const Origin origin_;
  ExportState state_ = ExportState::kCreating;
  ExportConditions conditions_;
  std::optional<Condition> last_failure_;
  bool adopting_ = false;

  os::UniqueFd source_;  // held: a restart shows the very same directory
  bool opening_source_ = false;
  TimerId source_timer_ = kNoTimer;
  std::optional<ExportSocket> vhost_;
  std::optional<ExportSocket> control_;
  std::unique_ptr<WorkerProcess> worker_;
  std::optional<internal::WorkerSpec> adopted_spec_;  // of worker_, if an earlier supervisor's
  internal::WorkerStatus status_;
  ExportCounting counting_;
  InflightCalls inflight_calls_;
  RestartPolicy restart_policy_;
  uint64_t restarts_ = 0;
  TimerId restart_timer_ = kNoTimer;
  TimerId healthy_timer_ = kNoTimer;  // from the first status of a worker that has a predecessor
  std::function<void(absl::Status)> started_;  // while the first worker is not ready
  std::function<void()> stopped_;
  std::function<void()> killed_;
  ReadyCallback restarted_;  // while a restarted worker is not ready
  bool draining_;
  // What the next worker is waited for; if any, the worker is told to retire, and exchanged then.
  std::set<std::string_view> awaited_changes_;
  const std::shared_ptr<SlowWrites> slow_writes_ = SlowWrites::Create();
  bool exchanging_ = false;  // the worker is told to end, to be followed by another
  bool stopping_ = false;
  // Gone with the export, for what may come back later.
  const std::shared_ptr<const bool> alive_ = std::make_shared<const bool>(true);
};

}  // namespace fsd::supervisor

#endif  // FSD_SERVER_SUPERVISOR_EXPORT_H_
