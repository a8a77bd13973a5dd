// Locks of two sessions on one directory, and of this process as one of the host's.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/resource.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "backends/passthrough/passthrough_fixture.h"
#include "gtest/gtest.h"
#include "server/os/unique_fd.h"

namespace fsd::passthrough {
namespace {

using backends::FileLock;
using backends::FilesystemDriver;
using backends::LockOptions;
using Waiting = std::unique_ptr<backends::StartedCall<void>>;

constexpr uint64_t kEnd = INT64_MAX;

FileLock Range(uint64_t first, uint64_t last, uint32_t type, uint32_t pid = 0) {
  return {.first = first, .last = last, .type = type, .pid = pid};
}
FileLock Whole(uint32_t type) { return Range(0, kEnd, type); }

struct Session {
  explicit Session(std::unique_ptr<PassthroughFilesystem> served)
      : filesystem(std::move(served)), fs(*filesystem) {
    const auto found = fs.Lookup(backends::kRootNodeId, "file");
    EXPECT_TRUE(found.ok());
    if (found.ok()) node = found->node;
  }
  FileHandle Open(uint32_t flags = O_RDWR) { return Must(fs.Open(node, flags)); }
  // An fcntl(2) lock.
  ErrnoOr<void> Lock(FileHandle handle, uint64_t owner, const FileLock& lock) {
    return fs.SetLock(node, handle, lock, {.owner = owner});
  }
  Waiting StartLock(FileHandle handle, uint64_t owner, const FileLock& lock) {
    return fs.StartSetLock(node, handle, lock, {.owner = owner, .wait = true});
  }
  ErrnoOr<void> Flock(FileHandle handle, uint32_t type) {
    return fs.SetLock(node, handle, Whole(type), {.owner = 1, .flock = true});
  }
  Waiting StartFlock(FileHandle handle, uint32_t type) {
    return fs.StartSetLock(node, handle, Whole(type), {.owner = 1, .flock = true, .wait = true});
  }

  std::unique_ptr<PassthroughFilesystem> filesystem;
  FilesystemDriver fs;
  NodeId node{};
};

class LockOps : public PassthroughFixture {
 protected:
  LockOps() { WriteHost(Host("file"), "0123456789"); }

  Session MakeSession(Options options = {}) {
    options.shared_locks = true;
    return Session(Serve(Host(""), std::move(options)));
  }
  Session Impatient() {
    Options options;
    options.lock_wait = absl::Milliseconds(5);
    return MakeSession(std::move(options));
  }
  os::UniqueFd OpenHost(const std::string& name = "file") {
    return os::UniqueFd(::open(Host(name).c_str(), O_RDWR | O_CLOEXEC));
  }
  // 0 or an errno, of a process of the host.
  int HostLock(const os::UniqueFd& fd, short type, off_t first = 0, off_t length = 0) {
    struct ::flock lock {};
    lock.l_type = type;
    lock.l_whence = SEEK_SET;
    lock.l_start = first;
    lock.l_len = length;
    return ::fcntl(fd.get(), F_OFD_SETLK, &lock) == 0 ? 0 : errno;
  }
  int HostFlock(const os::UniqueFd& fd, int operation) {
    return ::flock(fd.get(), operation | LOCK_NB) == 0 ? 0 : errno;
  }
};

TEST_F(LockOps, WithoutTheOptionThereAreNone) {
  Session plain(Serve(Host("")));
  const FileHandle handle = plain.Open();
  EXPECT_ERRNO(plain.Lock(handle, 1, Whole(F_WRLCK)), ENOSYS);
  EXPECT_ERRNO(plain.fs.GetLock(plain.node, handle, 1, Whole(F_WRLCK)), ENOSYS);
  EXPECT_SUCCESS(plain.fs.Flush(plain.node, handle, 1));
}

TEST_F(LockOps, PosixLocksExcludeOtherSessionsAndTheHost) {
  Session one = MakeSession();
  Session other = MakeSession();
  const os::UniqueFd host = OpenHost();
  const FileHandle mine = one.Open();
  const FileHandle theirs = other.Open();

  EXPECT_SUCCESS(one.Lock(mine, 1, Range(0, 9, F_WRLCK)));
  EXPECT_ERRNO(other.Lock(theirs, 1, Range(9, 9, F_RDLCK)), EAGAIN);
  EXPECT_SUCCESS(other.Lock(theirs, 1, Range(10, 19, F_WRLCK)));
  EXPECT_EQ(HostLock(host, F_RDLCK, 5, 1), EAGAIN);
  EXPECT_EQ(HostLock(host, F_WRLCK, 20, 10), 0);
  EXPECT_ERRNO(one.Lock(mine, 1, Range(0, 29, F_WRLCK)), EAGAIN);

  EXPECT_SUCCESS(other.Lock(theirs, 1, Whole(F_UNLCK)));
  EXPECT_SUCCESS(one.Lock(mine, 1, Range(0, 19, F_WRLCK)));
  EXPECT_EQ(HostLock(host, F_UNLCK), 0);
  EXPECT_SUCCESS(one.Lock(mine, 1, Whole(F_WRLCK)));
}

TEST_F(LockOps, OwnersOfOneSessionExcludeEachOtherThroughOneHandleToo) {
  Session session = MakeSession();
  const FileHandle handle = session.Open();
  EXPECT_SUCCESS(session.Lock(handle, 1, Whole(F_WRLCK)));
  EXPECT_SUCCESS(session.Lock(handle, 1, Range(3, 4, F_WRLCK)));
  EXPECT_ERRNO(session.Lock(handle, 2, Range(3, 4, F_RDLCK)), EAGAIN);
}

TEST_F(LockOps, ReadersShareAndUpgradeOnlyAlone) {
  Session one = MakeSession();
  Session other = MakeSession();
  const FileHandle mine = one.Open();
  const FileHandle theirs = other.Open();
  EXPECT_SUCCESS(one.Lock(mine, 1, Whole(F_RDLCK)));
  EXPECT_SUCCESS(other.Lock(theirs, 1, Whole(F_RDLCK)));
  EXPECT_ERRNO(one.Lock(mine, 1, Whole(F_WRLCK)), EAGAIN);
  EXPECT_SUCCESS(other.Lock(theirs, 1, Whole(F_UNLCK)));
  EXPECT_SUCCESS(one.Lock(mine, 1, Whole(F_WRLCK)));
  EXPECT_ERRNO(other.Lock(theirs, 1, Whole(F_RDLCK)), EAGAIN);
  EXPECT_SUCCESS(one.Lock(mine, 1, Whole(F_RDLCK)));
  EXPECT_SUCCESS(other.Lock(theirs, 1, Whole(F_RDLCK)));
}

TEST_F(LockOps, FlocksExcludeOtherHandlesSessionsAndTheHost) {
  Session one = MakeSession();
  Session other = MakeSession();
  const os::UniqueFd host = OpenHost();
  const FileHandle mine = one.Open();
  const FileHandle second = one.Open();
  const FileHandle theirs = other.Open();

  EXPECT_SUCCESS(one.Flock(mine, F_RDLCK));
  EXPECT_SUCCESS(other.Flock(theirs, F_RDLCK));
  EXPECT_EQ(HostFlock(host, LOCK_SH), 0);
  EXPECT_ERRNO(one.Flock(second, F_WRLCK), EAGAIN);
  EXPECT_SUCCESS(one.Flock(mine, F_UNLCK));
  EXPECT_SUCCESS(other.Flock(theirs, F_UNLCK));
  EXPECT_EQ(HostFlock(host, LOCK_EX), 0);
  EXPECT_ERRNO(one.Flock(second, F_RDLCK), EAGAIN);
  // The two kinds know nothing of each other.
  EXPECT_SUCCESS(one.Lock(mine, 1, Whole(F_WRLCK)));
}

TEST_F(LockOps, AHandleMustBeTheNodesAndOpenForTheLock) {
  Session session = MakeSession();
  const backends::Entry other = Must(session.fs.MakeFile(kRoot, "other", ""));
  const FileHandle reader = session.Open(O_RDONLY);
  const FileHandle writer = session.Open(O_WRONLY);
  EXPECT_ERRNO(session.Lock(reader, 1, Whole(F_WRLCK)), EBADF);
  EXPECT_ERRNO(session.Lock(writer, 1, Whole(F_RDLCK)), EBADF);
  EXPECT_SUCCESS(session.Lock(reader, 1, Range(0, 1, F_RDLCK)));
  EXPECT_SUCCESS(session.Lock(writer, 1, Range(5, 6, F_WRLCK)));
  EXPECT_SUCCESS(session.Flock(reader, F_WRLCK));
  EXPECT_ERRNO(session.fs.SetLock(other.node, reader, Whole(F_RDLCK), {.owner = 1}), EBADF);
  EXPECT_ERRNO(session.Lock(FileHandle{0}, 1, Whole(F_RDLCK)), EBADF);
  EXPECT_ERRNO(session.Lock(FileHandle{4242}, 1, Whole(F_RDLCK)), EBADF);
  EXPECT_ERRNO(session.fs.SetLock(NodeId{4242}, reader, Whole(F_RDLCK), {}), ESTALE);
}

TEST_F(LockOps, WhatIsNoLockIsRefused) {
  Session session = MakeSession();
  const FileHandle handle = session.Open();
  for (const FileLock& lock : {Range(5, 4, F_RDLCK), Range(0, ~uint64_t{0}, F_RDLCK),
                               Range(uint64_t{1} << 63, ~uint64_t{0}, F_WRLCK), Range(0, 1, 9)}) {
    EXPECT_ERRNO(session.Lock(handle, 1, lock), EINVAL);
    EXPECT_ERRNO(session.fs.GetLock(session.node, handle, 1, lock), EINVAL);
  }
  EXPECT_ERRNO(session.Flock(handle, 9), EINVAL);
  EXPECT_SUCCESS(session.Lock(handle, 1, Range(kEnd, kEnd, F_WRLCK)));
  EXPECT_SUCCESS(session.Lock(handle, 2, Range(0, kEnd - 1, F_WRLCK)));
}

TEST_F(LockOps, FlushEndsOnlyItsOwnersLocksOnTheFile) {
  Session session = MakeSession();
  const FileHandle handle = session.Open();
  EXPECT_SUCCESS(session.Lock(handle, 1, Range(0, 4, F_WRLCK)));
  EXPECT_SUCCESS(session.Lock(handle, 2, Range(5, 9, F_WRLCK)));
  EXPECT_SUCCESS(session.fs.Flush(session.node, handle, 1));
  EXPECT_SUCCESS(session.Lock(handle, 3, Range(0, 4, F_WRLCK)));
  EXPECT_ERRNO(session.Lock(handle, 3, Range(5, 9, F_WRLCK)), EAGAIN);
}

TEST_F(LockOps, ReleaseEndsTheHandlesFlockAndOfdLocks) {
  Session session = MakeSession();
  Session other = MakeSession();
  const FileHandle flocked = session.Open();
  const FileHandle locked = session.Open();
  const FileHandle theirs = other.Open();
  EXPECT_SUCCESS(session.Flock(flocked, F_WRLCK));
  EXPECT_SUCCESS(session.Lock(locked, 77, Whole(F_WRLCK)));
  EXPECT_SUCCESS(session.fs.Release(session.node, flocked));
  EXPECT_SUCCESS(other.Flock(theirs, F_WRLCK));
  EXPECT_ERRNO(other.Lock(theirs, 1, Whole(F_WRLCK)), EAGAIN);
  EXPECT_SUCCESS(session.fs.Release(session.node, locked));
  EXPECT_SUCCESS(other.Lock(theirs, 1, Whole(F_WRLCK)));
}

TEST_F(LockOps, AnOwnersDescriptorLastsAsLongAsItsLocks) {
  Session session = MakeSession();
  const FileHandle handle = session.Open();
  const int before = OpenFdCount();
  EXPECT_SUCCESS(session.Lock(handle, 1, Range(0, 4, F_WRLCK)));
  EXPECT_ERRNO(session.Lock(handle, 2, Range(0, 4, F_WRLCK)), EAGAIN);
  EXPECT_EQ(OpenFdCount(), before + 1);
  EXPECT_SUCCESS(session.Lock(handle, 1, Range(0, 2, F_UNLCK)));
  EXPECT_SUCCESS(session.Lock(handle, 1, Range(3, 100, F_UNLCK)));
  EXPECT_EQ(OpenFdCount(), before);
}

TEST_F(LockOps, GetLockTellsTheHolderAndOfTheSessionsItsPid) {
  Session session = MakeSession();
  Session other = MakeSession();
  const FileHandle handle = session.Open();
  const FileHandle theirs = other.Open();
  EXPECT_SUCCESS(session.Lock(handle, 1, Range(10, 19, F_WRLCK, 4711)));
  EXPECT_SUCCESS(session.Lock(handle, 1, Range(30, kEnd, F_RDLCK, 4711)));

  const auto ask = [&](Session& who, FileHandle by, uint64_t owner, const FileLock& lock) {
    return Must(who.fs.GetLock(who.node, by, owner, lock));
  };
  const FileLock held = ask(session, handle, 2, Range(0, 100, F_RDLCK));
  EXPECT_EQ(held.type, static_cast<uint32_t>(F_WRLCK));
  EXPECT_EQ(held.first, 10u);
  EXPECT_EQ(held.last, 19u);
  EXPECT_EQ(held.pid, 4711u);
  const FileLock seen = ask(other, theirs, 2, Range(20, 100, F_WRLCK));
  EXPECT_EQ(seen.type, static_cast<uint32_t>(F_RDLCK));
  EXPECT_EQ(seen.first, 30u);
  EXPECT_EQ(seen.last, kEnd);
  EXPECT_EQ(seen.pid, 0u);
  EXPECT_EQ(ask(session, handle, 2, Range(20, 100, F_RDLCK)).type, static_cast<uint32_t>(F_UNLCK));
  EXPECT_EQ(ask(session, handle, 1, Whole(F_WRLCK)).type, static_cast<uint32_t>(F_UNLCK));
}

TEST_F(LockOps, GetLockKnowsNoPidOfAHostProcess) {
  Session session = MakeSession();
  const FileHandle handle = session.Open();
  const os::UniqueFd host = OpenHost();
  struct ::flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_len = 5;
  ASSERT_EQ(::fcntl(host.get(), F_SETLK, &lock), 0);
  const FileLock held = Must(session.fs.GetLock(session.node, handle, 1, Whole(F_RDLCK)));
  EXPECT_EQ(held.last, 4u);
  EXPECT_EQ(held.pid, 0u);
}

TEST_F(LockOps, AWaitEndsWithTheUnlockOfTheSameSession) {
  Session session = MakeSession();
  const FileHandle handle = session.Open();
  EXPECT_SUCCESS(session.Lock(handle, 1, Whole(F_WRLCK)));
  const Waiting unlocked = session.StartLock(handle, 2, Range(0, 4, F_WRLCK));
  const Waiting flushed = session.StartLock(handle, 3, Range(5, 9, F_WRLCK));
  EXPECT_FALSE(unlocked->completed());
  EXPECT_SUCCESS(session.Lock(handle, 1, Range(0, 4, F_UNLCK)));
  EXPECT_SUCCESS(unlocked->Wait());
  EXPECT_FALSE(flushed->completed());
  EXPECT_SUCCESS(session.fs.Flush(session.node, handle, 1));
  EXPECT_SUCCESS(flushed->Wait());
}

TEST_F(LockOps, AWaitEndsWithTheUnlockOfAnotherSessionOrTheHost) {
  Session session = MakeSession();
  Session other = MakeSession();
  const os::UniqueFd host = OpenHost();
  const FileHandle handle = session.Open();
  const FileHandle theirs = other.Open();
  EXPECT_SUCCESS(other.Lock(theirs, 1, Range(0, 4, F_WRLCK)));
  EXPECT_EQ(HostLock(host, F_WRLCK, 5, 5), 0);
  const Waiting for_session = session.StartLock(handle, 1, Range(0, 4, F_RDLCK));
  const Waiting for_host = session.StartLock(handle, 2, Range(5, 9, F_RDLCK));
  EXPECT_FALSE(for_session->completed());
  EXPECT_SUCCESS(other.Lock(theirs, 1, Whole(F_UNLCK)));
  EXPECT_SUCCESS(for_session->Wait());
  EXPECT_FALSE(for_host->completed());
  EXPECT_EQ(HostLock(host, F_UNLCK), 0);
  EXPECT_SUCCESS(for_host->Wait());
}

TEST_F(LockOps, AWaitForAFlockEndsWithTheHoldersRelease) {
  Session session = MakeSession();
  Session other = MakeSession();
  const FileHandle first = session.Open();
  const FileHandle second = session.Open();
  const FileHandle theirs = other.Open();
  EXPECT_SUCCESS(session.Flock(first, F_WRLCK));
  const Waiting here = session.StartFlock(second, F_RDLCK);
  const Waiting there = other.StartFlock(theirs, F_RDLCK);
  EXPECT_FALSE(here->completed());
  EXPECT_FALSE(there->completed());
  EXPECT_SUCCESS(session.fs.Release(session.node, first));
  EXPECT_SUCCESS(here->Wait());
  EXPECT_SUCCESS(there->Wait());
}

TEST_F(LockOps, WhoWaitsTooLongTimesOutAndHoldsNothing) {
  Session session = Impatient();
  const FileHandle first = session.Open();
  const FileHandle second = session.Open();
  EXPECT_SUCCESS(session.Lock(first, 1, Range(5, 9, F_WRLCK)));
  EXPECT_SUCCESS(session.Flock(first, F_WRLCK));
  const int before = OpenFdCount();
  EXPECT_ERRNO(session.StartLock(first, 2, Range(0, 9, F_WRLCK))->Wait(), ETIMEDOUT);
  EXPECT_ERRNO(session.StartFlock(second, F_RDLCK)->Wait(), ETIMEDOUT);
  EXPECT_SUCCESS(session.Lock(first, 3, Range(0, 4, F_WRLCK)));
  EXPECT_EQ(OpenFdCount(), before + 1);
}

TEST_F(LockOps, OwnersThatWaitForEachOtherTimeOut) {
  Session session = Impatient();
  const FileHandle handle = session.Open();
  EXPECT_SUCCESS(session.Lock(handle, 1, Range(0, 0, F_WRLCK)));
  EXPECT_SUCCESS(session.Lock(handle, 2, Range(1, 1, F_WRLCK)));
  const Waiting first = session.StartLock(handle, 1, Range(1, 1, F_WRLCK));
  const Waiting second = session.StartLock(handle, 2, Range(0, 0, F_WRLCK));
  EXPECT_ERRNO(first->Wait(), ETIMEDOUT);
  EXPECT_ERRNO(second->Wait(), ETIMEDOUT);
}

TEST_F(LockOps, AReleasedHandleWaitsNoLonger) {
  Session session = MakeSession();
  const FileHandle first = session.Open();
  const FileHandle second = session.Open();
  EXPECT_SUCCESS(session.Flock(first, F_WRLCK));
  const Waiting call = session.StartFlock(second, F_WRLCK);
  EXPECT_SUCCESS(session.fs.Release(session.node, second));
  EXPECT_ERRNO(call->Wait(), EBADF);
}

TEST_F(LockOps, ResetEndsWaitsAndLocks) {
  Session session = MakeSession();
  Session other = MakeSession();
  const FileHandle handle = session.Open();
  const FileHandle theirs = other.Open();
  EXPECT_SUCCESS(session.Lock(handle, 1, Whole(F_WRLCK)));
  EXPECT_SUCCESS(session.Flock(handle, F_WRLCK));
  const Waiting lock = session.StartLock(handle, 2, Whole(F_WRLCK));
  const Waiting flock = session.StartFlock(session.Open(), F_WRLCK);
  session.filesystem->Reset();
  EXPECT_ERRNO(lock->Wait(), EINTR);
  EXPECT_ERRNO(flock->Wait(), EINTR);
  EXPECT_SUCCESS(other.Lock(theirs, 1, Whole(F_WRLCK)));
  EXPECT_SUCCESS(other.Flock(theirs, F_WRLCK));
}

TEST_F(LockOps, WaitsMayBeEndedWithoutTheLocks) {
  Session session = MakeSession();
  const FileHandle handle = session.Open();
  EXPECT_SUCCESS(session.Lock(handle, 1, Whole(F_WRLCK)));
  const Waiting call = session.StartLock(handle, 2, Whole(F_WRLCK));
  session.filesystem->EndWaits();
  EXPECT_ERRNO(call->Wait(), EAGAIN);
  EXPECT_ERRNO(session.Lock(handle, 2, Whole(F_WRLCK)), EAGAIN);
  const Waiting next = session.StartLock(handle, 2, Whole(F_WRLCK));
  EXPECT_SUCCESS(session.Lock(handle, 1, Whole(F_UNLCK)));
  EXPECT_SUCCESS(next->Wait());
}

TEST_F(LockOps, TheEndOfTheFileSystemEndsWaitsAndLocks) {
  const os::UniqueFd host = OpenHost();
  Waiting call;
  {
    Session session = MakeSession();
    const FileHandle handle = session.Open();
    EXPECT_SUCCESS(session.Lock(handle, 1, Whole(F_WRLCK)));
    call = session.StartLock(handle, 2, Whole(F_WRLCK));
  }
  EXPECT_ERRNO(call->Wait(), EINTR);
  EXPECT_EQ(HostLock(host, F_WRLCK), 0);
}

TEST_F(LockOps, ManyWaitersEachHaveTheirTurn) {
  constexpr uint64_t kWaiters = 200;
  Session session = MakeSession();
  const FileHandle handle = session.Open();
  EXPECT_SUCCESS(session.Lock(handle, 0, Whole(F_WRLCK)));
  std::vector<Waiting> calls;
  for (uint64_t owner = 1; owner <= kWaiters; ++owner) {
    calls.push_back(session.StartLock(handle, owner, Whole(F_WRLCK)));
  }
  for (uint64_t owner = 0; owner < kWaiters; ++owner) {
    EXPECT_SUCCESS(session.fs.Flush(session.node, handle, owner));
    EXPECT_SUCCESS(calls[owner]->Wait());
  }
}

TEST_F(LockOps, NothingStaysOfWhatRacesWithReset) {
  Session session = MakeSession();
  Session other = MakeSession();
  const FileHandle theirs = other.Open();
  const int before = OpenFdCount();
  std::vector<std::thread> threads;
  std::atomic<int> running = 4;
  for (uint64_t owner = 1; owner <= 4; ++owner) {
    threads.emplace_back([&session, &running, owner] {
      const FilesystemDriver mine(*session.filesystem);
      // Whether each succeeds depends on when the reset comes; that each is answered does not.
      for (int round = 0; round < 200; ++round) {
        const auto found = mine.Lookup(kRoot, "file");
        if (!found.ok()) continue;
        const auto handle = mine.Open(found->node, O_RDWR);
        if (!handle.ok()) continue;
        (void)mine.SetLock(found->node, *handle, Whole(F_WRLCK), {.owner = owner, .wait = true});
        (void)mine.SetLock(found->node, *handle, Whole(F_WRLCK),
                           {.owner = owner, .flock = true, .wait = true});
        if (round % 3 != 0) (void)mine.Flush(found->node, *handle, owner);
        if (round % 5 != 0) (void)mine.Release(found->node, *handle);
      }
      --running;
    });
  }
  while (running > 0) {
    session.filesystem->Reset();
    std::this_thread::yield();
  }
  for (std::thread& thread : threads) thread.join();
  session.filesystem->Reset();
  EXPECT_EQ(OpenFdCount(), before - 1);  // the file's inode, which it knew
  EXPECT_SUCCESS(other.Lock(theirs, 1, Whole(F_WRLCK)));
  EXPECT_SUCCESS(other.Flock(theirs, F_WRLCK));
}

TEST_F(LockOps, AGuestsLocksAreBounded) {
  Options options;
  options.max_lock_owners = 2;
  options.max_lock_ranges = 4;
  Session session = MakeSession(std::move(options));
  const FileHandle handle = session.Open();
  EXPECT_SUCCESS(session.Lock(handle, 1, Range(0, 0, F_RDLCK)));
  EXPECT_SUCCESS(session.Lock(handle, 2, Range(0, 0, F_RDLCK)));
  EXPECT_ERRNO(session.Lock(handle, 3, Range(0, 0, F_RDLCK)), ENOLCK);
  EXPECT_SUCCESS(session.Lock(handle, 1, Range(2, 4, F_RDLCK)));
  EXPECT_SUCCESS(session.Lock(handle, 1, Range(6, 6, F_RDLCK)));
  EXPECT_ERRNO(session.Lock(handle, 1, Range(8, 8, F_RDLCK)), ENOLCK);
  EXPECT_ERRNO(session.Lock(handle, 1, Range(3, 3, F_UNLCK)), ENOLCK);
  EXPECT_SUCCESS(session.Lock(handle, 1, Whole(F_UNLCK)));
  EXPECT_SUCCESS(session.Lock(handle, 3, Range(8, 8, F_RDLCK)));
}

TEST_F(LockOps, WithoutADescriptorForTheOwnerThereIsNoLock) {
  Session session = MakeSession();
  const FileHandle handle = session.Open();
  rlimit before;
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit full{.rlim_cur = 0, .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &full), 0);
  const ErrnoOr<void> result = session.Lock(handle, 1, Whole(F_WRLCK));
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_ERRNO(result, ENOLCK);
}

TEST_F(LockOps, AReadOnlyFileSystemHasReadersLocks) {
  Options options;
  options.read_only = true;
  Session session = MakeSession(std::move(options));
  const os::UniqueFd host = OpenHost();
  EXPECT_SUCCESS(session.Lock(session.Open(O_RDONLY), 1, Whole(F_RDLCK)));
  EXPECT_EQ(HostLock(host, F_WRLCK), EAGAIN);
}

}  // namespace
}  // namespace fsd::passthrough
