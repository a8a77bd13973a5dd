// Locks of whole files by flock(2): they belong to the open file description.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <string>

#include "tests/semantics/areas.h"
#include "tests/semantics/files.h"
#include "tests/semantics/process.h"
#include "tests/semantics/waiter.h"

namespace posix_check {
namespace {

int Try(int fd, int operation) { return flock(fd, operation | LOCK_NB); }
// Of an open of its own.
int TryOpen(const std::string& path, int operation, int flags = O_RDWR) {
  const Fd own = Open(path, flags);
  return own.get() < 0 ? -1 : Try(own.get(), operation);
}

struct Held {
  const char* name;
  int operation;
};

constexpr Held kHeld[] = {{"nothing", LOCK_UN}, {"shared", LOCK_SH}, {"exclusive", LOCK_EX}};
constexpr Held kAsked[] = {{"shared", LOCK_SH}, {"exclusive", LOCK_EX}};

int Conflict(int held, int asked) {
  return held == LOCK_EX || (held == LOCK_SH && asked == LOCK_EX) ? EWOULDBLOCK : 0;
}

void AddMatrix(Registry& registry) {
  for (const Held& held : kHeld) {
    for (const Held& asked : kAsked) {
      const std::string names = std::string(held.name) + " held, " + asked.name + " asked";
      const int want = Conflict(held.operation, asked.operation);
      registry.Add("file_lock/two processes/" + names, [held, asked, want](Report& r) {
        r.Call("make", MakeFile("file"));
        const Fd fd = Open("file", O_RDWR);
        r.Call("hold", Try(fd.get(), held.operation));
        r.Errno("another process",
                RunInChild([&] { return ErrnoOf(TryOpen("file", asked.operation)); }), want);
        r.Call("the holder is not held off by what is gone", Try(fd.get(), LOCK_EX));
      });
      registry.Add("file_lock/two opens/" + names, [held, asked, want](Report& r) {
        r.Call("make", MakeFile("file"));
        const Fd fd = Open("file", O_RDWR);
        const Fd other = Open("file", O_RDWR);
        r.Call("hold", Try(fd.get(), held.operation));
        r.Call("another open", Try(other.get(), asked.operation), want);
        r.Call("unlock", flock(fd.get(), LOCK_UN));
        r.Call("another open afterwards", Try(other.get(), asked.operation));
      });
    }
  }
}

// One open goes from a lock to another while a second open holds `other`; what a third one then
// finds.
struct Conversion {
  const char* name;
  int from;
  int other;
  int to;
  int want;
  int third_shared;
};

const Conversion kConversions[] = {
    {"to exclusive", LOCK_SH, LOCK_UN, LOCK_EX, 0, EWOULDBLOCK},
    {"to shared", LOCK_EX, LOCK_UN, LOCK_SH, 0, 0},
    {"shared again", LOCK_SH, LOCK_UN, LOCK_SH, 0, 0},
    {"exclusive again", LOCK_EX, LOCK_UN, LOCK_EX, 0, EWOULDBLOCK},
    {"to exclusive beside a shared one", LOCK_SH, LOCK_SH, LOCK_EX, EWOULDBLOCK, 0},
    {"to none", LOCK_EX, LOCK_UN, LOCK_UN, 0, 0},
    {"from none to none", LOCK_UN, LOCK_UN, LOCK_UN, 0, 0},
    {"to none does not touch another's", LOCK_SH, LOCK_SH, LOCK_UN, 0, 0},
};

// What becomes of an exclusive lock.
struct Event {
  const char* name;
  int (*run)(Fd& fd);
  bool held;
};

int Done(int child_value) { return child_value == 0 ? 0 : -1; }

const Event kEvents[] = {
    {"nothing", [](Fd&) { return 0; }, true},
    {"closing the descriptor", [](Fd& fd) { return fd.Close(), 0; }, false},
    {"closing a duplicate", [](Fd& fd) { return close(dup(fd.get())); }, true},
    {"closing all but a duplicate",
     [](Fd& fd) {
       Fd copy(dup(fd.get()));
       fd = std::move(copy);
       return 0;
     },
     true},
    {"closing another open", [](Fd&) { return Open("file", O_RDWR).get() < 0 ? -1 : 0; }, true},
    {"unlocking a duplicate",
     [](Fd& fd) {
       const Fd copy(dup(fd.get()));
       return flock(copy.get(), LOCK_UN);
     },
     false},
    {"locking a duplicate shared",
     [](Fd& fd) {
       const Fd copy(dup(fd.get()));
       return Try(copy.get(), LOCK_SH);
     },
     true},
    {"unlocking another open", [](Fd&) { return TryOpen("file", LOCK_UN); }, true},
    {"unlocking in a child",
     [](Fd& fd) { return Done(RunInChild([&] { return ErrnoOf(flock(fd.get(), LOCK_UN)); })); },
     false},
    {"locking again in a child",
     [](Fd& fd) { return Done(RunInChild([&] { return ErrnoOf(Try(fd.get(), LOCK_EX)); })); },
     true},
    {"a child that ends", [](Fd&) { return Done(RunInChild([] { return 0; })); }, true},
    {"a child that closes it",
     [](Fd& fd) { return Done(RunInChild([&] { return ErrnoOf(close(fd.get())); })); }, true},
    {"rename", [](Fd&) { return rename("file", "renamed"); }, true},
    {"truncate", [](Fd&) { return truncate("file", 0); }, true},
    {"unlink of one name", [](Fd&) { return unlink("file"); }, true},
    {"a range unlock",
     [](Fd& fd) {
       struct flock range = {};
       range.l_type = F_UNLCK;
       return fcntl(fd.get(), F_SETLK, &range);
     },
     true},
};

void AddEvents(Registry& registry) {
  for (const Conversion& one : kConversions) {
    registry.Add(std::string("file_lock/conversion/") + one.name, [&one](Report& r) {
      r.Call("make", MakeFile("file"));
      const Fd fd = Open("file", O_RDWR);
      const Fd other = Open("file", O_RDWR);
      r.Call("from", Try(fd.get(), one.from));
      r.Call("the other", Try(other.get(), one.other));
      r.Call("to", Try(fd.get(), one.to), one.want);
      r.Call("a third asks shared", TryOpen("file", LOCK_SH), one.third_shared);
    });
  }
  for (const Event& one : kEvents) {
    registry.Add(std::string("file_lock/event/") + one.name, [&one](Report& r) {
      r.Call("make", MakeFile("file"));
      r.Call("link", link("file", "link"));
      Fd fd = Open("file", O_RDWR);
      r.Call("lock", Try(fd.get(), LOCK_EX));
      r.Call(one.name, one.run(fd));
      r.Call("another asks", TryOpen("link", LOCK_EX), one.held ? EWOULDBLOCK : 0);
    });
  }
}

// A lock on an open of this kind.
struct Access {
  const char* name;
  const char* path;
  int flags;
  int operation;
  int want;
};

const Access kAccesses[] = {
    {"exclusive, reading", "file", O_RDONLY, LOCK_EX, 0},
    {"shared, reading", "file", O_RDONLY, LOCK_SH, 0},
    {"exclusive, writing", "file", O_WRONLY, LOCK_EX, 0},
    {"shared, writing", "file", O_WRONLY, LOCK_SH, 0},
    {"exclusive, a directory", "d", O_RDONLY | O_DIRECTORY, LOCK_EX, 0},
    {"shared, a directory", "d", O_RDONLY | O_DIRECTORY, LOCK_SH, 0},
    {"path only", "file", O_PATH, LOCK_SH, EBADF},
    {"no descriptor", "absent", O_RDONLY, LOCK_SH, EBADF},
    {"no operation", "file", O_RDWR, 0, EINVAL},
    {"two operations", "file", O_RDWR, LOCK_SH | LOCK_EX, EINVAL},
    {"shared and unlock", "file", O_RDWR, LOCK_SH | LOCK_UN, EINVAL},
    {"unknown operation", "file", O_RDWR, 0x1000, EINVAL},
};

void AddAccesses(Registry& registry) {
  for (const Access& one : kAccesses) {
    registry.Add(std::string("file_lock/access/") + one.name, [&one](Report& r) {
      r.Call("file", MakeFile("file"));
      r.Call("d", mkdir("d", 0755));
      const Fd fd = Open(one.path, one.flags);
      if (!r.Call(one.name, Try(fd.get(), one.operation), one.want) || one.want != 0) return;
      r.Call("another open, exclusive", TryOpen(one.path, LOCK_EX, O_RDONLY), EWOULDBLOCK);
      r.Call("another open, shared", TryOpen(one.path, LOCK_SH, O_RDONLY),
             Conflict(one.operation, LOCK_SH));
    });
  }
  registry.Add("file_lock/access/another user's reading open", [](Report& r) {
    r.Call("make", MakeFile("file"));
    const Fd fd = Open("file", O_RDWR);
    r.Errno("while free", RunAs(kOther, [] { return ErrnoOf(TryOpen("file", LOCK_EX, O_RDONLY)); }),
            0);
    r.Call("lock", Try(fd.get(), LOCK_SH));
    r.Errno("while held", RunAs(kOther, [] { return ErrnoOf(TryOpen("file", LOCK_EX, O_RDONLY)); }),
            EWOULDBLOCK);
  });
  registry.Add("file_lock/access/a file and its directory do not conflict", [](Report& r) {
    r.Call("make", MakeFile("file"));
    const Fd fd = Open(".", O_RDONLY | O_DIRECTORY);
    r.Call("directory", Try(fd.get(), LOCK_EX));
    r.Call("file", TryOpen("file", LOCK_EX));
  });
  registry.Add("file_lock/access/an unlinked file and its successor do not conflict",
               [](Report& r) {
                 r.Call("make", MakeFile("file"));
                 const Fd fd = Open("file", O_RDWR);
                 r.Call("lock", Try(fd.get(), LOCK_EX));
                 r.Call("unlink", unlink("file"));
                 r.Call("make anew", MakeFile("file"));
                 r.Call("the new one", TryOpen("file", LOCK_EX));
               });
}

void AddIndependence(Registry& registry) {
  static constexpr struct {
    const char* name;
    int command;
  } kCommands[] = {{"POSIX", F_SETLK}, {"OFD", F_OFD_SETLK}};
  for (const auto& one : kCommands) {
    registry.Add(std::string("file_lock/independent of range locks/") + one.name, [one](Report& r) {
      r.Call("make", MakeFile("file"));
      const Fd fd = Open("file", O_RDWR);
      struct flock range = {};
      range.l_type = F_WRLCK;
      r.Call("flock", Try(fd.get(), LOCK_EX));
      r.Errno("a range lock of another process", RunInChild([&] {
                return ErrnoOf(fcntl(Open("file", O_RDWR).get(), one.command, &range));
              }),
              0);
      r.Call("unlock", flock(fd.get(), LOCK_UN));
      r.Call("a range lock", fcntl(fd.get(), one.command, &range));
      r.Errno("a flock of another process",
              RunInChild([] { return ErrnoOf(TryOpen("file", LOCK_EX)); }), 0);
    });
  }
}

struct Wait {
  const char* name;
  int held;
  int asked;
  int (*release)(Fd& fd);
};

const Wait kWaits[] = {
    {"exclusive for exclusive", LOCK_EX, LOCK_EX, [](Fd& fd) { return flock(fd.get(), LOCK_UN); }},
    {"shared for exclusive", LOCK_EX, LOCK_SH, [](Fd& fd) { return flock(fd.get(), LOCK_UN); }},
    {"exclusive for shared", LOCK_SH, LOCK_EX, [](Fd& fd) { return flock(fd.get(), LOCK_UN); }},
    {"shared for a conversion", LOCK_EX, LOCK_SH, [](Fd& fd) { return flock(fd.get(), LOCK_SH); }},
    {"for the last close", LOCK_EX, LOCK_EX, [](Fd& fd) { return fd.Close(), 0; }},
};

void AddWaits(Registry& registry) {
  // The waiting process would keep the description, and so the lock, that it has inherited.
  static constexpr auto kAsk = [](Fd& inherited, int operation) {
    inherited.Close();
    return ErrnoOf(flock(Open("file", O_RDWR).get(), operation));
  };
  for (const Wait& one : kWaits) {
    registry.Add(std::string("file_lock/waits/") + one.name, [&one](Report& r) {
      r.Call("make", MakeFile("file"));
      Fd fd = Open("file", O_RDWR);
      r.Call("hold", Try(fd.get(), one.held));
      CheckWaits(
          r, [&] { return kAsk(fd, one.asked); }, [&] { return ErrnoOf(one.release(fd)); });
    });
  }
  registry.Add("file_lock/waits/for a process that is killed", [](Report& r) {
    r.Call("make", MakeFile("file"));
    Peer holder([](const std::function<void()>& pause) {
      const Fd fd = Open("file", O_RDWR);
      const int error = ErrnoOf(Try(fd.get(), LOCK_EX));
      pause();
      return error;
    });
    r.True("the peer holds it", holder.AwaitPause());
    CheckWaits(
        r, [] { return ErrnoOf(flock(Open("file", O_RDWR).get(), LOCK_EX)); },
        [&] { return kill(holder.pid(), SIGKILL), holder.Wait() == kKilled ? 0 : EIO; });
  });
  registry.Add("file_lock/waits/a signal interrupts", [](Report& r) {
    r.Call("make", MakeFile("file"));
    Fd fd = Open("file", O_RDWR);
    r.Call("hold", Try(fd.get(), LOCK_EX));
    Waiter waiter([&] {
      struct sigaction action = {};
      action.sa_handler = [](int) {};
      sigaction(SIGUSR1, &action, nullptr);
      return kAsk(fd, LOCK_EX);
    });
    r.True("it waits", !waiter.returned());
    r.Call("kill", kill(waiter.pid(), SIGUSR1));
    r.Errno("flock", waiter.Wait(), EINTR);
    r.Call("it is still held", TryOpen("file", LOCK_SH), EWOULDBLOCK);
  });
  registry.Add("file_lock/waits/one that is killed takes nothing", [](Report& r) {
    r.Call("make", MakeFile("file"));
    Fd fd = Open("file", O_RDWR);
    r.Call("hold", Try(fd.get(), LOCK_EX));
    Waiter waiter([&] { return kAsk(fd, LOCK_EX); });
    r.Call("kill", kill(waiter.pid(), SIGKILL));
    r.Equal("its value", waiter.Wait(), kKilled);
    r.Call("unlock", flock(fd.get(), LOCK_UN));
    r.Call("another", TryOpen("file", LOCK_EX));
  });
}

}  // namespace

void AddFileLockChecks(Registry& registry) {
  AddMatrix(registry);
  AddEvents(registry);
  AddAccesses(registry);
  AddIndependence(registry);
  AddWaits(registry);
}

}  // namespace posix_check
