#include "server/exe/service_manager.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "server/errors/status_macros.h"

namespace fsd::exe {
namespace {

// How often the status line is renewed for a manager that does not watch.
constexpr absl::Duration kStatusPeriod = absl::Seconds(10);
constexpr int kKeepEnvironment = 0;
constexpr int kUnsetEnvironment = 1;

}  // namespace

ServiceManager::ServiceManager()
    : listens_(std::getenv("NOTIFY_SOCKET") != nullptr), period_(kStatusPeriod) {
  uint64_t patience_us = 0;
  if (sd_watchdog_enabled(kKeepEnvironment, &patience_us) <= 0) return;
  watches_ = true;
  period_ = absl::Microseconds(patience_us) / 2;
}

void ServiceManager::Ready(const std::string& status) const {
  sd_notify(kKeepEnvironment, absl::StrCat("READY=1\nSTATUS=", status).c_str());
}

void ServiceManager::Alive(const std::string& status) const {
  sd_notify(kKeepEnvironment,
            absl::StrCat(watches_ ? "WATCHDOG=1\n" : "", "STATUS=", status).c_str());
}

void ServiceManager::Stopping(const std::string& status) const {
  sd_notify(kKeepEnvironment, absl::StrCat("STOPPING=1\nSTATUS=", status).c_str());
}

absl::StatusOr<std::vector<access::PassedSocket>> TakePassedSockets() {
  char** names = nullptr;
  const int count = sd_listen_fds_with_names(kUnsetEnvironment, &names);
  if (count < 0) return ErrnoStatus(Errno(-count), "take the service manager's sockets");
  std::vector<access::PassedSocket> sockets;
  for (int i = 0; i < count; ++i) {
    const int fd = SD_LISTEN_FDS_START + i;
    sockets.push_back({.fd = os::UniqueFd(fd), .name = names[i]});
    std::free(names[i]);
  }
  std::free(names);
  for (const access::PassedSocket& socket : sockets) {
    const int fd = socket.fd.get();
    if (sd_is_socket(fd, AF_UNIX, SOCK_STREAM, /*listening=*/1) <= 0) {
      return absl::InvalidArgumentError(
          absl::StrFormat("the service manager's socket \"%s\" is no listening unix stream socket; "
                          "TCP is listened on as 'listen' of the configuration says",
                          socket.name));
    }
    // For accept(2) not to wait for a client that has gone again.
    const int flags = ::fcntl(fd, F_GETFL);
    if (flags < 0 || ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
      return ErrnoStatus(Errno::Last(),
                         absl::StrCat("prepare the service manager's socket ", socket.name));
    }
  }
  return sockets;
}

}  // namespace fsd::exe
