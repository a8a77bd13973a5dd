#include "tests/semantics/range_lock.h"

#include <cerrno>

#include "tests/semantics/process.h"

namespace posix_check {
namespace {

// The text that another process writes.
std::string InChild(const std::function<std::string()>& work) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return ErrnoName(errno);
  const Fd from(ends[0]);
  Fd to(ends[1]);
  RunInChild([&] {
    const std::string text = work();
    return write(to.get(), text.data(), text.size()) < 0 ? errno : 0;
  });
  to.Close();
  char text[4096];
  const ssize_t count = read(from.get(), text, sizeof(text));
  return std::string(text, count < 0 ? 0 : count);
}

}  // namespace

struct flock LockOf(const Range& range) {
  struct flock lock = {};
  lock.l_type = range.type;
  lock.l_whence = static_cast<short>(range.whence);
  lock.l_start = range.start;
  lock.l_len = range.length;
  return lock;
}

int Lock(int fd, const Range& range, int command) {
  struct flock lock = LockOf(range);
  return fcntl(fd, command, &lock);
}

int LockErrno(int fd, const Range& range, int command) { return ErrnoOf(Lock(fd, range, command)); }

const char* Letter(short type) { return type == F_RDLCK ? "R" : type == F_WRLCK ? "W" : "none"; }

std::string Describe(const struct flock& lock) {
  return std::string(Letter(lock.l_type)) + " " + std::to_string(lock.l_start) + "-" +
         (lock.l_len == 0 ? "end" : std::to_string(lock.l_start + lock.l_len - 1));
}

std::string Ask(int fd, const Range& range, int command) {
  const struct flock asked = LockOf(range);
  struct flock lock = asked;
  if (fcntl(fd, command, &lock) != 0) return ErrnoName(errno);
  if (lock.l_type != F_UNLCK) return Describe(lock) + " of " + std::to_string(lock.l_pid);
  return lock.l_start == asked.l_start && lock.l_len == asked.l_len ? "none" : "none, but changed";
}

std::string AskInChild(int fd, const Range& range, int command) {
  return InChild([&] { return Ask(fd, range, command); });
}

std::string Locks(int fd) {
  return InChild([fd] {
    std::string all;
    off_t from = 0;
    while (true) {
      struct flock lock = LockOf({F_WRLCK, from});
      if (fcntl(fd, F_GETLK, &lock) != 0) return ErrnoName(errno);
      if (lock.l_type == F_UNLCK) return all;
      all += (all.empty() ? "" : " ") + Describe(lock);
      if (lock.l_len == 0 || lock.l_start + (lock.l_len - 1) == kMaxOffset) return all;
      from = lock.l_start + lock.l_len;
    }
  });
}

int LockInChild(int fd, const Range& range, int command) {
  return RunInChild([&] { return LockErrno(fd, range, command); });
}

Fd MakeLockFile(Report& r, int flags) {
  r.Call("make", MakeFile("file", std::string(1000, 'x')));
  return Open("file", flags);
}

}  // namespace posix_check
