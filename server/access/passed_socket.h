// A listening socket that the service manager has opened for this process (sd_listen_fds(3)).
#ifndef FSD_SERVER_ACCESS_PASSED_SOCKET_H_
#define FSD_SERVER_ACCESS_PASSED_SOCKET_H_

#include <string>

#include "server/os/unique_fd.h"

namespace fsd::access {

struct PassedSocket {
  os::UniqueFd fd;   // listening, AF_UNIX, SOCK_STREAM, non-blocking
  std::string name;  // FileDescriptorName= of its unit
};

}  // namespace fsd::access

#endif  // FSD_SERVER_ACCESS_PASSED_SOCKET_H_
