#include "server/sandbox/worker_syscalls.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include <initializer_list>
#include <span>
#include <utility>

namespace fsd::sandbox {
namespace {

// Arguments that are C ints are compared by their low half: the upper one is not defined.
constexpr ArgumentCheck Equals(unsigned argument, int value) {
  return {argument, 0xffffffff, static_cast<uint32_t>(value)};
}
constexpr ArgumentCheck Lacks(unsigned argument, uint64_t bits) { return {argument, bits, 0}; }

constexpr ArgumentCheck kNotExecutable = Lacks(2, PROT_EXEC);

// A thread of this process.
constexpr ArgumentCheck kToItself = {0, 0xffffffff, kInstallingProcess};

// A thread of this process (which implies CLONE_VM and CLONE_SIGHAND) in the same namespaces.
constexpr uint64_t kNewNamespaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |
                                    CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;
constexpr ArgumentCheck kThread = {0, CLONE_THREAD | kNewNamespaces, CLONE_THREAD};

constexpr AllowedSyscall kKeeper[] = {
    {SCMP_SYS(waitid)},                // AwaitEnd
    {SCMP_SYS(exit_group)},            // the end
    {SCMP_SYS(write)},                 // a log line
    {SCMP_SYS(close)},                 // UniqueFd
    {SCMP_SYS(futex)},                 // spdlog's sink, static initialisation
    {SCMP_SYS(clock_gettime)},         // a log line's time, where the vdso has no clock
    {SCMP_SYS(getpid)},                // a log line's pid; abort
    {SCMP_SYS(brk)},                   // malloc
    {SCMP_SYS(mmap), kNotExecutable},  // malloc
    {SCMP_SYS(munmap)},                // free
    {SCMP_SYS(rt_sigaction)},          // abort
    {SCMP_SYS(rt_sigprocmask)},        // abort
    {SCMP_SYS(gettid)},                // abort
    {SCMP_SYS(tgkill), kToItself},     // abort
    {SCMP_SYS(restart_syscall)},       // the kernel's, after SIGSTOP and SIGCONT
};

// open_by_handle_at's flags. Those of HandleKeeper::OpenForIo are the most that may be; a read-only
// export's lack O_WRONLY and O_RDWR.
constexpr uint32_t kHandleFlags =
    O_PATH | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_APPEND | O_SYNC | O_DSYNC | O_DIRECT | O_NOATIME;
constexpr ArgumentCheck kHandleOpenedToRead = Lacks(2, ~kHandleFlags);
constexpr ArgumentCheck kHandleOpenedForIo =
    Lacks(2, ~(kHandleFlags | uint32_t{O_WRONLY} | uint32_t{O_RDWR}));

constexpr AllowedSyscall kHandleKeeperWrites[] = {
    {SCMP_SYS(open_by_handle_at), kHandleOpenedForIo},  // a handle is opened
    {SCMP_SYS(linkat), Equals(4, AT_EMPTY_PATH)},       // LINK of an inode that is in no place
};

constexpr int kStatMount = 457;  // Linux 6.8, of every architecture

constexpr AllowedSyscall kHandleKeeper[] = {
    {SCMP_SYS(recvmsg)},                                 // a request
    {SCMP_SYS(sendmsg)},                                 // its answer
    {SCMP_SYS(name_to_handle_at)},                       // a handle is issued
    {SCMP_SYS(open_by_handle_at), kHandleOpenedToRead},  // a handle is opened
    {SCMP_SYS(statx)},                                   // the mount of either
    {kStatMount},                                        // is that mount one of ours
    {SCMP_SYS(close)},                                   // UniqueFd
    {SCMP_SYS(exit_group)},                              // the end
    {SCMP_SYS(write)},                                   // FSD_CHECK
    {SCMP_SYS(futex)},                                   // static initialisation
    {SCMP_SYS(getpid)},                                  // abort
    {SCMP_SYS(brk)},                                     // malloc
    {SCMP_SYS(mmap), kNotExecutable},                    // malloc
    {SCMP_SYS(munmap)},                                  // free
    {SCMP_SYS(rt_sigaction)},                            // abort
    {SCMP_SYS(rt_sigprocmask)},                          // abort
    {SCMP_SYS(gettid)},                                  // abort
    {SCMP_SYS(tgkill), kToItself},                       // abort
    {SCMP_SYS(restart_syscall)},                         // the kernel's, after SIGSTOP and SIGCONT
};

constexpr AllowedSyscall kDataPlane[] = {
    // Memory.
    {SCMP_SYS(brk)},                       // malloc
    {SCMP_SYS(mmap), kNotExecutable},      // malloc, thread stacks, MappedMemory
    {SCMP_SYS(mprotect), kNotExecutable},  // malloc arenas, thread stacks' guard pages
    {SCMP_SYS(munmap)},                    // free, MappedMemory
    {SCMP_SYS(mremap)},                    // realloc
    {SCMP_SYS(madvise)},                   // free, thread stacks kept for reuse, KeepArguments

    // Threads.
    {SCMP_SYS(clone), kThread},                 // pthread_create
    {SCMP_SYS(set_robust_list)},                // pthread_create
    {SCMP_SYS(rseq)},                           // pthread_create
    {SCMP_SYS(rt_sigprocmask)},                 // pthread_create, end of a thread, abort
    {SCMP_SYS(prctl), Equals(0, PR_SET_NAME)},  // pthread_setname_np
    {SCMP_SYS(futex)},                          // mutexes, condition variables, thread joins
    {SCMP_SYS(sched_yield)},                    // std::this_thread::yield
    {SCMP_SYS(sched_getaffinity)},              // malloc: how many arenas there may be
    {SCMP_SYS(clock_gettime)},    // std::chrono, absl::Now, where the vdso has no clock
    {SCMP_SYS(clock_nanosleep)},  // std::this_thread::sleep_for
    {SCMP_SYS(exit)},             // end of a thread

    // Ends and signals.
    {SCMP_SYS(exit_group)},         // end of Worker::Run
    {SCMP_SYS(rt_sigaction)},       // abort
    {SCMP_SYS(getpid)},             // a log line's pid, abort
    {SCMP_SYS(gettid)},             // abort, caller credentials
    {SCMP_SYS(tgkill), kToItself},  // abort
    {SCMP_SYS(restart_syscall)},    // the kernel's, after SIGSTOP and SIGCONT

    // Descriptors of every kind.
    {SCMP_SYS(close)},                              // UniqueFd
    {SCMP_SYS(close_range), Equals(2, 0)},          // FORGET (CloseTogether)
    {SCMP_SYS(read)},                               // EventFd, TimerFd
    {SCMP_SYS(write)},                              // EventFd, log lines, FSD_CHECK
    {SCMP_SYS(fcntl), Equals(1, F_DUPFD_CLOEXEC)},  // kicks, memory files, FLUSH
    {SCMP_SYS(fcntl), Equals(1, F_GETFL)},          // received call fds; SETLK; WRITE
    {SCMP_SYS(fcntl), Equals(1, F_SETFL)},          // listeners; CREATE, WRITE; HandleKeeperClient
    {SCMP_SYS(fstat)},       // sizes of received memory files, with newer versions of glibc
    {SCMP_SYS(newfstatat)},  // the same: fstat of glibc before 2.39

    // Waiting and talking.
    {SCMP_SYS(epoll_create1)},    // Epoll
    {SCMP_SYS(epoll_ctl)},        // Epoll
    {SCMP_SYS(epoll_wait)},       // Epoll
    {SCMP_SYS(epoll_pwait)},      // Epoll, on arm64
    {SCMP_SYS(poll)},             // Worker, Notifier
    {SCMP_SYS(ppoll)},            // the same, on arm64
    {SCMP_SYS(eventfd2)},         // EventFd
    {SCMP_SYS(timerfd_settime)},  // TimerFd
    {SCMP_SYS(accept4)},          // AcceptUnix
    {SCMP_SYS(recvmsg)},          // ReceiveWithFds
    {SCMP_SYS(sendmsg)},          // SendWithFds

    // The export's files.
    {SCMP_SYS(openat)},      // LOOKUP, OPEN, CREATE, OPENDIR; with any flags, see the header
    {SCMP_SYS(statx)},       // GETATTR, LOOKUP
    {SCMP_SYS(fstatfs)},     // STATFS; BouncedRead
    {SCMP_SYS(getdents64)},  // READDIR, READDIRPLUS
    {SCMP_SYS(lseek)},       // READDIR, LSEEK
    {SCMP_SYS(preadv2)},     // READ
    {SCMP_SYS(fsync)},       // FSYNC, FSYNCDIR
    {SCMP_SYS(fdatasync)},   // FSYNC, FSYNCDIR
    {SCMP_SYS(readlinkat)},  // READLINK
    {SCMP_SYS(faccessat2)},  // ACCESS; OPEN of an inode in no place
    {SCMP_SYS(setfsuid)},    // a caller's credentials
    {SCMP_SYS(setfsgid)},    // a caller's credentials
    {SCMP_SYS(capget)},      // a caller's credentials, WithoutFsetid
    {SCMP_SYS(capset)},      // a caller's credentials, WithoutFsetid
    {SCMP_SYS(syncfs)},      // SYNCFS
    {SCMP_SYS(ioctl), Equals(1, static_cast<int>(FS_IOC_GETFLAGS))},    // IOCTL
    {SCMP_SYS(ioctl), Equals(1, static_cast<int>(FS_IOC_FSGETXATTR))},  // IOCTL
};

// Of an export that is not read-only.
constexpr AllowedSyscall kDataPlaneWrites[] = {
    {SCMP_SYS(pwritev2)},         // WRITE
    {SCMP_SYS(fallocate)},        // FALLOCATE
    {SCMP_SYS(ftruncate)},        // SETATTR of the size, O_TRUNC of an inode in no place
    {SCMP_SYS(fchmodat)},         // SETATTR
    {SCMP_SYS(fchownat)},         // SETATTR
    {SCMP_SYS(utimensat)},        // SETATTR
    {SCMP_SYS(mkdirat)},          // MKDIR
    {SCMP_SYS(mknodat)},          // MKNOD
    {SCMP_SYS(symlinkat)},        // SYMLINK
    {SCMP_SYS(linkat)},           // LINK
    {SCMP_SYS(unlinkat)},         // UNLINK, RMDIR
    {SCMP_SYS(renameat)},         // RENAME: what glibc makes of renameat2 without flags
    {SCMP_SYS(renameat2)},        // RENAME, RENAME2
    {SCMP_SYS(copy_file_range)},  // COPY_FILE_RANGE
    {SCMP_SYS(getgroups)},        // a caller's supplementary group
    {SCMP_SYS(setgroups)},        // a caller's supplementary group
    {SCMP_SYS(ioctl), Equals(1, static_cast<int>(FS_IOC_SETFLAGS))},    // IOCTL
    {SCMP_SYS(ioctl), Equals(1, static_cast<int>(FS_IOC_FSSETXATTR))},  // IOCTL
};

// Of one whose locks hold on the host.
constexpr AllowedSyscall kDataPlaneLocks[] = {
    {SCMP_SYS(fcntl), Equals(1, F_OFD_SETLK)},  // SETLK, SETLKW, FLUSH, RELEASE
    {SCMP_SYS(fcntl), Equals(1, F_OFD_GETLK)},  // GETLK, SETLK
    {SCMP_SYS(flock)},                          // SETLK, SETLKW, RELEASE
};

// Of one with extended attributes.
constexpr AllowedSyscall kDataPlaneXattrs[] = {
    {SCMP_SYS(getxattr)},   // GETXATTR, whether a directory has a default ACL
    {SCMP_SYS(listxattr)},  // LISTXATTR
};

// Of one with extended attributes that is not read-only.
constexpr AllowedSyscall kDataPlaneXattrWrites[] = {
    {SCMP_SYS(setxattr)},     // SETXATTR, a new file's security label
    {SCMP_SYS(removexattr)},  // REMOVEXATTR, a renamed security.capability
};

// Of one whose inodes may be held by handle.
constexpr AllowedSyscall kDataPlaneHandles[] = {
    {SCMP_SYS(name_to_handle_at)},  // LOOKUP: is what has a known inode's number that inode
};

// What the runtime of a build with a sanitizer calls behind any code's back.
constexpr std::initializer_list<AllowedSyscall> kSanitizerRuntime = {
#ifdef FSD_SANITIZING
    {SCMP_SYS(sigaltstack)},   // asan, at the start and end of threads and processes
    {SCMP_SYS(madvise)},       // asan, tsan: shadow memory
    {SCMP_SYS(pipe2)},         // ubsan: can an address be read
    {SCMP_SYS(gettimeofday)},  // tsan: its background thread
    {SCMP_SYS(nanosleep)},     // tsan: its background thread
#endif
};

class List {
 public:
  explicit List(std::span<const AllowedSyscall> rows) : rows_(kSanitizerRuntime) {
    Add(true, rows);
  }
  List& Add(bool needed, std::span<const AllowedSyscall> rows) {
    if (needed) rows_.insert(rows_.end(), rows.begin(), rows.end());
    return *this;
  }
  std::vector<AllowedSyscall> rows() && { return std::move(rows_); }

 private:
  std::vector<AllowedSyscall> rows_;
};

}  // namespace

std::vector<AllowedSyscall> KeeperSyscalls() { return List(kKeeper).rows(); }

std::vector<AllowedSyscall> HandleKeeperSyscalls(const DataPlaneNeeds& needs) {
  List list(kHandleKeeper);
  list.Add(needs.writes, kHandleKeeperWrites);
  return std::move(list).rows();
}

std::vector<AllowedSyscall> DataPlaneSyscalls(const DataPlaneNeeds& needs) {
  List list(kDataPlane);
  list.Add(needs.writes, kDataPlaneWrites)
      .Add(needs.locks, kDataPlaneLocks)
      .Add(needs.xattrs, kDataPlaneXattrs)
      .Add(needs.xattrs && needs.writes, kDataPlaneXattrWrites)
      .Add(needs.host_handles, kDataPlaneHandles);
  return std::move(list).rows();
}

}  // namespace fsd::sandbox
