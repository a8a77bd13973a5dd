#include "tests/harness/system_calls.h"

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "server/errors/check.h"

namespace fsd::harness {
namespace {

constexpr int kSystemCallStop = SIGTRAP | 0x80;  // PTRACE_O_TRACESYSGOOD

// The number of the system call that the stopped thread begins; -1 if it ends one or stopped for
// another reason.
int NumberOfBegun(pid_t thread) {
  struct __ptrace_syscall_info info {};
  FSD_CHECK(::ptrace(PTRACE_GET_SYSCALL_INFO, thread, sizeof info, &info) > 0);
  return info.op == PTRACE_SYSCALL_INFO_ENTRY ? static_cast<int>(info.entry.nr) : -1;
}

bool IsEpollWait(int number) {
#ifdef SYS_epoll_wait
  if (number == SYS_epoll_wait) return true;
#endif
  return number == SYS_epoll_pwait;
}

void Halt(pid_t thread) {
  FSD_CHECK(::ptrace(PTRACE_SEIZE, thread, nullptr, PTRACE_O_TRACESYSGOOD) == 0);
  FSD_CHECK(::ptrace(PTRACE_INTERRUPT, thread, nullptr, nullptr) == 0);
  int status = 0;
  FSD_CHECK(::waitpid(thread, &status, __WALL) == thread && WIFSTOPPED(status));
}

// Lets the stopped thread go on to its next system call, and returns its number.
int NextSystemCall(pid_t thread) {
  int signal = 0;
  while (true) {
    FSD_CHECK(::ptrace(PTRACE_SYSCALL, thread, nullptr, signal) == 0);
    int status = 0;
    FSD_CHECK(::waitpid(thread, &status, __WALL) == thread && WIFSTOPPED(status));
    const bool of_ptrace = (status >> 16) != 0 || WSTOPSIG(status) == kSystemCallStop;
    signal = of_ptrace ? 0 : WSTOPSIG(status);
    if (WSTOPSIG(status) != kSystemCallStop) continue;
    if (const int number = NumberOfBegun(thread); number >= 0) return number;
  }
}

}  // namespace

std::vector<pid_t> ThreadsOf(pid_t process) {
  std::vector<pid_t> threads;
  for (const auto& entry :
       std::filesystem::directory_iterator(absl::StrCat("/proc/", process, "/task"))) {
    threads.push_back(std::stoi(entry.path().filename().string()));
  }
  return threads;
}

std::vector<pid_t> ProcessTree(pid_t root) {
  std::vector<pid_t> tree = {root};
  for (const pid_t thread : ThreadsOf(root)) {
    std::ifstream children(absl::StrCat("/proc/", root, "/task/", thread, "/children"));
    for (pid_t child = 0; children >> child;) {
      const std::vector<pid_t> below = ProcessTree(child);
      tree.insert(tree.end(), below.begin(), below.end());
    }
  }
  return tree;
}

std::map<pid_t, uint64_t> RunTimes(const std::vector<pid_t>& processes) {
  std::map<pid_t, uint64_t> times;
  for (const pid_t process : processes) {
    for (const pid_t thread : ThreadsOf(process)) {
      std::ifstream schedstat(absl::StrCat("/proc/", process, "/task/", thread, "/schedstat"));
      schedstat >> times[thread];
    }
  }
  return times;
}

std::map<int, int> SystemCallsOf(pid_t process, pid_t thread, const std::function<void()>& begin,
                                 const std::function<bool()>& done) {
  const std::vector<pid_t> threads = ThreadsOf(process);
  for (const pid_t each : threads) Halt(each);
  while (!IsEpollWait(NextSystemCall(thread))) {
  }
  begin();
  std::map<int, int> counts;
  while (true) {
    const int number = NextSystemCall(thread);
    ++counts[number];
    if (IsEpollWait(number) && done()) break;
  }
  for (const pid_t each : threads) {
    FSD_CHECK(::ptrace(PTRACE_DETACH, each, nullptr, nullptr) == 0);
  }
  return counts;
}

}  // namespace fsd::harness
