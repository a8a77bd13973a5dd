// FileLocks: the locks on one file of the memory file system, and who waits for one.
//
// Who waits is served in the order of arrival, when what is in the way has gone; there is no other
// limit to a wait. Not thread-safe; its owner locks, and completes what has become due when it has
// unlocked.
#ifndef FSD_BACKENDS_MEMORY_FILE_LOCKS_H_
#define FSD_BACKENDS_MEMORY_FILE_LOCKS_H_

#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <utility>
#include <vector>

#include "backends/filesystem.h"
#include "backends/lock_ranges.h"
#include "server/errors/errno_or.h"

namespace fsd::memory {

// Completions to be made. Declare it before the lock, so that its destructor makes them behind it.
class DueCompletions {
 public:
  DueCompletions() = default;
  DueCompletions(const DueCompletions&) = delete;
  DueCompletions& operator=(const DueCompletions&) = delete;
  ~DueCompletions() {
    for (auto& [completion, result] : due_) completion(result);
  }
  void Add(backends::Completion<void> completion, ErrnoOr<void> result) {
    due_.emplace_back(std::move(completion), result);
  }

 private:
  std::vector<std::pair<backends::Completion<void>, ErrnoOr<void>>> due_;
};

class FileLocks {
 public:
  // What all files of one file system may hold together: ranges, flock(2) locks and waiters.
  struct Budget {
    size_t limit = 0;
    size_t used = 0;
  };
  struct Request {
    backends::FileHandle handle{};
    backends::FileLock lock;
    backends::LockOptions options;
  };

  explicit FileLocks(Budget& budget) : budget_(budget) {}
  FileLocks(const FileLocks&) = delete;
  FileLocks& operator=(const FileLocks&) = delete;

  // EAGAIN: another's is in the way; ENOLCK: the budget.
  ErrnoOr<void> Set(const Request& request, DueCompletions& due);
  // Keeps `call` until Set() would succeed. ENOLCK: the budget.
  backends::Outcome<void> Wait(const Request& request, const backends::Call<void>& call);
  // As Filesystem::GetLock().
  backends::FileLock Find(uint64_t owner, const backends::FileLock& lock) const;

  void DropOwner(uint64_t owner, DueCompletions& due);
  // Drops the handle's flock(2) lock, and what owners hold whose first lock came through it; ends
  // its waits (EBADF).
  void DropHandle(backends::FileHandle handle, DueCompletions& due);
  void EndWaits(Errno error, DueCompletions& due);

 private:
  struct Owner {
    backends::FileHandle handle{};
    uint32_t pid = 0;
    backends::LockRanges ranges;
  };
  using Owners = std::map<uint64_t, Owner>;
  struct Waiter {
    Request request;
    backends::Completion<void> completion;
  };

  ErrnoOr<void> Try(const Request& request);
  ErrnoOr<void> TryFlock(const Request& request);
  ErrnoOr<void> TryPosix(const Request& request);
  Owners::iterator Erase(Owners::iterator owner);
  void Grant(DueCompletions& due);

  Budget& budget_;
  Owners owners_;
  std::map<backends::FileHandle, uint32_t> flocks_;  // the type
  std::list<Waiter> waiters_;
};

}  // namespace fsd::memory

#endif  // FSD_BACKENDS_MEMORY_FILE_LOCKS_H_
