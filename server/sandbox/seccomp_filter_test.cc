// Each test forks a process, confines it to one of the two lists and lets it make one attempt.
#include "server/sandbox/seccomp_filter.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/sandbox/sandbox.h"
#include "server/sandbox/worker_syscalls.h"

namespace fsd::sandbox {
namespace {

using ::testing::ExitedWithCode;
using ::testing::KilledBySignal;

// The wait status of a process that runs `attempt` behind the filter and exits with 0 if it is
// true.
int Behind(Process process, const std::function<bool()>& attempt) {
  const pid_t child = ::fork();
  if (child == 0) {
    if (!InstallSeccompFilter(process).ok()) ::_exit(100);
    ::_exit(attempt() ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return status;
}

struct Attempt {
  const char* name;
  bool (*run)();
};

void PrintTo(const Attempt& attempt, std::ostream* out) { *out << attempt.name; }

std::string NameOf(const ::testing::TestParamInfo<Attempt>& info) { return info.param.name; }

constexpr Attempt kForbiddenToBoth[] = {
    {"Socket", [] { return ::socket(AF_UNIX, SOCK_STREAM, 0) >= 0; }},
    {"Connect", [] { return ::connect(0, nullptr, 0) == 0; }},
    {"Execve", [] { return ::execl("/bin/true", "true", nullptr) == 0; }},
    {"Fork", [] { return ::syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) >= 0; }},
    {"NewUserNamespace",
     [] { return ::syscall(SYS_clone, SIGCHLD | CLONE_NEWUSER, 0, 0, 0, 0) >= 0; }},
    {"ThreadInANewNamespace",
     [] { return ::syscall(SYS_clone, CLONE_THREAD | CLONE_NEWNS, 0, 0, 0, 0) >= 0; }},
    {"Unshare", [] { return ::unshare(CLONE_NEWUSER) == 0; }},
    {"Ptrace", [] { return ::ptrace(PTRACE_TRACEME, 0, 0, 0) == 0; }},
    {"Mount", [] { return ::mount("none", "/tmp", "tmpfs", 0, nullptr) == 0; }},
    {"OpenTree", [] { return ::open_tree(AT_FDCWD, "/", OPEN_TREE_CLONE) >= 0; }},
    {"OpenByHandle", [] { return ::open_by_handle_at(0, nullptr, 0) >= 0; }},
    {"ExecutableMemory",
     [] {
       return ::mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
              MAP_FAILED;
     }},
    {"Kill", [] { return ::kill(::getppid(), 0) == 0; }},
    {"SignalToAnothersThread", [] { return ::tgkill(::getppid(), ::getppid(), 0) == 0; }},
    {"Ioctl", [] { return ::syscall(SYS_ioctl, 0, 0x5412 /* TIOCSTI */, "x") == 0; }},
    {"Dumpable", [] { return ::prctl(PR_SET_DUMPABLE, 1) == 0; }},
    {"SignalOwner", [] { return ::fcntl(0, F_SETOWN, 1) == 0; }},
    {"IoUring", [] { return ::syscall(SYS_io_uring_setup, 1, nullptr) >= 0; }},
    {"Bpf", [] { return ::syscall(SYS_bpf, 0, nullptr, 0) >= 0; }},
    {"Keyring", [] { return ::syscall(SYS_keyctl, 0, 0, 0, 0, 0) >= 0; }},
    {"Setuid", [] { return ::syscall(SYS_setresuid, 0, 0, 0) == 0; }},
    {"Number9999", [] { return ::syscall(9999) == 0; }},
};

class ForbiddenToBoth : public ::testing::TestWithParam<Attempt> {};

TEST_P(ForbiddenToBoth, KillsTheKeeper) {
  EXPECT_PRED1(KilledBySignal(SIGSYS), Behind(Process::kKeeper, GetParam().run));
}

TEST_P(ForbiddenToBoth, KillsTheDataPlane) {
  EXPECT_PRED1(KilledBySignal(SIGSYS), Behind(Process::kDataPlane, GetParam().run));
}

INSTANTIATE_TEST_SUITE_P(Seccomp, ForbiddenToBoth, ::testing::ValuesIn(kForbiddenToBoth), NameOf);

constexpr Attempt kForbiddenToKeeper[] = {
    {"Open", [] { return ::open("/", O_RDONLY) >= 0; }},
    {"Read", [] { return ::read(0, nullptr, 0) == 0; }},
    {"ReceiveMessage", [] { return ::recvmsg(0, nullptr, 0) >= 0; }},
    {"Accept", [] { return ::accept4(0, nullptr, nullptr, 0) >= 0; }},
    {"Unlink", [] { return ::unlinkat(AT_FDCWD, "nothing", 0) == 0; }},
    {"Thread", [] { return std::thread([] {}).joinable(); }},
};

class ForbiddenToKeeper : public ::testing::TestWithParam<Attempt> {};

TEST_P(ForbiddenToKeeper, KillsIt) {
  EXPECT_PRED1(KilledBySignal(SIGSYS), Behind(Process::kKeeper, GetParam().run));
}

INSTANTIATE_TEST_SUITE_P(Seccomp, ForbiddenToKeeper, ::testing::ValuesIn(kForbiddenToKeeper),
                         NameOf);

TEST(KeeperFilter, LetsItReportWhatItsChildDid) {
  EXPECT_PRED1(ExitedWithCode(0), Behind(Process::kKeeper, [] {
                 siginfo_t info;
                 const auto text = std::make_unique<std::string>(1 << 20, '\n');
                 return ::waitid(P_ALL, 0, &info, WEXITED) == -1 && errno == ECHILD &&
                        ::write(STDERR_FILENO, text->data(), 1) == 1;
               }));
}

TEST(KeeperFilter, LetsItAbort) {
  EXPECT_PRED1(KilledBySignal(SIGABRT), Behind(Process::kKeeper, [] {
                 std::abort();
                 return true;
               }));
}

TEST(DataPlaneFilter, LetsItAbortFromAThread) {
  EXPECT_PRED1(KilledBySignal(SIGABRT), Behind(Process::kDataPlane, [] {
                 std::thread([] { std::abort(); }).join();
                 return true;
               }));
}

TEST(DataPlaneFilter, LetsItRunThreadsThatAllocate) {
  EXPECT_PRED1(ExitedWithCode(0), Behind(Process::kDataPlane, [] {
                 std::vector<std::thread> threads;
                 for (int i = 0; i < 8; ++i) {
                   threads.emplace_back([] {
                     ::pthread_setname_np(::pthread_self(), "queue");
                     std::vector<std::string> strings;
                     for (int j = 0; j < 100; ++j) strings.emplace_back(10'000 * j, 'x');
                   });
                 }
                 for (std::thread& thread : threads) thread.join();
                 return true;
               }));
}

TEST(DataPlaneFilter, LetsItServeFiles) {
  char directory[] = "/tmp/fsd-seccomp-XXXXXX";
  ASSERT_NE(::mkdtemp(directory), nullptr);
  EXPECT_PRED1(ExitedWithCode(0), Behind(Process::kDataPlane, [&] {
                 const int root = ::open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
                 const int file = ::openat(root, "file", O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
                 char text[] = "text";
                 const iovec vector{text, sizeof text};
                 struct statx attributes;
                 return ::pwritev2(file, &vector, 1, 0, 0) == 5 &&
                        ::preadv2(file, &vector, 1, 0, 0) == 5 && ::fsync(file) == 0 &&
                        ::statx(file, "", AT_EMPTY_PATH, STATX_ALL, &attributes) == 0 &&
                        ::renameat2(root, "file", root, "other", RENAME_NOREPLACE) == 0 &&
                        ::unlinkat(root, "other", 0) == 0;
               }));
  ::rmdir(directory);
}

// The same with another action, or for another export.
int Behind(SeccompAction otherwise, const DataPlaneNeeds& needs,
           const std::function<bool()>& attempt) {
  const pid_t child = ::fork();
  if (child == 0) {
    const auto filter = CompileSeccompFilter(Process::kDataPlane, otherwise, needs);
    if (!filter.ok() || !filter->Install().ok()) ::_exit(100);
    ::_exit(attempt() ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return status;
}

bool IsRefused() { return ::syscall(SYS_getppid) == -1 && errno == EPERM; }
bool Works() { return ::getppid() > 0; }
bool Clone3IsNotThere() { return ::syscall(SYS_clone3, nullptr, 0) == -1 && errno == ENOSYS; }

TEST(SeccompAction, ErrnoIsEperm) {
  EXPECT_PRED1(ExitedWithCode(0), Behind(SeccompAction::kErrno, {}, IsRefused));
  EXPECT_PRED1(ExitedWithCode(0), Behind(SeccompAction::kErrno, {}, Clone3IsNotThere));
}

TEST(SeccompAction, WhatIsLoggedWorks) {
  EXPECT_PRED1(ExitedWithCode(0), Behind(SeccompAction::kLog, {}, Works));
  EXPECT_PRED1(ExitedWithCode(0), Behind(SeccompAction::kLog, {}, Clone3IsNotThere));
}

TEST(SeccompAction, OffIsNoFilter) {
  EXPECT_PRED1(ExitedWithCode(0), Behind(SeccompAction::kOff, {}, Works));
  EXPECT_PRED1(ExitedWithCode(0), Behind(SeccompAction::kOff, {}, [] {
                 return ::prctl(PR_GET_SECCOMP) == 0 &&
                        ::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1;
               }));
}

TEST(DataPlaneNeeds, AReadOnlyExportsListChangesNothing) {
  const auto behind = [](bool (*attempt)()) {
    return Behind(SeccompAction::kKill, {.writes = false}, attempt);
  };
  EXPECT_PRED1(KilledBySignal(SIGSYS), behind([] { return ::unlinkat(-1, "x", 0) == 0; }));
  EXPECT_PRED1(KilledBySignal(SIGSYS),
               behind([] { return ::pwritev2(-1, nullptr, 0, 0, 0) == 0; }));
  EXPECT_PRED1(KilledBySignal(SIGSYS), behind([] { return ::setxattr("", "", "", 0, 0) == 0; }));
  EXPECT_PRED1(KilledBySignal(SIGSYS),
               behind([] { return ::ioctl(-1, FS_IOC_SETFLAGS, nullptr) == 0; }));
  EXPECT_PRED1(ExitedWithCode(0), behind([] {
                 return ::preadv2(-1, nullptr, 0, 0, 0) == -1 && errno == EBADF &&
                        ::getxattr("/", "user.a", nullptr, 0) <= 0;
               }));
}

TEST(DataPlaneNeeds, LocksAttributesAndHandlesHaveTheirCalls) {
  EXPECT_PRED1(KilledBySignal(SIGSYS), Behind(SeccompAction::kKill, {.locks = false},
                                              [] { return ::flock(-1, LOCK_UN) == 0; }));
  EXPECT_PRED1(KilledBySignal(SIGSYS), Behind(SeccompAction::kKill, {.xattrs = false},
                                              [] { return ::listxattr("/", nullptr, 0) == 0; }));
  EXPECT_PRED1(KilledBySignal(SIGSYS), Behind(SeccompAction::kKill, {.host_handles = false}, [] {
                 return ::name_to_handle_at(-1, "", nullptr, nullptr, 0) == 0;
               }));
}

// What the handle keeper may do with a handle.
bool OpensByHandle(int flags) {
  return ::syscall(SYS_open_by_handle_at, -1, nullptr, flags) == -1 && errno != EPERM;
}
int BehindHandleKeepers(const DataPlaneNeeds& needs, const std::function<bool()>& attempt) {
  const pid_t child = ::fork();
  if (child == 0) {
    const auto filter = CompileSeccompFilter(Process::kHandleKeeper, SeccompAction::kKill, needs);
    if (!filter.ok() || !filter->Install().ok()) ::_exit(100);
    ::_exit(attempt() ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return status;
}

TEST(HandleKeeperFilter, LetsItOpenForIoAndMakeNothing) {
  EXPECT_PRED1(
      ExitedWithCode(0), BehindHandleKeepers({}, [] {
        return OpensByHandle(O_PATH | O_CLOEXEC) &&
               OpensByHandle(O_RDWR | O_APPEND | O_CLOEXEC | O_NONBLOCK | O_DIRECT | O_NOATIME);
      }));
  for (const int flag : {O_CREAT, O_TRUNC, O_TMPFILE}) {
    EXPECT_PRED1(KilledBySignal(SIGSYS),
                 BehindHandleKeepers({}, [flag] { return OpensByHandle(O_RDWR | flag); }));
  }
}

TEST(HandleKeeperFilter, LetsItOpenToReadOnlyInAReadOnlyExport) {
  EXPECT_PRED1(ExitedWithCode(0), BehindHandleKeepers({.writes = false}, [] {
                 return OpensByHandle(O_PATH | O_CLOEXEC) && OpensByHandle(O_RDONLY | O_NONBLOCK);
               }));
  EXPECT_PRED1(KilledBySignal(SIGSYS),
               BehindHandleKeepers({.writes = false}, [] { return OpensByHandle(O_WRONLY); }));
  EXPECT_PRED1(KilledBySignal(SIGSYS), BehindHandleKeepers({.writes = false}, [] {
                 return ::linkat(-1, "", -1, "x", AT_EMPTY_PATH) == 0;
               }));
}

TEST(DataPlaneFilter, AnswersClone3WithEnosys) {
  EXPECT_PRED1(ExitedWithCode(0), Behind(Process::kDataPlane, [] { return Clone3IsNotThere(); }));
}

}  // namespace
}  // namespace fsd::sandbox
