// Locks of byte ranges that belong to an open file description (OFD): two opens conflict even in
// one process, and what shares the description shares the lock.
#include <fcntl.h>
#include <unistd.h>

#include <string>

#include "tests/semantics/files.h"
#include "tests/semantics/process.h"
#include "tests/semantics/range_lock.h"
#include "tests/semantics/waiter.h"

namespace posix_check {
namespace {

constexpr Range kReadLock = {F_RDLCK, 0, 10};
constexpr Range kWriteLock = {F_WRLCK, 0, 10};

struct Pair {
  short held;
  int hold;  // the command
  short asked;
  int ask;
  int want;
};

const Pair kPairs[] = {
    {F_RDLCK, F_OFD_SETLK, F_RDLCK, F_OFD_SETLK, 0},
    {F_RDLCK, F_OFD_SETLK, F_WRLCK, F_OFD_SETLK, EAGAIN},
    {F_WRLCK, F_OFD_SETLK, F_RDLCK, F_OFD_SETLK, EAGAIN},
    {F_WRLCK, F_OFD_SETLK, F_WRLCK, F_OFD_SETLK, EAGAIN},
    {F_RDLCK, F_OFD_SETLK, F_RDLCK, F_SETLK, 0},
    {F_RDLCK, F_OFD_SETLK, F_WRLCK, F_SETLK, EAGAIN},
    {F_WRLCK, F_OFD_SETLK, F_WRLCK, F_SETLK, EAGAIN},
    {F_RDLCK, F_SETLK, F_RDLCK, F_OFD_SETLK, 0},
    {F_WRLCK, F_SETLK, F_RDLCK, F_OFD_SETLK, EAGAIN},
    {F_WRLCK, F_SETLK, F_WRLCK, F_OFD_SETLK, EAGAIN},
};

std::string NameOf(short type, int command) {
  return std::string(command == F_SETLK ? "POSIX " : "OFD ") + Letter(type);
}

// What becomes of the lock of `fd` when something is done to it or to `other`, another open.
struct Event {
  const char* name;
  int (*run)(Fd& fd, Fd& other);
  bool held;
};

const Event kEvents[] = {
    {"nothing", [](Fd&, Fd&) { return 0; }, true},
    {"closing its only descriptor", [](Fd& fd, Fd&) { return fd.Close(), 0; }, false},
    {"closing another open", [](Fd&, Fd& other) { return other.Close(), 0; }, true},
    {"closing a duplicate", [](Fd& fd, Fd&) { return close(dup(fd.get())); }, true},
    {"closing all but a duplicate",
     [](Fd& fd, Fd&) {
       Fd copy(dup(fd.get()));
       fd = std::move(copy);
       return 0;
     },
     true},
    {"unlocking through a duplicate",
     [](Fd& fd, Fd&) {
       const Fd copy(dup(fd.get()));
       return Lock(copy.get(), {F_UNLCK}, F_OFD_SETLK);
     },
     false},
    {"unlocking through another open",
     [](Fd&, Fd& other) { return Lock(other.get(), {F_UNLCK}, F_OFD_SETLK); }, true},
    {"unlocking in a child",
     [](Fd& fd, Fd&) { return LockInChild(fd.get(), {F_UNLCK}, F_OFD_SETLK) == 0 ? 0 : -1; },
     false},
    {"a child that ends", [](Fd&, Fd&) { return RunInChild([] { return 0; }) == 0 ? 0 : -1; },
     true},
    {"a POSIX unlock", [](Fd& fd, Fd&) { return Lock(fd.get(), {F_UNLCK}, F_SETLK); }, true},
};

}  // namespace

void AddDescriptionLockChecks(Registry& registry) {
  for (const Pair& pair : kPairs) {
    registry.Add("range_lock/description/" + NameOf(pair.held, pair.hold) + " held, " +
                     NameOf(pair.asked, pair.ask) + " asked",
                 [&pair](Report& r) {
                   const Fd fd = MakeLockFile(r);
                   const Fd other = Open("file", O_RDWR);
                   r.Call("hold", Lock(fd.get(), {pair.held, 0, 10}, pair.hold));
                   r.Call("beside it", Lock(other.get(), {pair.asked, 10, 5}, pair.ask));
                   r.Call("over it", Lock(other.get(), {pair.asked, 5, 10}, pair.ask), pair.want);
                 });
  }
  for (const Event& one : kEvents) {
    registry.Add(std::string("range_lock/description/event/") + one.name, [&one](Report& r) {
      Fd fd = MakeLockFile(r);
      Fd other = Open("file", O_RDWR);
      r.Call("lock", Lock(fd.get(), kWriteLock, F_OFD_SETLK));
      r.Call(one.name, one.run(fd, other));
      const Fd third = Open("file", O_RDWR);
      r.Call("another open asks", Lock(third.get(), kReadLock, F_OFD_SETLK), one.held ? EAGAIN : 0);
    });
  }
  registry.Add("range_lock/description/F_OFD_GETLK names no process", [](Report& r) {
    const Fd fd = MakeLockFile(r);
    const Fd other = Open("file", O_RDWR);
    r.Call("lock", Lock(fd.get(), {F_WRLCK, 10, 10}, F_OFD_SETLK));
    r.Equal("OFD lock, OFD asked", Ask(other.get(), {F_RDLCK}, F_OFD_GETLK), "W 10-19 of -1");
    r.Equal("OFD lock, POSIX asked", Ask(other.get(), {F_RDLCK}), "W 10-19 of -1");
    r.Equal("its own", Ask(fd.get(), {F_RDLCK}, F_OFD_GETLK), "none");
    r.Equal("in a child", AskInChild(fd.get(), {F_RDLCK}, F_OFD_GETLK), "none");
  });
  registry.Add("range_lock/description/F_OFD_GETLK names a POSIX lock's process", [](Report& r) {
    const Fd fd = MakeLockFile(r);
    const Fd other = Open("file", O_RDWR);
    r.Call("lock", Lock(fd.get(), kWriteLock));
    r.Equal("POSIX lock, OFD asked", Ask(other.get(), {F_RDLCK}, F_OFD_GETLK),
            "W 0-9 of " + std::to_string(getpid()));
  });
  registry.Add("range_lock/description/a process id that is set is refused", [](Report& r) {
    const Fd fd = MakeLockFile(r);
    for (const int command : {F_OFD_SETLK, F_OFD_SETLKW, F_OFD_GETLK}) {
      struct flock lock = LockOf(kWriteLock);
      lock.l_pid = getpid();
      r.Call("fcntl", fcntl(fd.get(), command, &lock), EINVAL);
    }
  });
  registry.Add("range_lock/description/ranges split and merge", [](Report& r) {
    const Fd fd = MakeLockFile(r);
    r.Call("lock", Lock(fd.get(), {F_WRLCK, 0, 30}, F_OFD_SETLK));
    r.Call("unlock the middle", Lock(fd.get(), {F_UNLCK, 10, 10}, F_OFD_SETLK));
    r.Equal("locks", Locks(fd.get()), "W 0-9 W 20-29");
    r.Call("fill the gap", Lock(fd.get(), {F_WRLCK, 10, 10}, F_OFD_SETLK));
    r.Equal("locks", Locks(fd.get()), "W 0-29");
  });
  registry.Add("range_lock/description/waits for another open", [](Report& r) {
    const Fd fd = MakeLockFile(r);
    r.Call("lock", Lock(fd.get(), kWriteLock, F_OFD_SETLK));
    CheckWaits(
        r, [] { return LockErrno(Open("file", O_RDWR).get(), kWriteLock, F_OFD_SETLKW); },
        [&] { return LockErrno(fd.get(), {F_UNLCK}, F_OFD_SETLK); });
  });
  registry.Add("range_lock/description/waits for the last close", [](Report& r) {
    Fd fd = MakeLockFile(r);
    Fd copy(dup(fd.get()));
    r.Call("lock", Lock(fd.get(), kWriteLock, F_OFD_SETLK));
    // The waiting process must not keep the description open itself.
    const auto ask = [&] {
      fd.Close();
      copy.Close();
      return LockErrno(Open("file", O_RDWR).get(), kWriteLock, F_OFD_SETLKW);
    };
    CheckWaits(r, ask, [&] { return fd.Close(), copy.Close(), 0; });
  });
}

}  // namespace posix_check
