// WorkerProcess: one running worker, watched by its pidfd and spoken to on its control socket.
//
// The worker answers our Hello with its own and a status, sends a status after each change, and
// answers QueryStatus. One that cannot serve says why, instead of the Hello, and ends. One that an
// earlier supervisor has started is asked, after its Hello, to hand over what it serves with.
// Nothing that it says is trusted: one that speaks for another export, says what is no message,
// floods, falls silent or hangs up is killed, and WorkerEnd tells why.
//
// The destructor lets go of the worker: it neither stops nor kills it. For the loop's thread.
#ifndef FSD_SERVER_SUPERVISOR_WORKER_PROCESS_H_
#define FSD_SERVER_SUPERVISOR_WORKER_PROCESS_H_

#include <sys/types.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "proto/fsd/internal/worker.pb.h"
#include "server/errors/errno_or.h"
#include "server/ipc/worker_channel.h"
#include "server/os/pid_fd.h"
#include "server/os/unique_fd.h"
#include "server/supervisor/event_loop.h"
#include "server/supervisor/worker_launcher.h"
#include "server/telemetry/log.h"

namespace fsd::supervisor {

struct WorkerLimits {
  absl::Duration ready = absl::Seconds(30);  // from its start to its first status
  // From the dialling of an earlier supervisor's worker, which may be starting still, to its
  // handover.
  absl::Duration adopt = absl::Seconds(30);
  absl::Duration stop = absl::Seconds(5);  // from Stop to SIGKILL
  absl::Duration query_every = absl::Seconds(15);
  absl::Duration refresh_every = absl::Milliseconds(250);  // at most, as asked for
  absl::Duration list = absl::Seconds(5);                  // its requests in flight
  absl::Duration silence = absl::Seconds(60);              // not a word, though queried
  absl::Duration hang_up = absl::Seconds(5);  // from the channel's end to the process's
  int messages_per_second = 1000;
};

// How a worker ended.
struct WorkerEnd {
  os::ExitStatus exit;
  // Of a process that is not our child the kernel may not tell how it ended.
  bool exit_known = true;
  bool was_ready = false;
  absl::Duration healthy_for;  // since it was ready
  std::string misdeed;         // why we killed it; empty if we did not
  std::string last_words;      // why it ended, as it told us; of bounded length, printable ASCII

  // "killed by signal 11 (Segmentation fault)", "killed: it did not …", "exited with status 3:
  // chroot …".
  std::string Describe() const;
};

enum class WorkerOrigin { kLaunched, kEarlierSupervisor };

// What an earlier supervisor's worker has handed over, as it came.
struct Handover {
  internal::WorkerSpec spec;
  os::UniqueFd vhost_listener;
  os::UniqueFd counters;
};

class WorkerProcess {
 public:
  struct Events {
    // Of an earlier supervisor's worker, once, before its first status. What is not OK is its
    // misdeed, for which it is killed. To close what it has sent may block.
    std::function<absl::Status(Handover)> on_handover;
    std::function<void(const internal::WorkerStatus&)> on_status;  // the first one: it is ready
    std::function<void(const internal::FromWorker::InflightRequests&)> on_inflight;
    std::function<void()> on_kill;  // its end is near, or never
    // Once, and the last event; the WorkerProcess may be destroyed in it.
    std::function<void(const WorkerEnd&)> on_end;
  };

  // Watches a worker. `channel` is a connection to its control socket, which it need not have
  // accepted yet; it must answer for `export_uid`, if that is not empty. A worker that cannot be
  // watched is killed.
  static absl::StatusOr<std::unique_ptr<WorkerProcess>> Watch(
      EventLoop& loop, const WorkerLimits& limits, std::string export_id, std::string export_uid,
      WorkerOrigin origin, LaunchedWorker worker, ipc::WorkerChannel channel, Events events);
  ~WorkerProcess();
  WorkerProcess(const WorkerProcess&) = delete;
  WorkerProcess& operator=(const WorkerProcess&) = delete;

  pid_t pid() const { return pid_; }

  // Each is kept in the order in which they are called, also by a worker that is not ready yet.
  void SetLogLevel(telemetry::LogLevel level);
  void SetSlowRequest(int64_t nanoseconds);
  void SetDraining(bool draining);
  void SetQos(const internal::ExportSpec::Qos& qos);
  void Disconnect();
  void Retire();
  // Its answer comes as on_inflight, with the same number.
  void ListInflight(uint64_t number);
  // Asks for a status, unless it has been a moment ago.
  void RefreshStatus();
  // Asks it to end, and kills it if it does not in time, or says that it cannot.
  void Stop();
  // Kills it for `misdeed`, which goes into WorkerEnd.
  void Kill(std::string misdeed);

 private:
  enum class Phase { kAwaitingHello, kAwaitingHandover, kAwaitingStatus, kReady, kEnding };

  WorkerProcess(EventLoop& loop, const WorkerLimits& limits, std::string export_id,
                std::string export_uid, WorkerOrigin origin, LaunchedWorker worker,
                ipc::WorkerChannel channel, Events events);
  ErrnoOr<void> AddToLoop();
  void SayHello();
  // Of a worker that is not ending: one that does not read what it is told is killed.
  void Tell(const internal::ToWorker& message);
  void OnChannel();
  absl::StatusOr<std::optional<ipc::WorkerChannel::WithFds>> Receive();
  void OnMessage(ipc::WorkerChannel::WithFds received);
  void OnFailure(const internal::FromWorker::Failure& failure);
  void OnHello(const internal::FromWorker::Hello& hello);
  void OnHandover(ipc::WorkerChannel::WithFds received);
  void OnStatus(const internal::WorkerStatus& status);
  void ReadLastWords();
  void OnHangUp();
  // How it ended; nothing if that may be known in a moment.
  std::optional<WorkerEnd> FindEnd();
  void OnExit();
  void Query();
  bool Floods();
  void CloseChannel();

  EventLoop& loop_;
  const WorkerLimits limits_;
  const std::string export_id_;
  const std::string export_uid_;
  const WorkerOrigin origin_;
  const pid_t pid_;
  os::PidFd process_;
  ipc::WorkerChannel channel_;
  Events events_;

  Phase phase_ = Phase::kAwaitingHello;
  bool is_newer_ = false;                               // than this program
  std::optional<internal::WorkerStatus> early_status_;  // while its handover is awaited
  bool channel_open_ = false;
  std::string misdeed_;
  std::string last_words_;
  EventLoop::Clock::time_point ready_at_;
  EventLoop::Clock::time_point heard_at_;
  EventLoop::Clock::time_point refreshed_at_;
  EventLoop::Clock::time_point second_began_;
  int messages_this_second_ = 0;
  TimerId deadline_ = kNoTimer;
  TimerId query_ = kNoTimer;
  TimerId exit_check_ = kNoTimer;
  int exit_checks_ = 0;
};

}  // namespace fsd::supervisor

#endif  // FSD_SERVER_SUPERVISOR_WORKER_PROCESS_H_
