// Locks of byte ranges that belong to a process (POSIX): what conflicts with what, which ranges are
// held after several calls, and what releases them.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "tests/semantics/areas.h"
#include "tests/semantics/files.h"
#include "tests/semantics/process.h"
#include "tests/semantics/range_lock.h"

namespace posix_check {
namespace {

constexpr short kTypes[] = {F_RDLCK, F_WRLCK};

// Against a lock of [100, 199].
struct Position {
  const char* name;
  off_t start;
  off_t length;
  bool overlaps;
};

const Position kPositions[] = {
    {"far before", 0, 50, false},
    {"up to its start", 50, 50, false},
    {"its first byte", 100, 1, true},
    {"over its start", 50, 51, true},
    {"the same", 100, 100, true},
    {"inside", 140, 20, true},
    {"around", 0, 1000, true},
    {"over its end", 199, 100, true},
    {"from its end on", 200, 50, false},
    {"to the end of the file", 150, 0, true},
    {"the whole file", 0, 0, true},
    {"what comes after", 200, 0, false},
    {"backwards onto it", 250, -51, true},
    {"backwards up to it", 250, -50, false},
};

void AddMatrix(Registry& registry) {
  for (const short held : kTypes) {
    for (const short asked : kTypes) {
      for (const Position& at : kPositions) {
        registry.Add(std::string("range_lock/") + Letter(held) + " held, " + Letter(asked) +
                         " asked/" + at.name,
                     [held, asked, &at](Report& r) {
                       const Fd fd = MakeLockFile(r);
                       const bool conflict = at.overlaps && (held == F_WRLCK || asked == F_WRLCK);
                       const std::string whole = Describe(LockOf({held, 100, 100}));
                       const Range range = {asked, at.start, at.length};
                       r.Call("hold", Lock(fd.get(), {held, 100, 100}));
                       r.Equal("F_GETLK of another process", AskInChild(fd.get(), range),
                               conflict ? whole + " of " + std::to_string(getpid()) : "none");
                       r.Errno("F_SETLK of another process", LockInChild(fd.get(), range),
                               conflict ? EAGAIN : 0);
                       r.Equal("locks afterwards", Locks(fd.get()), whole);
                       r.Equal("one's own locks do not conflict", Ask(fd.get(), range), "none");
                     });
      }
    }
  }
}

struct Sequence {
  const char* name;
  std::vector<Range> steps;
  const char* locks;
};

const Sequence kSequences[] = {
    {"unlock the middle", {{F_WRLCK, 0, 30}, {F_UNLCK, 10, 10}}, "W 0-9 W 20-29"},
    {"unlock the start", {{F_WRLCK, 0, 30}, {F_UNLCK, 0, 10}}, "W 10-29"},
    {"unlock the end", {{F_WRLCK, 0, 30}, {F_UNLCK, 20, 10}}, "W 0-19"},
    {"unlock more than it", {{F_WRLCK, 10, 10}, {F_UNLCK, 0, 30}}, ""},
    {"unlock what is free", {{F_WRLCK, 10, 10}, {F_UNLCK, 50, 30}}, "W 10-19"},
    {"unlock all", {{F_WRLCK, 10, 10}, {F_RDLCK, 30, 5}, {F_UNLCK, 0, 0}}, ""},
    {"unlock with nothing held", {{F_UNLCK, 0, 0}}, ""},
    {"unlock a tail without end", {{F_WRLCK, 0, 0}, {F_UNLCK, 100, 0}}, "W 0-99"},
    {"unlock inside what has no end", {{F_WRLCK, 0, 0}, {F_UNLCK, 5, 5}}, "W 0-4 W 10-end"},
    {"unlock backwards", {{F_WRLCK, 0, 30}, {F_UNLCK, 20, -10}}, "W 0-9 W 20-29"},
    {"adjacent ones merge", {{F_WRLCK, 0, 10}, {F_WRLCK, 10, 10}}, "W 0-19"},
    {"adjacent ones merge from behind", {{F_RDLCK, 10, 10}, {F_RDLCK, 0, 10}}, "R 0-19"},
    {"overlapping ones merge", {{F_WRLCK, 0, 15}, {F_WRLCK, 10, 20}}, "W 0-29"},
    {"a gap is filled", {{F_WRLCK, 0, 9}, {F_WRLCK, 20, 9}, {F_WRLCK, 9, 11}}, "W 0-28"},
    {"a gap stays", {{F_WRLCK, 0, 10}, {F_WRLCK, 11, 10}}, "W 0-9 W 11-20"},
    {"inside what is held", {{F_WRLCK, 0, 30}, {F_WRLCK, 10, 5}}, "W 0-29"},
    {"around what is held", {{F_WRLCK, 10, 5}, {F_WRLCK, 0, 30}}, "W 0-29"},
    {"unlike neighbours do not merge", {{F_WRLCK, 0, 10}, {F_RDLCK, 10, 10}}, "W 0-9 R 10-19"},
    {"downgrade all", {{F_WRLCK, 0, 30}, {F_RDLCK, 0, 30}}, "R 0-29"},
    {"upgrade all", {{F_RDLCK, 0, 30}, {F_WRLCK, 0, 30}}, "W 0-29"},
    {"downgrade the middle", {{F_WRLCK, 0, 30}, {F_RDLCK, 10, 10}}, "W 0-9 R 10-19 W 20-29"},
    {"upgrade the start", {{F_RDLCK, 0, 30}, {F_WRLCK, 0, 10}}, "W 0-9 R 10-29"},
    {"downgrade and back", {{F_WRLCK, 0, 30}, {F_RDLCK, 9, 9}, {F_WRLCK, 9, 9}}, "W 0-29"},
    {"over several", {{F_RDLCK, 0, 9}, {F_WRLCK, 20, 9}, {F_RDLCK, 5, 20}}, "R 0-24 W 25-28"},
};

// The file has 1000 bytes and the descriptor stands at 300.
struct Placement {
  const char* name;
  Range range;
  const char* locks;
};

const Placement kPlacements[] = {
    {"from the position", {F_WRLCK, 0, 10, SEEK_CUR}, "W 300-309"},
    {"before the position", {F_WRLCK, -100, 50, SEEK_CUR}, "W 200-249"},
    {"from the position on", {F_RDLCK, 0, 0, SEEK_CUR}, "R 300-end"},
    {"backwards from the position", {F_WRLCK, 0, -300, SEEK_CUR}, "W 0-299"},
    {"from the end on", {F_WRLCK, 0, 0, SEEK_END}, "W 1000-end"},
    {"the last bytes", {F_WRLCK, -10, 10, SEEK_END}, "W 990-999"},
    {"behind the end", {F_WRLCK, 10, 10, SEEK_END}, "W 1010-1019"},
    {"backwards from the end", {F_WRLCK, 0, -1, SEEK_END}, "W 999-999"},
    {"backwards", {F_WRLCK, 100, -50}, "W 50-99"},
    {"over 2 GiB", {F_WRLCK, 0x7fffffff, 2}, "W 2147483647-2147483648"},
    {"over 4 GiB", {F_WRLCK, 0xffffffff, 2}, "W 4294967295-4294967296"},
    {"at 1 TiB", {F_WRLCK, off_t{1} << 40, 1}, "W 1099511627776-1099511627776"},
    {"the last byte but one",
     {F_WRLCK, kMaxOffset - 1, 1},
     "W 9223372036854775806-9223372036854775806"},
    {"the last byte", {F_WRLCK, kMaxOffset, 1}, "W 9223372036854775807-end"},
    {"all but the last byte", {F_WRLCK, 0, kMaxOffset}, "W 0-9223372036854775806"},
};

struct Invalid {
  const char* name;
  Range range;
  int want;
};

const Invalid kInvalid[] = {
    {"negative start", {F_WRLCK, -1, 1}, EINVAL},
    {"negative end", {F_WRLCK, 5, -6}, EINVAL},
    {"backwards from 0", {F_WRLCK, 0, -1}, EINVAL},
    {"before the start by the position", {F_WRLCK, -301, 1, SEEK_CUR}, EINVAL},
    {"before the start by the end", {F_WRLCK, -1001, 1, SEEK_END}, EINVAL},
    {"unknown whence", {F_WRLCK, 0, 1, 7}, EINVAL},
    {"unknown type", {9, 0, 1}, EINVAL},
    {"over the last byte", {F_WRLCK, kMaxOffset, 2}, EOVERFLOW},
    {"over the last byte by its length", {F_WRLCK, 2, kMaxOffset}, EOVERFLOW},
    {"over the last byte by the position", {F_WRLCK, kMaxOffset, 1, SEEK_CUR}, EOVERFLOW},
    {"over the last byte by the end", {F_WRLCK, kMaxOffset, 1, SEEK_END}, EOVERFLOW},
};

void AddRanges(Registry& registry) {
  for (const Sequence& one : kSequences) {
    registry.Add(std::string("range_lock/sequence/") + one.name, [&one](Report& r) {
      const Fd fd = MakeLockFile(r);
      for (const Range& step : one.steps) r.Call("step", Lock(fd.get(), step));
      r.Equal("locks", Locks(fd.get()), one.locks);
    });
  }
  for (const Placement& one : kPlacements) {
    registry.Add(std::string("range_lock/placement/") + one.name, [&one](Report& r) {
      const Fd fd = MakeLockFile(r);
      r.Equal("lseek", lseek(fd.get(), 300, SEEK_SET), 300);
      r.Call("lock", Lock(fd.get(), one.range));
      r.Equal("locks", Locks(fd.get()), one.locks);
      r.Equal("position", lseek(fd.get(), 0, SEEK_CUR), 300);
    });
  }
  for (const Invalid& one : kInvalid) {
    registry.Add(std::string("range_lock/invalid/") + one.name, [&one](Report& r) {
      const Fd fd = MakeLockFile(r);
      r.Equal("lseek", lseek(fd.get(), 300, SEEK_SET), 300);
      r.Call("F_SETLK", Lock(fd.get(), one.range), one.want);
      r.Call("F_GETLK", Lock(fd.get(), one.range, F_GETLK), one.want);
      r.Equal("locks", Locks(fd.get()), "");
    });
  }
}

struct Access {
  const char* name;
  const char* path;
  int flags;
  short type;
  int command;
  int want;
};

const Access kAccesses[] = {
    {"read lock, reading", "file", O_RDONLY, F_RDLCK, F_SETLK, 0},
    {"write lock, reading", "file", O_RDONLY, F_WRLCK, F_SETLK, EBADF},
    {"waiting write lock, reading", "file", O_RDONLY, F_WRLCK, F_SETLKW, EBADF},
    {"OFD write lock, reading", "file", O_RDONLY, F_WRLCK, F_OFD_SETLK, EBADF},
    {"unlock, reading", "file", O_RDONLY, F_UNLCK, F_SETLK, 0},
    {"asking for a write lock, reading", "file", O_RDONLY, F_WRLCK, F_GETLK, 0},
    {"read lock, writing", "file", O_WRONLY, F_RDLCK, F_SETLK, EBADF},
    {"OFD read lock, writing", "file", O_WRONLY, F_RDLCK, F_OFD_SETLK, EBADF},
    {"write lock, writing", "file", O_WRONLY, F_WRLCK, F_SETLK, 0},
    {"asking for a read lock, writing", "file", O_WRONLY, F_RDLCK, F_GETLK, 0},
    {"asking for no lock", "file", O_RDWR, F_UNLCK, F_GETLK, EINVAL},
    {"path only", "file", O_PATH, F_RDLCK, F_SETLK, EBADF},
    {"read lock of a directory", ".", O_RDONLY, F_RDLCK, F_SETLK, 0},
    {"write lock of a directory", ".", O_RDONLY, F_WRLCK, F_SETLK, EBADF},
    {"no descriptor", "absent", O_RDONLY, F_RDLCK, F_SETLK, EBADF},
};

void AddAccesses(Registry& registry) {
  for (const Access& one : kAccesses) {
    registry.Add(std::string("range_lock/access/") + one.name, [&one](Report& r) {
      const Fd made = MakeLockFile(r);
      const Fd fd = Open(one.path, one.flags);
      r.Call(one.name, Lock(fd.get(), {one.type, 0, 1}, one.command), one.want);
    });
  }
}

// What becomes of the write lock of the file's first 10 bytes when its holder does something.
struct Event {
  const char* name;
  int (*run)(Fd& fd);
  bool held;
};

int OpenAndClose(const char* path, int flags) { return Open(path, flags).get() < 0 ? -1 : 0; }

const Event kEvents[] = {
    {"nothing", [](Fd&) { return 0; }, true},
    {"closing the descriptor", [](Fd& fd) { return fd.Close(), 0; }, false},
    {"closing another open of it", [](Fd&) { return OpenAndClose("file", O_RDWR); }, false},
    {"closing a reading open of it", [](Fd&) { return OpenAndClose("file", O_RDONLY); }, false},
    {"closing an open of its other name", [](Fd&) { return OpenAndClose("link", O_RDWR); }, false},
    {"closing a path descriptor", [](Fd&) { return OpenAndClose("file", O_PATH); }, true},
    {"closing a duplicate", [](Fd& fd) { return close(dup(fd.get())); }, false},
    {"closing another file", [](Fd&) { return OpenAndClose("other", O_RDWR); }, true},
    {"stat by name", [](Fd&) { return Look("file").st_size == 1000 ? 0 : -1; }, true},
    {"truncate by name", [](Fd&) { return truncate("file", 0); }, true},
    {"rename", [](Fd&) { return rename("file", "renamed"); }, true},
    {"unlink of one name", [](Fd&) { return unlink("file"); }, true},
    {"chmod", [](Fd&) { return chmod("file", 0400); }, true},
    {"write", [](Fd& fd) { return write(fd.get(), "a", 1) == 1 ? 0 : -1; }, true},
    {"a child that closes it",
     [](Fd& fd) { return RunInChild([&] { return ErrnoOf(close(fd.get())); }) == 0 ? 0 : -1; },
     true},
    {"a child that unlocks", [](Fd& fd) { return LockInChild(fd.get(), {F_UNLCK}) == 0 ? 0 : -1; },
     true},
};

}  // namespace

void AddRangeLockChecks(Registry& registry) {
  AddMatrix(registry);
  AddRanges(registry);
  AddAccesses(registry);
  for (const Event& one : kEvents) {
    registry.Add(std::string("range_lock/event/") + one.name, [&one](Report& r) {
      Fd fd = MakeLockFile(r);
      r.Call("link", link("file", "link"));
      r.Call("other", MakeFile("other"));
      r.Call("lock", Lock(fd.get(), {F_WRLCK, 0, 10}));
      r.Call(one.name, one.run(fd));
      r.Errno("another process asks", RunInChild([] {
                return LockErrno(Open("link", O_RDWR).get(), {F_WRLCK, 5, 10});
              }),
              one.held ? EAGAIN : 0);
    });
  }
  AddRangeLockHolderChecks(registry);
  AddDescriptionLockChecks(registry);
}

}  // namespace posix_check
