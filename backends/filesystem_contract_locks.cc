// What the contract says of locks.
#include <fcntl.h>

#include <memory>
#include <thread>
#include <vector>

#include "backends/filesystem_contract.h"

namespace fsd::backends {
namespace {

using Waiting = std::unique_ptr<StartedCall<void>>;

FileLock Range(uint64_t first, uint64_t last, uint32_t type, uint32_t pid = 0) {
  return {.first = first, .last = last, .type = type, .pid = pid};
}
FileLock Whole(uint32_t type) { return Range(0, INT64_MAX, type); }

LockOptions Owner(uint64_t owner) { return {.owner = owner}; }
LockOptions Waits(uint64_t owner) { return {.owner = owner, .wait = true}; }
constexpr LockOptions kFlock{.owner = 1, .flock = true};

TEST_P(FilesystemContract, LocksAreServedAsDeclared) {
  const CreatedFile file = Must(fs.Create(kRoot, "file", O_RDWR));
  const NodeId node = file.entry.node;
  EXPECT_EQ(fs.SetLock(node, file.handle, Whole(F_WRLCK), Owner(1)).ok(), features().locks);
  if (features().locks) return;
  EXPECT_ERRNO(fs.SetLock(node, file.handle, Whole(F_WRLCK), Owner(1)), ENOSYS);
  EXPECT_ERRNO(fs.SetLock(node, file.handle, Whole(F_WRLCK), kFlock), ENOSYS);
  EXPECT_ERRNO(fs.SetLock(node, file.handle, Whole(F_WRLCK), Waits(1)), ENOSYS);
  EXPECT_ERRNO(fs.GetLock(node, file.handle, 1, Whole(F_WRLCK)), ENOSYS);
}

TEST_P(LockContract, OwnersExcludeEachOtherWhereRangesMeet) {
  const CreatedFile file = Must(fs.Create(kRoot, "file", O_RDWR));
  const auto set = [&](uint64_t owner, const FileLock& lock) {
    return fs.SetLock(file.entry.node, file.handle, lock, Owner(owner));
  };
  EXPECT_SUCCESS(set(1, Range(0, 9, F_WRLCK)));
  EXPECT_ERRNO(set(2, Range(9, 10, F_RDLCK)), EAGAIN);
  EXPECT_SUCCESS(set(2, Range(10, 19, F_RDLCK)));
  EXPECT_SUCCESS(set(1, Range(15, 15, F_RDLCK)));
  EXPECT_ERRNO(set(1, Range(15, 15, F_WRLCK)), EAGAIN);
  EXPECT_SUCCESS(set(1, Range(5, 9, F_UNLCK)));
  EXPECT_SUCCESS(set(2, Range(5, 14, F_WRLCK)));
  EXPECT_ERRNO(set(2, Range(4, 4, F_WRLCK)), EAGAIN);
}

TEST_P(LockContract, GetLockTellsTheFirstInTheWay) {
  const CreatedFile file = Must(fs.Create(kRoot, "file", O_RDWR));
  const NodeId node = file.entry.node;
  EXPECT_SUCCESS(fs.SetLock(node, file.handle, Range(10, 19, F_WRLCK, 42), Owner(1)));
  EXPECT_SUCCESS(fs.SetLock(node, file.handle, Range(30, 39, F_RDLCK, 43), Owner(2)));
  const FileLock held = Must(fs.GetLock(node, file.handle, 3, Whole(F_WRLCK)));
  EXPECT_EQ(held.first, 10u);
  EXPECT_EQ(held.last, 19u);
  EXPECT_EQ(held.type, static_cast<uint32_t>(F_WRLCK));
  EXPECT_EQ(held.pid, 42u);
  EXPECT_EQ(Must(fs.GetLock(node, file.handle, 1, Whole(F_WRLCK))).pid, 43u);
  EXPECT_EQ(Must(fs.GetLock(node, file.handle, 1, Whole(F_RDLCK))).type,
            static_cast<uint32_t>(F_UNLCK));
  EXPECT_ERRNO(fs.GetLock(node, file.handle, 1, Whole(F_UNLCK)), EINVAL);
}

TEST_P(LockContract, FlocksBelongToTheHandle) {
  const CreatedFile file = Must(fs.Create(kRoot, "file", O_RDWR));
  const NodeId node = file.entry.node;
  const FileHandle second = Must(fs.Open(node, O_RDONLY));
  EXPECT_SUCCESS(fs.SetLock(node, file.handle, Whole(F_RDLCK), kFlock));
  EXPECT_SUCCESS(fs.SetLock(node, second, Whole(F_RDLCK), kFlock));
  EXPECT_ERRNO(fs.SetLock(node, file.handle, Whole(F_WRLCK), kFlock), EAGAIN);
  EXPECT_SUCCESS(fs.Release(node, file.handle));
  EXPECT_SUCCESS(fs.SetLock(node, second, Whole(F_WRLCK), kFlock));
  // fcntl(2)'s are others.
  EXPECT_SUCCESS(fs.SetLock(node, second, Whole(F_RDLCK), Owner(1)));
}

TEST_P(LockContract, AHandleMustBeOpenForTheLock) {
  const Entry file = Must(fs.MakeFile(kRoot, "file", ""));
  const Entry other = Must(fs.MakeFile(kRoot, "other", ""));
  const FileHandle reader = Must(fs.Open(file.node, O_RDONLY));
  const FileHandle writer = Must(fs.Open(file.node, O_WRONLY));
  EXPECT_ERRNO(fs.SetLock(file.node, reader, Whole(F_WRLCK), Owner(1)), EBADF);
  EXPECT_ERRNO(fs.SetLock(file.node, writer, Whole(F_RDLCK), Owner(1)), EBADF);
  EXPECT_ERRNO(fs.SetLock(other.node, reader, Whole(F_RDLCK), Owner(1)), EBADF);
  EXPECT_ERRNO(fs.SetLock(file.node, kNoHandle, Whole(F_RDLCK), Owner(1)), EBADF);
  EXPECT_ERRNO(fs.GetLock(file.node, kNoHandle, 1, Whole(F_RDLCK)), EBADF);
}

TEST_P(LockContract, RangesThatAreNoneAreRefused) {
  const CreatedFile file = Must(fs.Create(kRoot, "file", O_RDWR));
  for (const FileLock& lock :
       {Range(1, 0, F_RDLCK), Range(0, ~uint64_t{0}, F_WRLCK), Range(0, 1, 42)}) {
    EXPECT_ERRNO(fs.SetLock(file.entry.node, file.handle, lock, Owner(1)), EINVAL);
    EXPECT_ERRNO(fs.GetLock(file.entry.node, file.handle, 1, lock), EINVAL);
  }
}

TEST_P(LockContract, FlushAndReleaseEndLocks) {
  const CreatedFile file = Must(fs.Create(kRoot, "file", O_RDWR));
  const NodeId node = file.entry.node;
  const FileHandle second = Must(fs.Open(node, O_RDWR));
  EXPECT_SUCCESS(fs.SetLock(node, file.handle, Range(0, 4, F_WRLCK), Owner(1)));
  EXPECT_SUCCESS(fs.SetLock(node, file.handle, Range(5, 9, F_WRLCK), Owner(2)));
  EXPECT_SUCCESS(fs.Flush(node, second, 1));
  EXPECT_SUCCESS(fs.SetLock(node, second, Range(0, 4, F_WRLCK), Owner(3)));
  EXPECT_ERRNO(fs.SetLock(node, second, Range(5, 9, F_WRLCK), Owner(3)), EAGAIN);
  EXPECT_SUCCESS(fs.Release(node, file.handle));
  EXPECT_SUCCESS(fs.SetLock(node, second, Range(5, 9, F_WRLCK), Owner(3)));
}

TEST_P(LockContract, WhoWaitsHasTheLockWhenItIsFree) {
  const CreatedFile file = Must(fs.Create(kRoot, "file", O_RDWR));
  const NodeId node = file.entry.node;
  const FileHandle second = Must(fs.Open(node, O_RDWR));
  EXPECT_SUCCESS(fs.SetLock(node, file.handle, Whole(F_WRLCK), Owner(1)));
  EXPECT_SUCCESS(fs.SetLock(node, file.handle, Whole(F_WRLCK), kFlock));
  const Waiting posix = fs.StartSetLock(node, file.handle, Range(0, 0, F_RDLCK), Waits(2));
  const Waiting flock =
      fs.StartSetLock(node, second, Whole(F_RDLCK), {.owner = 1, .flock = true, .wait = true});
  EXPECT_FALSE(posix->completed());
  EXPECT_FALSE(flock->completed());
  EXPECT_SUCCESS(fs.SetLock(node, file.handle, Whole(F_UNLCK), Owner(1)));
  EXPECT_SUCCESS(posix->Wait());
  EXPECT_FALSE(flock->completed());
  EXPECT_SUCCESS(fs.SetLock(node, file.handle, Whole(F_UNLCK), kFlock));
  EXPECT_SUCCESS(flock->Wait());
  EXPECT_ERRNO(fs.SetLock(node, file.handle, Whole(F_WRLCK), Owner(1)), EAGAIN);
}

TEST_P(LockContract, AllWhoWaitHaveTheirTurn) {
  constexpr uint64_t kOwners = 20;
  const CreatedFile file = Must(fs.Create(kRoot, "file", O_RDWR));
  const NodeId node = file.entry.node;
  std::vector<std::thread> threads;
  for (uint64_t owner = 1; owner <= kOwners; ++owner) {
    threads.emplace_back([&, owner] {
      const FilesystemDriver mine(fs.filesystem());
      EXPECT_SUCCESS(mine.SetLock(node, file.handle, Range(3, 7, F_WRLCK), Waits(owner)));
      EXPECT_SUCCESS(mine.Flush(node, file.handle, owner));
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_SUCCESS(fs.SetLock(node, file.handle, Whole(F_WRLCK), Owner(99)));
}

TEST_P(LockContract, ResetEndsLocksAndWaits) {
  const CreatedFile file = Must(fs.Create(kRoot, "file", O_RDWR));
  const NodeId node = file.entry.node;
  EXPECT_SUCCESS(fs.SetLock(node, file.handle, Whole(F_WRLCK), Owner(1)));
  EXPECT_SUCCESS(fs.SetLock(node, file.handle, Whole(F_WRLCK), kFlock));
  const Waiting call = fs.StartSetLock(node, file.handle, Whole(F_WRLCK), Waits(2));
  fs.filesystem().Reset();
  EXPECT_FALSE(call->Wait().ok());

  const Entry found = Must(fs.Lookup(kRoot, "file"));
  const FileHandle handle = Must(fs.Open(found.node, O_RDWR));
  EXPECT_SUCCESS(fs.SetLock(found.node, handle, Whole(F_WRLCK), Owner(2)));
  EXPECT_SUCCESS(fs.SetLock(found.node, handle, Whole(F_WRLCK), kFlock));
}

TEST_P(LockContract, WaitsMayBeEndedWithoutTheLocks) {
  const CreatedFile file = Must(fs.Create(kRoot, "file", O_RDWR));
  const NodeId node = file.entry.node;
  EXPECT_SUCCESS(fs.SetLock(node, file.handle, Whole(F_WRLCK), Owner(1)));
  const Waiting call = fs.StartSetLock(node, file.handle, Whole(F_WRLCK), Waits(2));
  // It may not have come to wait yet.
  while (!call->completed()) fs.filesystem().EndWaits();
  EXPECT_ERRNO(call->Wait(), EAGAIN);
  EXPECT_ERRNO(fs.SetLock(node, file.handle, Whole(F_WRLCK), Owner(2)), EAGAIN);
}

}  // namespace
}  // namespace fsd::backends
