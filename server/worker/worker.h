// Worker: serves one export, to one front-end after another, until a supervisor says Stop.
//
// Its thread is the control thread: one epoll over the supervisor's channels, the vhost-user
// listener, the front-end's connection and the tasks of the other threads. It makes no system call
// that can wait for the shared file system.
//
// A front-end's life here:
//
//   listening ── accepted ──> connected ── INIT ──> mounted
//       ^                         │  <── DESTROY, ─────┤
//       │                         │      RESET_DEVICE  │
//       │                         v                    v
//       └── requests done, ───  ending  <── closed ────┘
//           session ended
//
// While ending, who dials next waits in the backlog; while one is connected, a second is refused,
// and while the export drains, everybody. A worker that is to be replaced retires: once it is
// listening it accepts nobody any more, and who dials waits for the next worker.
#ifndef FSD_SERVER_WORKER_WORKER_H_
#define FSD_SERVER_WORKER_WORKER_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "backends/filesystem.h"
#include "proto/fsd/internal/worker.pb.h"
#include "server/fuse/session.h"
#include "server/os/cycle_clock.h"
#include "server/os/epoll.h"
#include "server/os/mutex.h"
#include "server/os/unique_fd.h"
#include "server/vhost_user/connection.h"
#include "server/worker/acceptor.h"
#include "server/worker/status_pacer.h"
#include "server/worker/supervisor_links.h"
#include "server/worker/task_queue.h"
#include "server/worker/virtio_fs_device.h"

namespace fsd::worker {

class Worker {
 public:
  struct Options {
    internal::WorkerSpec spec;
    os::UniqueFd control_listener;  // SOCK_SEQPACKET
    os::UniqueFd vhost_listener;    // SOCK_STREAM
    std::unique_ptr<backends::Filesystem> filesystem;
    // Begun before there was a jail, unless there is none.
    std::optional<os::CycleClock> clock;
    // Of telemetry::CreateCounterFile; kept for a later supervisor. Invalid: nobody reads what is
    // counted.
    os::UniqueFd counters;
    // The kernel has no Landlock that could be used; for the status.
    bool landlock_lacking = false;
    // As sandbox::Jail's; for the status.
    bool devices_refused = false;
  };

  // INVALID_ARGUMENT: a spec that cannot be served. Otherwise what the system lacks.
  static absl::StatusOr<std::unique_ptr<Worker>> Create(Options options);
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  // Before Run, or after it.
  ~Worker();

  // Serves until Stop; results in the process's exit status. Once.
  int Run();

 private:
  enum class Phase { kListening, kConnected, kMounted, kEnding };

  Worker(Options& options, std::unique_ptr<TaskQueue> tasks, os::Epoll epoll);
  absl::Status SetUp(Options& options);

  void OnFrontEnd(os::UniqueFd socket);
  void Connect(os::UniqueFd socket);
  void Advance(uint32_t events);
  void EndConnection(std::string_view why);
  void OnConnectionEnded();
  void Enter(Phase phase);
  // Queue threads; without `mounted` the guest has unmounted. However many changes there are, one
  // task at most is under way.
  void OnMountChange(std::optional<fuse::NegotiatedInit> mounted);
  void TakeMountChange();
  void OnMounted(const fuse::NegotiatedInit& init);
  void OnUnmounted();
  void Stop();
  void SetDraining(bool draining);
  void SetQos(const internal::ExportSpec::Qos& qos);
  void Disconnect();
  void Retire();
  void ResetDevice();
  internal::WorkerStatus Status() const;
  internal::FromWorker::InflightRequests InFlight(size_t max_requests) const;

  const internal::WorkerSpec spec_;
  const std::string& name_;  // the export's
  // First, as other threads post until the end.
  const std::unique_ptr<TaskQueue> tasks_;
  os::Mutex mount_mutex_;
  bool mount_change_posted_ ABSL_GUARDED_BY(mount_mutex_) = false;
  std::optional<fuse::NegotiatedInit> mount_change_ ABSL_GUARDED_BY(mount_mutex_);
  std::atomic<bool> refusal_posted_{false};
  os::Epoll epoll_;
  const std::unique_ptr<backends::Filesystem> filesystem_;
  const os::UniqueFd counters_;
  const bool landlock_lacking_;
  const bool devices_refused_;
  std::unique_ptr<fuse::Session> session_;
  std::unique_ptr<VirtioFsDevice> device_;
  std::unique_ptr<SupervisorLinks> supervisors_;
  std::unique_ptr<StatusPacer> status_pacer_;
  std::unique_ptr<Acceptor> control_acceptor_;
  std::unique_ptr<Acceptor> vhost_acceptor_;

  Phase phase_ = Phase::kListening;
  std::unique_ptr<vhost_user::Connection> connection_;  // while connected or mounted
  uint32_t watched_events_ = 0;                         // of connection_
  os::UniqueFd next_front_end_;  // came just before the last one's end was noticed
  int64_t connected_since_unix_nanos_ = 0;
  fuse::NegotiatedInit init_;
  uint64_t connections_accepted_ = 0;
  uint64_t connections_refused_ = 0;
  bool draining_;
  internal::ExportSpec::Qos qos_;  // in force
  bool retiring_ = false;
  bool stopping_ = false;
  std::optional<int> exit_status_;
};

}  // namespace fsd::worker

#endif  // FSD_SERVER_WORKER_WORKER_H_
