// Locks of byte ranges among several processes: who keeps what, who waits for whom.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <string>

#include "tests/semantics/files.h"
#include "tests/semantics/process.h"
#include "tests/semantics/range_lock.h"
#include "tests/semantics/waiter.h"

namespace posix_check {
namespace {

constexpr Range kReadLock = {F_RDLCK, 0, 10};
constexpr Range kWriteLock = {F_WRLCK, 0, 10};
constexpr Range kUnlock = {F_UNLCK, 0, 10};

// Holds `range` until it is told to go on, and then unlocks it.
Peer::Work Holding(int fd, Range range) {
  return [fd, range](const std::function<void()>& pause) {
    if (const int error = LockErrno(fd, range); error != 0) return error;
    pause();
    return LockErrno(fd, {F_UNLCK, range.start, range.length});
  };
}

void AddConversions(Registry& registry) {
  registry.Add("range_lock/conversion/two readers share", [](Report& r) {
    const Fd fd = MakeLockFile(r);
    Peer reader(Holding(fd.get(), kReadLock));
    r.True("the peer holds it", reader.AwaitPause());
    r.Call("read lock", Lock(fd.get(), kReadLock));
    r.Errno("a writer", LockInChild(fd.get(), kWriteLock), EAGAIN);
    reader.Continue();
    r.Errno("the peer unlocks", reader.Wait(), 0);
    r.Errno("a writer while one reads", LockInChild(fd.get(), kWriteLock), EAGAIN);
    r.Call("unlock", Lock(fd.get(), kUnlock));
    r.Errno("a writer after both", LockInChild(fd.get(), kWriteLock), 0);
  });
  registry.Add("range_lock/conversion/a refused upgrade leaves the read lock", [](Report& r) {
    const Fd fd = MakeLockFile(r);
    Peer reader(Holding(fd.get(), kReadLock));
    r.True("the peer holds it", reader.AwaitPause());
    r.Call("read lock", Lock(fd.get(), kReadLock));
    r.Call("upgrade", Lock(fd.get(), kWriteLock), EAGAIN);
    reader.Continue();
    r.Errno("the peer unlocks", reader.Wait(), 0);
    r.Equal("locks", Locks(fd.get()), "R 0-9");
    r.Call("upgrade when alone", Lock(fd.get(), kWriteLock));
    r.Equal("locks", Locks(fd.get()), "W 0-9");
  });
  registry.Add("range_lock/conversion/an ask that is refused in part takes nothing", [](Report& r) {
    const Fd fd = MakeLockFile(r);
    Peer writer(Holding(fd.get(), {F_WRLCK, 50, 10}));
    r.True("the peer holds it", writer.AwaitPause());
    r.Call("over it", Lock(fd.get(), {F_RDLCK, 0, 100}), EAGAIN);
    r.Equal("locks", Locks(fd.get()), "W 50-59");
  });
  registry.Add("range_lock/conversion/a downgrade lets readers in", [](Report& r) {
    const Fd fd = MakeLockFile(r);
    r.Call("write lock", Lock(fd.get(), kWriteLock));
    r.Errno("a reader", LockInChild(fd.get(), kReadLock), EAGAIN);
    r.Call("downgrade", Lock(fd.get(), kReadLock));
    r.Errno("a reader", LockInChild(fd.get(), kReadLock), 0);
    r.Errno("a writer", LockInChild(fd.get(), kWriteLock), EAGAIN);
  });
  registry.Add("range_lock/conversion/one unlocks only one's own", [](Report& r) {
    const Fd fd = MakeLockFile(r);
    Peer writer(Holding(fd.get(), kWriteLock));
    r.True("the peer holds it", writer.AwaitPause());
    r.Call("unlock", Lock(fd.get(), {F_UNLCK}));
    r.Equal("whose it is", Ask(fd.get(), kReadLock), "W 0-9 of " + std::to_string(writer.pid()));
  });
}

void AddHolders(Registry& registry) {
  registry.Add("range_lock/holder/its end releases", [](Report& r) {
    const Fd fd = MakeLockFile(r);
    r.Errno("lock and exit", LockInChild(fd.get(), kWriteLock), 0);
    r.Equal("locks", Locks(fd.get()), "");
    r.Call("lock", Lock(fd.get(), kWriteLock));
  });
  registry.Add("range_lock/holder/its death releases", [](Report& r) {
    const Fd fd = MakeLockFile(r);
    Peer writer(Holding(fd.get(), kWriteLock));
    r.True("the peer holds it", writer.AwaitPause());
    r.Call("kill", kill(writer.pid(), SIGKILL));
    r.Equal("its value", writer.Wait(), kKilled);
    r.Call("lock", Lock(fd.get(), kWriteLock));
  });
  registry.Add("range_lock/holder/a child does not inherit", [](Report& r) {
    const Fd fd = MakeLockFile(r);
    r.Call("lock", Lock(fd.get(), kWriteLock));
    r.Equal("the child asks", AskInChild(fd.get(), kReadLock),
            "W 0-9 of " + std::to_string(getpid()));
    r.Equal("the parent's lock is kept when it ends", Locks(fd.get()), "W 0-9");
  });
  registry.Add("range_lock/holder/other users are held off", [](Report& r) {
    const Fd fd = MakeLockFile(r);
    r.Call("lock", Lock(fd.get(), kReadLock));
    r.Errno("another user", RunAs(kOther, [&] { return LockErrno(fd.get(), kWriteLock); }), EAGAIN);
    r.Errno("its own reading open",
            RunAs(kOther, [] { return LockErrno(Open("file", O_RDONLY).get(), kReadLock); }), 0);
  });
  registry.Add("range_lock/holder/locks do not hold off reads and writes", [](Report& r) {
    const Fd fd = MakeLockFile(r);
    r.Call("lock", Lock(fd.get(), kWriteLock));
    r.Errno("another process writes and reads", RunInChild([] {
              const Fd own = Open("file", O_RDWR);
              if (pwrite(own.get(), "ab", 2, 0) != 2) return errno;
              return ReadAt(own.get(), 2, 0) == "ab" ? 0 : EIO;
            }),
            0);
  });
  registry.Add("range_lock/holder/two files have their own", [](Report& r) {
    const Fd fd = MakeLockFile(r);
    const Fd other = Open("other", O_RDWR | O_CREAT);
    r.Call("lock", Lock(fd.get(), kWriteLock));
    r.Errno("the other file", LockInChild(other.get(), kWriteLock), 0);
  });
  registry.Add("range_lock/holder/the lock of an unlinked file stays with it", [](Report& r) {
    const Fd fd = MakeLockFile(r);
    r.Call("lock", Lock(fd.get(), kWriteLock));
    r.Call("unlink", unlink("file"));
    r.Errno("the unlinked file", LockInChild(fd.get(), kWriteLock), EAGAIN);
    r.Call("make it anew", MakeFile("file"));
    r.Errno("the new file",
            RunInChild([] { return LockErrno(Open("file", O_RDWR).get(), kWriteLock); }), 0);
  });
  registry.Add("range_lock/holder/hundred ranges at once", [](Report& r) {
    const Fd fd = MakeLockFile(r);
    std::string want;
    for (int i = 0; i < 100; ++i) {
      r.Call("lock", Lock(fd.get(), {F_WRLCK, 3 * i, 1}));
      want += (i == 0 ? "W " : " W ") + std::to_string(3 * i) + "-" + std::to_string(3 * i);
    }
    r.Equal("locks", Locks(fd.get()), want);
    r.Call("unlock", Lock(fd.get(), {F_UNLCK}));
    r.Equal("locks", Locks(fd.get()), "");
  });
}

// `held` by the check, `asked` by another process with F_SETLKW, `release` that lets it in.
struct Wait {
  const char* name;
  Range held;
  Range asked;
  int (*release)(Fd& fd);
};

const Wait kWaits[] = {
    {"a writer for a writer", kWriteLock, kWriteLock,
     [](Fd& fd) { return Lock(fd.get(), kUnlock); }},
    {"a reader for a writer", kWriteLock, kReadLock,
     [](Fd& fd) { return Lock(fd.get(), kUnlock); }},
    {"a writer for a reader", kReadLock, kWriteLock,
     [](Fd& fd) { return Lock(fd.get(), kUnlock); }},
    {"a reader for a downgrade", kWriteLock, kReadLock,
     [](Fd& fd) { return Lock(fd.get(), kReadLock); }},
    {"for the part that is unlocked",
     {F_WRLCK, 0, 0},
     {F_WRLCK, 20, 5},
     [](Fd& fd) {
       return Lock(fd.get(), {F_UNLCK, 10, 20});
     }},
    {"for the last of two parts",
     {F_WRLCK, 0, 20},
     {F_WRLCK, 5, 10},
     [](Fd& fd) {
       if (Lock(fd.get(), {F_UNLCK, 0, 10}) != 0) return -1;
       return Lock(fd.get(), {F_UNLCK, 10, 10});
     }},
    {"for a close", kWriteLock, kWriteLock, [](Fd& fd) { return fd.Close(), 0; }},
    {"for a close of another open", kWriteLock, kWriteLock,
     [](Fd&) { return Open("file", O_RDONLY).get() < 0 ? -1 : 0; }},
};

void AddWaits(Registry& registry) {
  for (const Wait& one : kWaits) {
    registry.Add(std::string("range_lock/waits/") + one.name, [&one](Report& r) {
      Fd fd = MakeLockFile(r);
      r.Call("hold", Lock(fd.get(), one.held));
      CheckWaits(
          r, [&] { return LockErrno(fd.get(), one.asked, F_SETLKW); },
          [&] { return ErrnoOf(one.release(fd)); });
    });
  }
  registry.Add("range_lock/waits/for a process that ends", [](Report& r) {
    const Fd fd = MakeLockFile(r);
    Peer holder([&](const std::function<void()>& pause) {
      const int error = LockErrno(fd.get(), kWriteLock);
      pause();
      return error;
    });
    r.True("the peer holds it", holder.AwaitPause());
    CheckWaits(
        r, [&] { return LockErrno(fd.get(), kWriteLock, F_SETLKW); },
        [&] { return holder.Continue(), holder.Wait(); });
  });
  registry.Add("range_lock/waits/two readers are let in together", [](Report& r) {
    const Fd fd = MakeLockFile(r);
    r.Call("hold", Lock(fd.get(), kWriteLock));
    const auto ask = [&] { return LockErrno(fd.get(), kReadLock, F_SETLKW); };
    Waiter first(ask);
    Waiter second(ask);
    r.True("both wait", !first.returned() && !second.returned());
    r.Call("unlock", Lock(fd.get(), kUnlock));
    r.Errno("first", first.Wait(), 0);
    r.Errno("second", second.Wait(), 0);
  });
  registry.Add("range_lock/waits/not where nothing conflicts", [](Report& r) {
    const Fd fd = MakeLockFile(r);
    r.Call("hold", Lock(fd.get(), kWriteLock));
    r.Errno("beside it", LockInChild(fd.get(), {F_WRLCK, 10, 10}, F_SETLKW), 0);
  });
  registry.Add("range_lock/waits/a signal interrupts", [](Report& r) {
    const Fd fd = MakeLockFile(r);
    r.Call("hold", Lock(fd.get(), kWriteLock));
    Waiter waiter([&] {
      struct sigaction action = {};
      action.sa_handler = [](int) {};
      sigaction(SIGUSR1, &action, nullptr);
      return LockErrno(fd.get(), kWriteLock, F_SETLKW);
    });
    r.True("it waits", !waiter.returned());
    r.Call("kill", kill(waiter.pid(), SIGUSR1));
    r.Errno("F_SETLKW", waiter.Wait(), EINTR);
    r.Equal("locks", Locks(fd.get()), "W 0-9");
  });
  registry.Add("range_lock/waits/one that is killed takes nothing", [](Report& r) {
    const Fd fd = MakeLockFile(r);
    r.Call("hold", Lock(fd.get(), kWriteLock));
    Waiter waiter([&] { return LockErrno(fd.get(), kWriteLock, F_SETLKW); });
    r.Call("kill", kill(waiter.pid(), SIGKILL));
    r.Equal("its value", waiter.Wait(), kKilled);
    r.Call("unlock", Lock(fd.get(), kUnlock));
    r.Equal("locks", Locks(fd.get()), "");
    r.Errno("another", LockInChild(fd.get(), kWriteLock), 0);
  });
  registry.Add("range_lock/waits/a deadlock is told", [](Report& r) {
    const Fd fd = MakeLockFile(r);
    r.Call("hold the first", Lock(fd.get(), {F_WRLCK, 0, 1}));
    Waiter waiter([&] {
      if (const int error = LockErrno(fd.get(), {F_WRLCK, 1, 1}); error != 0) return error;
      return LockErrno(fd.get(), {F_WRLCK, 0, 1}, F_SETLKW);
    });
    r.True("the peer waits", !waiter.returned());
    // Where deadlocks are not found, the signal ends the wait.
    struct sigaction action = {};
    action.sa_handler = [](int) {};
    sigaction(SIGALRM, &action, nullptr);
    alarm(2);
    const int error = LockErrno(fd.get(), {F_WRLCK, 1, 1}, F_SETLKW);
    alarm(0);
    signal(SIGALRM, SIG_DFL);
    if (error == EINTR) {
      r.Unsupported("deadlocks are not found");
    } else {
      r.Errno("F_SETLKW", error, EDEADLK);
    }
    r.Call("unlock the first", Lock(fd.get(), {F_UNLCK, 0, 1}));
    r.Errno("the peer is granted it", waiter.Wait(), 0);
  });
}

}  // namespace

void AddRangeLockHolderChecks(Registry& registry) {
  AddConversions(registry);
  AddHolders(registry);
  AddWaits(registry);
}

}  // namespace posix_check
