// What the file system's own operations cannot arrange: the order of a lock and its handle's end.
#include "backends/passthrough/lock_table.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "backends/errno_expectations.h"
#include "gtest/gtest.h"

namespace fsd::passthrough {
namespace {

using backends::FileHandle;
using backends::FileLock;
using backends::NodeId;

constexpr FileLock kWrite{.first = 0, .last = 9, .type = F_WRLCK, .pid = 1};

class LockTableTest : public ::testing::Test {
 protected:
  LockTableTest() {
    char path[] = "/tmp/fsd-locks-XXXXXX";
    file_ = os::UniqueFd(::mkostemp(path, O_CLOEXEC));
    path_ = path;
  }
  ~LockTableTest() override { ::unlink(path_.c_str()); }

  LockTable::Locker LockerOf(uint64_t owner, uint64_t handle) const {
    return {.node = NodeId{7},
            .owner = owner,
            .handle = FileHandle{handle},
            .file = file_.get(),
            .reopen = [this](int flags) -> ErrnoOr<os::UniqueFd> {
              return os::UniqueFd(::open(path_.c_str(), flags | O_CLOEXEC));
            }};
  }
  // Whether another process of the host could have the lock.
  bool IsFree() const {
    const os::UniqueFd other(::open(path_.c_str(), O_RDWR | O_CLOEXEC));
    struct ::flock lock {};
    lock.l_type = F_WRLCK;
    return ::fcntl(other.get(), F_OFD_SETLK, &lock) == 0;
  }

  std::string path_;
  os::UniqueFd file_;
  LockTable table_{{.owners = 10, .ranges = 10}};
};

TEST_F(LockTableTest, ALockThatIsTakenAfterItsHandlesEndIsNotKept) {
  LockTable::Locker locker = LockerOf(1, 2);
  // Released between the request's start and the lock.
  locker.is_open = [] { return false; };
  EXPECT_ERRNO(table_.Set(locker, kWrite, table_.epoch()), EBADF);
  EXPECT_TRUE(IsFree());
  EXPECT_EQ(table_.owners(), 0u);
}

TEST_F(LockTableTest, TheEndOfAnotherHandleLeavesAnOwnersLocks) {
  EXPECT_SUCCESS(table_.Set(LockerOf(1, 2), kWrite, table_.epoch()));
  LockTable::Locker through_another = LockerOf(1, 3);
  through_another.is_open = [] { return false; };
  EXPECT_SUCCESS(table_.Set(through_another, kWrite, table_.epoch()));
  EXPECT_FALSE(IsFree());
  table_.DropHandle(NodeId{7}, FileHandle{2});
  EXPECT_TRUE(IsFree());
}

TEST_F(LockTableTest, WhatBeganBeforeAResetTakesNoLock) {
  const uint32_t old = table_.epoch();
  table_.Reset();
  EXPECT_ERRNO(table_.Set(LockerOf(1, 2), kWrite, old), ESTALE);
  EXPECT_SUCCESS(table_.Set(LockerOf(1, 2), kWrite, table_.epoch()));
  EXPECT_ERRNO(table_.Set(LockerOf(1, 2), {.first = 20, .last = 29, .type = F_WRLCK}, old), ESTALE);
}

TEST_F(LockTableTest, APidIsThatOfTheVeryLock) {
  const os::UniqueFd host(::open(path_.c_str(), O_RDWR | O_CLOEXEC));
  struct ::flock lock {};
  lock.l_type = F_RDLCK;
  lock.l_len = 10;
  ASSERT_EQ(::fcntl(host.get(), F_OFD_SETLK, &lock), 0);
  lock.l_start = 20;
  ASSERT_EQ(::fcntl(host.get(), F_OFD_SETLK, &lock), 0);
  const FileLock read{.first = 0, .last = 9, .type = F_RDLCK, .pid = 77};
  EXPECT_SUCCESS(table_.Set(LockerOf(1, 2), read, table_.epoch()));

  // The host's lock is like the asker's own, and beside another of the session's.
  const auto own = table_.Get(LockerOf(1, 2), kWrite);
  const auto beside =
      table_.Get(LockerOf(3, 2), {.first = 20, .last = 29, .type = F_WRLCK, .pid = 1});

  ASSERT_TRUE(own.ok() && beside.ok());
  EXPECT_EQ(own->type, uint32_t{F_RDLCK});
  EXPECT_EQ(own->pid, 0u);
  EXPECT_EQ(beside->first, 20u);
  EXPECT_EQ(beside->pid, 0u);
}

}  // namespace
}  // namespace fsd::passthrough
