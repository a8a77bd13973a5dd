#include "tests/semantics/process.h"

#include <fcntl.h>
#include <grp.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>

namespace posix_check {
namespace {

constexpr uid_t kFirstId = 20000;

int Reap(pid_t pid) {
  int status = 0;
  while (waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) return kKilled;
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : kKilled;
}

pid_t Fork() {
  fflush(stdout);
  const pid_t pid = fork();
  // A peer that waits for a check which is gone would wait for ever.
  if (pid == 0) prctl(PR_SET_PDEATHSIG, SIGKILL);
  return pid;
}

}  // namespace

const User kRoot = {"root", 0, 0, {}};
const User kOwner = {"owner", kFirstId, kFirstId, {}};
const User kGroupMember = {"group", kFirstId + 1, kFirstId, {}};
const User kAlsoMember = {"supplementary", kFirstId + 2, kFirstId + 2, {kFirstId + 9, kFirstId}};
const User kOther = {"other", kFirstId + 3, kFirstId + 3, {}};

int RunInChild(const std::function<int()>& work) {
  const pid_t pid = Fork();
  if (pid < 0) return errno;
  if (pid == 0) _exit(work());
  return Reap(pid);
}

int RunAs(const User& user, const std::function<int()>& work) {
  return RunInChild([&] {
    if (setgroups(user.groups.size(), user.groups.data()) != 0 ||
        setresgid(user.gid, user.gid, user.gid) != 0 ||
        setresuid(user.uid, user.uid, user.uid) != 0) {
      return kKilled;
    }
    return work();
  });
}

Peer::Peer(const Work& work) {
  int down[2];
  int up[2];
  if (pipe2(down, O_CLOEXEC) != 0 || pipe2(up, O_CLOEXEC) != 0) abort();
  pid_ = Fork();
  if (pid_ == 0) {
    close(down[1]);
    close(up[0]);
    _exit(work([&] {
      char byte = 0;
      if (write(up[1], &byte, 1) != 1 || read(down[0], &byte, 1) != 1) _exit(kKilled);
    }));
  }
  close(down[0]);
  close(up[1]);
  to_peer_ = down[1];
  from_peer_ = up[0];
}

Peer::~Peer() {
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    Reap(pid_);
  }
  close(to_peer_);
  close(from_peer_);
}

bool Peer::AwaitPause() {
  char byte = 0;
  return read(from_peer_, &byte, 1) == 1;
}

void Peer::Continue() {
  const char byte = 0;
  if (write(to_peer_, &byte, 1) != 1) abort();
}

int Peer::Wait() {
  const int value = Reap(pid_);
  pid_ = -1;
  return value;
}

}  // namespace posix_check
