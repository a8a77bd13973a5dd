// NoFdLeak: aborts if a scope leaves a file descriptor open. One thread.
#ifndef FSD_TESTS_FUZZ_OPEN_FDS_H_
#define FSD_TESTS_FUZZ_OPEN_FDS_H_

#include <fcntl.h>
#include <unistd.h>

#include "server/errors/check.h"

namespace fsd::fuzz {

// As the kernel gives out the lowest number that is free, one that stays open moves it.
inline int LowestFreeFd() {
  const int fd = ::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
  FSD_CHECK(fd >= 0);
  ::close(fd);
  return fd;
}

class NoFdLeak {
 public:
  NoFdLeak() = default;
  ~NoFdLeak() { FSD_CHECK(LowestFreeFd() == before_); }
  NoFdLeak(const NoFdLeak&) = delete;
  NoFdLeak& operator=(const NoFdLeak&) = delete;

 private:
  const int before_ = LowestFreeFd();
};

}  // namespace fsd::fuzz

#endif  // FSD_TESTS_FUZZ_OPEN_FDS_H_
