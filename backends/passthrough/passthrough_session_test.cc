// What a session may hold and may change, and what is left of it.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "backends/passthrough/passthrough_fixture.h"
#include "gtest/gtest.h"

namespace fsd::passthrough {
namespace {

using backends::CreatedFile;
using backends::EntryCollector;

class PassthroughSessionTest : public PassthroughFixture {};

TEST_F(PassthroughSessionTest, AReadOnlyShareChangesNothing) {
  WriteHost(Host("file"), "text");
  ServeWith({.read_only = true});
  const NodeId file = Must(fs->Lookup(kRoot, "file")).node;
  EXPECT_ERRNO(fs->Create(kRoot, "new", O_RDWR), EROFS);
  EXPECT_ERRNO(fs->Create(kRoot, "file", O_RDONLY), EROFS);
  EXPECT_ERRNO(fs->MakeDirectory(kRoot, "new"), EROFS);
  EXPECT_ERRNO(fs->MakeNode(kRoot, "new", S_IFIFO | 0600), EROFS);
  EXPECT_ERRNO(fs->Symlink(kRoot, "new", "x"), EROFS);
  EXPECT_ERRNO(fs->Link(file, kRoot, "new"), EROFS);
  EXPECT_ERRNO(fs->Unlink(kRoot, "file"), EROFS);
  EXPECT_ERRNO(fs->RemoveDirectory(kRoot, "file"), EROFS);
  EXPECT_ERRNO(fs->Rename(kRoot, "file", kRoot, "new"), EROFS);
  EXPECT_ERRNO(fs->SetAttributes(file, {.mode = 0}), EROFS);
  EXPECT_ERRNO(fs->Open(file, O_RDWR), EROFS);
  EXPECT_ERRNO(fs->Open(file, O_WRONLY), EROFS);
  EXPECT_ERRNO(fs->Open(file, O_RDONLY | O_TRUNC), EROFS);
  const FileHandle handle = Must(fs->Open(file, O_RDONLY));
  EXPECT_ERRNO(fs->Write(file, handle, 0, "x"), EROFS);
  EXPECT_ERRNO(fs->Fallocate(file, handle, 0, 0, 100), EROFS);
  EXPECT_EQ(Must(fs->Read(file, handle, 0, 10)), "text");
  const auto access = [&](uint32_t mask) {
    return fs->Await<void>([&](auto call) { return filesystem_->Access(call, file, mask); });
  };
  EXPECT_SUCCESS(access(R_OK));
  EXPECT_ERRNO(access(W_OK), EROFS);
}

TEST_F(PassthroughSessionTest, FullTablesSaySoAndRecover) {
  ServeWith({.max_inodes = 2, .max_handles = 1});
  WriteHost(Host("a"), "");
  WriteHost(Host("b"), "");
  const NodeId a = Must(fs->Lookup(kRoot, "a")).node;
  EXPECT_ERRNO(fs->Lookup(kRoot, "b"), ENFILE);
  const FileHandle handle = Must(fs->Open(a, O_RDONLY));
  const int fds = OpenFdCount();
  EXPECT_ERRNO(fs->Open(a, O_RDONLY), ENFILE);
  EXPECT_ERRNO(fs->Create(kRoot, "a", O_RDWR), ENFILE);
  EXPECT_EQ(OpenFdCount(), fds);
  EXPECT_SUCCESS(fs->Release(a, handle));
  filesystem_->Forget(a, 1);
  EXPECT_SUCCESS(fs->Lookup(kRoot, "b"));
}

TEST_F(PassthroughSessionTest, ResetClosesEveryFd) {
  const int before = OpenFdCount();
  for (int i = 0; i < 20; ++i) {
    Must(fs->Create(kRoot, "file" + std::to_string(i), O_RDWR));
    Must(fs->OpenDirectory(Must(fs->MakeDirectory(kRoot, "d" + std::to_string(i))).node));
  }
  EXPECT_EQ(filesystem_->Usage().inodes, 41u);
  EXPECT_EQ(filesystem_->Usage().open_files, 40u);
  EXPECT_EQ(OpenFdCount(), before + 80);
  filesystem_->Reset();
  EXPECT_EQ(filesystem_->Usage().inodes, 1u);
  EXPECT_EQ(filesystem_->Usage().open_files, 0u);
  EXPECT_EQ(OpenFdCount(), before);
}

TEST_F(PassthroughSessionTest, TheEndClosesEveryFd) {
  filesystem_.reset();
  const int before = OpenFdCount();
  ServeWith({});
  Must(fs->Create(kRoot, "file", O_RDWR));
  Must(fs->OpenDirectory(kRoot));
  filesystem_.reset();
  EXPECT_EQ(OpenFdCount(), before);
}

TEST_F(PassthroughSessionTest, FailedOperationsLeakNothing) {
  ASSERT_EQ(::mkfifo(Host("fifo").c_str(), 0666), 0);
  ASSERT_EQ(::symlink("x", Host("link").c_str()), 0);
  const int before = OpenFdCount();
  EXPECT_FALSE(fs->Lookup(kRoot, "absent").ok());
  EXPECT_FALSE(fs->Create(kRoot, "fifo", O_RDWR).ok());
  EXPECT_FALSE(fs->Create(kRoot, "link", O_RDWR).ok());
  EXPECT_FALSE(fs->Create(kRoot, "fifo", O_RDWR | O_EXCL).ok());
  EXPECT_FALSE(fs->MakeDirectory(kRoot, "fifo").ok());
  EXPECT_EQ(OpenFdCount(), before);
  EXPECT_EQ(filesystem_->Usage().inodes, 1u);
}

TEST_F(PassthroughSessionTest, ResetWhileOthersReadLeavesNoFdOpen) {
  for (int i = 0; i < 20; ++i) WriteHost(Host("file" + std::to_string(i)), "text");
  const int before = OpenFdCount();
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 3; ++thread) {
    threads.emplace_back([&] {
      const backends::FilesystemDriver mine(*filesystem_);
      while (!stop) {
        const auto directory = mine.OpenDirectory(kRoot);
        if (!directory.ok()) continue;
        EntryCollector collector(100);
        (void)mine.ReadDirectory(kRoot, *directory, 0, collector, true);
        for (const auto& entry : collector.entries) {
          if (!entry.entry) continue;
          const auto handle = mine.Open(entry.entry->node, O_RDONLY);
          if (handle.ok()) (void)mine.Read(entry.entry->node, *handle, 0, 10);
        }
      }
    });
  }
  for (int i = 0; i < 100; ++i) filesystem_->Reset();
  stop = true;
  for (std::thread& thread : threads) thread.join();
  filesystem_->Reset();
  EXPECT_EQ(filesystem_->Usage().inodes, 1u);
  EXPECT_EQ(filesystem_->Usage().open_files, 0u);
  EXPECT_EQ(OpenFdCount(), before);
}

}  // namespace
}  // namespace fsd::passthrough
