// EarlierWorker: a worker that an earlier supervisor started and left running.
//
// It is not our child: there is no pidfd to wait for and nothing to signal, only its control
// socket. For the loop's thread.
#ifndef FSD_SERVER_SUPERVISOR_EARLIER_WORKER_H_
#define FSD_SERVER_SUPERVISOR_EARLIER_WORKER_H_

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "server/ipc/worker_channel.h"
#include "server/supervisor/event_loop.h"

namespace fsd::supervisor {

class EarlierWorker {
 public:
  // Whether one listens on this control socket.
  static bool Serves(const std::string& control_path);

  // Asks the one that listens there to end. `gone` is called once, from the loop, when it has hung
  // up and nobody listens on either of its sockets; the EarlierWorker may be destroyed in it.
  static absl::StatusOr<std::unique_ptr<EarlierWorker>> Stop(EventLoop& loop,
                                                             std::string control_path,
                                                             std::string vhost_path,
                                                             std::function<void()> gone);
  ~EarlierWorker();
  EarlierWorker(const EarlierWorker&) = delete;
  EarlierWorker& operator=(const EarlierWorker&) = delete;

 private:
  EarlierWorker(EventLoop& loop, ipc::WorkerChannel channel, std::string control_path,
                std::string vhost_path, std::function<void()> gone)
      : loop_(loop),
        channel_(std::move(channel)),
        control_path_(std::move(control_path)),
        vhost_path_(std::move(vhost_path)),
        gone_(std::move(gone)) {}

  void OnChannel();
  void CheckGone();

  EventLoop& loop_;
  ipc::WorkerChannel channel_;
  const std::string control_path_;
  const std::string vhost_path_;
  TimerId check_ = kNoTimer;
  std::function<void()> gone_;
};

}  // namespace fsd::supervisor

#endif  // FSD_SERVER_SUPERVISOR_EARLIER_WORKER_H_
