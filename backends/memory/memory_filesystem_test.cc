#include "backends/memory/memory_filesystem.h"

#include <fcntl.h>

#include <memory>
#include <string>

#include "backends/filesystem_contract.h"
#include "backends/filesystem_driver.h"
#include "backends/late_filesystem.h"
#include "gtest/gtest.h"

namespace fsd::backends {
namespace {

class PlainMemory : public FilesystemUnderTest {
 public:
  Filesystem& filesystem() override { return memory_; }

 protected:
  memory::MemoryFilesystem memory_;
};

class LateMemory : public PlainMemory {
 public:
  Filesystem& filesystem() override { return late_; }

 private:
  LateFilesystem late_{memory_, 42};
};

constexpr FilesystemFeatures kFeatures{.ioctls = false, .whiteouts = false};

const auto kFactories = ::testing::Values(
    FilesystemFactory{"AtOnce", [] { return std::make_unique<PlainMemory>(); }, kFeatures},
    FilesystemFactory{"Late", [] { return std::make_unique<LateMemory>(); }, kFeatures});
const auto kName = [](const auto& info) { return info.param.name; };

INSTANTIATE_TEST_SUITE_P(Memory, FilesystemContract, kFactories, kName);
INSTANTIATE_TEST_SUITE_P(Memory, XattrContract, kFactories, kName);
INSTANTIATE_TEST_SUITE_P(Memory, LockContract, kFactories, kName);

TEST(MemoryFilesystem, EndsAtItsLimitsWithAnErrno) {
  memory::MemoryFilesystem small({.pages = 2, .inodes = 3, .handles = 1});
  const FilesystemDriver fs(small);
  const auto file = fs.Create(kRootNodeId, "file", O_RDWR);
  ASSERT_TRUE(file.ok());
  // What fits is written, the rest refused.
  EXPECT_EQ(*fs.Write(file->entry.node, file->handle, 0, std::string(3 * 4096, 'x')), 2u * 4096);
  EXPECT_EQ(fs.Write(file->entry.node, file->handle, 8192, "x").error(), Errno(ENOSPC));
  EXPECT_EQ(fs.Open(file->entry.node, O_RDONLY).error(), Errno(ENFILE));
  EXPECT_TRUE(fs.MakeDirectory(kRootNodeId, "d").ok());
  EXPECT_EQ(fs.MakeDirectory(kRootNodeId, "e").error(), Errno(ENOSPC));
}

TEST(MemoryFilesystem, WhatIsRemovedGivesItsRoomBack) {
  memory::MemoryFilesystem small({.pages = 2, .inodes = 2, .handles = 1});
  const FilesystemDriver fs(small);
  for (int i = 0; i < 10; ++i) {
    const auto file = fs.MakeFile(kRootNodeId, "file", std::string(8192, 'x'));
    ASSERT_TRUE(file.ok());
    ASSERT_TRUE(fs.Unlink(kRootNodeId, "file").ok());
    small.Forget(file->node, 1);
  }
}

TEST(MemoryFilesystem, LocksAndWaitersAreBounded) {
  memory::MemoryFilesystem small({.locks = 2});
  const FilesystemDriver fs(small);
  const auto file = fs.Create(kRootNodeId, "file", O_RDWR);
  ASSERT_TRUE(file.ok());
  const auto lock = [&](uint64_t owner, uint64_t byte, bool wait = false) {
    return fs.StartSetLock(file->entry.node, file->handle,
                           {.first = byte, .last = byte, .type = F_WRLCK},
                           {.owner = owner, .wait = wait});
  };
  EXPECT_TRUE(lock(1, 0)->Wait().ok());
  const auto waiting = lock(2, 0, true);
  EXPECT_EQ(lock(3, 0, true)->Wait().error(), Errno(ENOLCK));
  EXPECT_EQ(lock(1, 2)->Wait().error(), Errno(ENOLCK));
  small.Reset();
  EXPECT_EQ(waiting->Wait().error(), Errno(EINTR));
}

TEST(MemoryFilesystem, WhoCameFirstHasALockFirst) {
  memory::MemoryFilesystem memory;
  const FilesystemDriver fs(memory);
  const auto file = fs.Create(kRootNodeId, "file", O_RDWR);
  ASSERT_TRUE(file.ok());
  const auto start = [&](uint64_t owner) {
    return fs.StartSetLock(file->entry.node, file->handle, {.type = F_WRLCK},
                           {.owner = owner, .wait = true});
  };
  const auto holder = start(1);
  const auto second = start(2);
  const auto third = start(3);
  EXPECT_TRUE(fs.Flush(file->entry.node, file->handle, 1).ok());
  EXPECT_TRUE(second->Wait().ok());
  EXPECT_FALSE(third->completed());
  EXPECT_TRUE(fs.Flush(file->entry.node, file->handle, 2).ok());
  EXPECT_TRUE(third->Wait().ok());
}

}  // namespace
}  // namespace fsd::backends
