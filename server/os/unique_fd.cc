#include "server/os/unique_fd.h"

#include <unistd.h>

namespace fsd::os {

void UniqueFd::reset(int fd) {
  // Linux closes the descriptor even when close(2) fails, so there is nothing to retry.
  if (fd_ >= 0) ::close(fd_);
  fd_ = fd;
}

}  // namespace fsd::os
