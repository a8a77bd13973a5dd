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

INSTANTIATE_TEST_SUITE_P(
    Memory, FilesystemContract,
    ::testing::Values(FilesystemFactory{"AtOnce", [] { return std::make_unique<PlainMemory>(); }},
                      FilesystemFactory{"Late", [] { return std::make_unique<LateMemory>(); }}),
    [](const auto& info) { return info.param.name; });

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

}  // namespace
}  // namespace fsd::backends
