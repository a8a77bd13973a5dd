// SupervisorLinks: the worker's ends of the private channels to its supervisor.
//
// A supervisor dials, says Hello, is told the status and then each change of it; of changes that
// come too fast (a guest may mount and unmount, a VMM connect and leave as often as it likes) only
// the last. A later supervisor may dial while the one before is still connected. The worker depends
// on none of them: who sends what is not understood, or does not read what it is sent, loses its
// channel and may dial again.
//
// For the control thread.
#ifndef FSD_SERVER_WORKER_SUPERVISOR_LINKS_H_
#define FSD_SERVER_WORKER_SUPERVISOR_LINKS_H_

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/fsd/internal/worker.pb.h"
#include "server/ipc/worker_channel.h"
#include "server/os/epoll.h"
#include "server/os/timer_fd.h"
#include "server/os/unique_fd.h"

namespace fsd::worker {

class SupervisorLinks {
 public:
  struct Options {
    std::string export_name;  // for the log
    std::string export_uid;
    std::function<internal::WorkerStatus()> status;
    std::function<void()> stop;  // a supervisor wants the worker to end
  };
  static constexpr size_t kMaxLinks = 4;

  // Changes of the status that are told within a second. A supervisor takes it ill if they are
  // many.
  static constexpr int kMaxPushesPerSecond = 100;

  // `epoll` outlives it.
  static absl::StatusOr<std::unique_ptr<SupervisorLinks>> Create(os::Epoll& epoll, Options options);
  SupervisorLinks(const SupervisorLinks&) = delete;
  SupervisorLinks& operator=(const SupervisorLinks&) = delete;
  ~SupervisorLinks();

  // A supervisor has dialled. Closed at once if there are kMaxLinks already.
  void Add(os::UniqueFd socket);
  // Tells all who have said Hello: at once, or at the end of the second if it has had its changes.
  void PushStatus();
  // At once, whatever came before: for what the worker has to say last.
  void PushNow();

 private:
  struct Link {
    ipc::WorkerChannel channel;
    bool greeted = false;
  };

  SupervisorLinks(os::Epoll& epoll, os::TimerFd later, Options options);
  void OnReadable(int fd);
  // An error ends the link.
  absl::Status Handle(Link& link, const internal::ToWorker& message);
  absl::Status Greet(Link& link, const internal::ToWorker::Hello& hello);
  absl::Status SendStatus(Link& link);
  void Close(int fd, const absl::Status& why);

  os::Epoll& epoll_;
  const os::TimerFd later_;  // the end of the second
  const Options options_;
  std::chrono::steady_clock::time_point second_began_;
  int pushed_ = 0;  // within it
  bool owed_ = false;
  std::unordered_map<int, std::unique_ptr<Link>> links_;  // by channel.fd()
};

}  // namespace fsd::worker

#endif  // FSD_SERVER_WORKER_SUPERVISOR_LINKS_H_
