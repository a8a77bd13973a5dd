// ServiceManager: what systemd, or a manager that speaks as it does, is told about this process
// (sd_notify(3)), and what it hands over (sd_listen_fds(3)).
//
// Without a manager, which $NOTIFY_SOCKET tells, nothing is said. Any thread.
#ifndef FSD_SERVER_EXE_SERVICE_MANAGER_H_
#define FSD_SERVER_EXE_SERVICE_MANAGER_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/access/passed_socket.h"

namespace fsd::exe {

class ServiceManager {
 public:
  ServiceManager();

  // Whether there is one that wants to hear.
  bool listens() const { return listens_; }
  // How often Alive must be said for the manager not to take this process for hung: half of what it
  // waits. Some seconds if it does not watch.
  absl::Duration period() const { return period_; }

  // `status` is a line for people.
  void Ready(const std::string& status) const;
  void Alive(const std::string& status) const;
  void Stopping(const std::string& status) const;

 private:
  bool listens_;
  bool watches_ = false;
  absl::Duration period_;
};

// The listening sockets that the manager has opened for this process, which are its own from now
// on; children do not hear of them. Before other threads are there. INVALID_ARGUMENT if one is no
// listening unix stream socket.
absl::StatusOr<std::vector<access::PassedSocket>> TakePassedSockets();

}  // namespace fsd::exe

#endif  // FSD_SERVER_EXE_SERVICE_MANAGER_H_
