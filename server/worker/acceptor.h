// Acceptor: takes connections from a listening socket as they come.
//
// For the control thread. Accepting never blocks it, and a lack of descriptors does not make it
// spin: the listener is left alone for a moment, while the backlog keeps who is waiting.
#ifndef FSD_SERVER_WORKER_ACCEPTOR_H_
#define FSD_SERVER_WORKER_ACCEPTOR_H_

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "server/errors/errno_or.h"
#include "server/os/epoll.h"
#include "server/os/timer_fd.h"
#include "server/os/unique_fd.h"

namespace fsd::worker {

class Acceptor {
 public:
  // Called with each connection: close-on-exec and non-blocking. May pause the acceptor, not
  // destroy it.
  using Handler = std::function<void(os::UniqueFd)>;

  // Starts at once. `epoll` outlives it. `export_name` is for the log.
  static absl::StatusOr<std::unique_ptr<Acceptor>> Create(os::Epoll& epoll, os::UniqueFd listener,
                                                          std::string export_name, Handler handler);
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;
  ~Acceptor();

  int listener() const { return listener_.get(); }

  // Leaves newcomers in the backlog until Resume.
  void Pause();
  void Resume();

 private:
  Acceptor(os::Epoll& epoll, os::UniqueFd listener, os::TimerFd retry, std::string export_name,
           Handler handler);

  absl::Status Watch();
  // On an error, tries again in a while.
  ErrnoOr<void> Listen();
  void Accept();

  os::Epoll& epoll_;
  const os::UniqueFd listener_;
  const os::TimerFd retry_;
  const std::string export_name_;
  const Handler handler_;
  bool paused_ = false;
};

}  // namespace fsd::worker

#endif  // FSD_SERVER_WORKER_ACCEPTOR_H_
