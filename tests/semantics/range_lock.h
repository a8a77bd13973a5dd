// fcntl's locks of byte ranges, and what another process sees of them: what the parts of the area
// range_lock share.
#ifndef TESTS_SEMANTICS_RANGE_LOCK_H_
#define TESTS_SEMANTICS_RANGE_LOCK_H_

#include <fcntl.h>
#include <sys/types.h>
#include <unistd.h>

#include <functional>
#include <limits>
#include <string>

#include "tests/semantics/check.h"
#include "tests/semantics/files.h"

namespace posix_check {

constexpr off_t kMaxOffset = std::numeric_limits<off_t>::max();

struct Range {
  short type;
  off_t start = 0;
  off_t length = 0;
  int whence = SEEK_SET;
};

struct flock LockOf(const Range& range);
// fcntl of it: -1 with errno.
int Lock(int fd, const Range& range, int command = F_SETLK);
int LockErrno(int fd, const Range& range, int command = F_SETLK);
// The same in another process that has inherited the descriptor.
int LockInChild(int fd, const Range& range, int command = F_SETLK);

// "R", "W" or "none".
const char* Letter(short type);
// "W 10-19" or "R 10-end".
std::string Describe(const struct flock& lock);
// What F_GETLK tells: "W 10-19 of 1234" with the process id, "none", or an errno's name.
std::string Ask(int fd, const Range& range, int command = F_GETLK);
std::string AskInChild(int fd, const Range& range, int command = F_GETLK);
// All locks that another process sees: "W 0-9 R 20-end".
std::string Locks(int fd);

// A new file `file` of 1000 bytes.
Fd MakeLockFile(Report& r, int flags = O_RDWR);

// The parts of the area that have files of their own.
void AddRangeLockHolderChecks(Registry& registry);
void AddDescriptionLockChecks(Registry& registry);

}  // namespace posix_check

#endif  // TESTS_SEMANTICS_RANGE_LOCK_H_
