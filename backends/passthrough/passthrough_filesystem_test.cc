// What the contract cannot see: the host's side, and a guest that lies.
#include "backends/passthrough/passthrough_filesystem.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "backends/passthrough/passthrough_fixture.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace fsd::passthrough {
namespace {

using backends::AttributeChanges;
using backends::CreatedFile;
using backends::Entry;
using backends::EntryCollector;
using backends::WriteOptions;

class PassthroughFilesystemTest : public PassthroughFixture {
 protected:
  ErrnoOr<size_t> Write(NodeId node, FileHandle handle, uint64_t offset, std::string text,
                        WriteOptions options) {
    return fs->Await<size_t>([&](auto call) {
      const iovec vector{text.data(), text.size()};
      return filesystem_->Write(call, node, handle, offset, {&vector, 1}, options);
    });
  }
  ErrnoOr<backends::OpenFile> Open(NodeId node, uint32_t flags) {
    return fs->Await<backends::OpenFile>(
        [&](auto call) { return filesystem_->Open(call, node, {.flags = flags}); });
  }
  // The entries of a directory from its start, looked up.
  std::vector<EntryCollector::Collected> ReadPlus(NodeId node) {
    const FileHandle handle = Must(fs->OpenDirectory(node));
    EntryCollector collector(100);
    EXPECT_SUCCESS(fs->ReadDirectory(node, handle, 0, collector, true));
    EXPECT_SUCCESS(fs->ReleaseDirectory(node, handle));
    return std::move(collector.entries);
  }
};

// --- making one ---

TEST_F(PassthroughFilesystemTest, ARootThatIsNoDirectoryIsRefused) {
  WriteHost(Host("file"), "");
  Options options;
  options.root.reset(::open(Host("file").c_str(), O_PATH | O_CLOEXEC));
  options.proc_self_fd.reset(::open("/proc/self/fd", O_PATH | O_CLOEXEC));
  EXPECT_FALSE(PassthroughFilesystem::Create(std::move(options)).ok());
}

TEST_F(PassthroughFilesystemTest, AnotherProcessesFdDirectoryIsRefused) {
  Options options;
  options.root.reset(::open(Host("").c_str(), O_PATH | O_CLOEXEC));
  options.proc_self_fd.reset(::open("/proc", O_PATH | O_CLOEXEC));
  EXPECT_FALSE(PassthroughFilesystem::Create(std::move(options)).ok());
}

// --- staying inside ---

TEST_F(PassthroughFilesystemTest, NoNameLeadsOutOfTheShare) {
  WriteHost(Outside("secret"), "secret");
  const Entry directory = Must(fs->MakeDirectory(kRoot, "d"));
  EXPECT_ERRNO(fs->Lookup(kRoot, "../secret"), EINVAL);
  EXPECT_ERRNO(fs->Lookup(kRoot, Outside("secret")), EINVAL);
  EXPECT_ERRNO(fs->Lookup(directory.node, "../../secret"), EINVAL);
  EXPECT_EQ(Must(fs->Lookup(kRoot, "..")).node, kRoot);
  EXPECT_ERRNO(fs->Lookup(Must(fs->Lookup(kRoot, "..")).node, "secret"), ENOENT);
  EXPECT_ERRNO(fs->Rename(kRoot, "d", kRoot, "../d"), EINVAL);
  EXPECT_ERRNO(fs->Rename(kRoot, "..", kRoot, "up"), EBUSY);
  EXPECT_ERRNO(fs->Unlink(kRoot, "../secret"), EINVAL);
  EXPECT_ERRNO(fs->RemoveDirectory(directory.node, ".."), ENOTEMPTY);
  EXPECT_ERRNO(fs->Create(kRoot, "..", O_RDWR), EISDIR);
  EXPECT_EQ(ReadHost(Outside("secret")), "secret");
}

TEST_F(PassthroughFilesystemTest, ASymlinkOutOfTheShareIsOnlyASymlink) {
  WriteHost(Outside("secret"), "secret");
  ASSERT_EQ(::symlink(Outside("secret").c_str(), Host("link").c_str()), 0);
  ASSERT_EQ(::symlink("..", Host("up").c_str()), 0);
  const Entry link = Must(fs->Lookup(kRoot, "link"));
  EXPECT_TRUE(S_ISLNK(link.attributes.stx_mode));
  EXPECT_ERRNO(fs->Open(link.node, O_RDONLY), ELOOP);
  EXPECT_ERRNO(fs->Create(kRoot, "link", O_RDWR), ELOOP);
  EXPECT_ERRNO(fs->Create(kRoot, "link", O_RDWR | O_TRUNC), ELOOP);
  EXPECT_ERRNO(fs->SetAttributes(link.node, {.size = 0}), EINVAL);
  EXPECT_ERRNO(fs->SetAttributes(link.node, {.mode = 0}), EOPNOTSUPP);
  const Entry up = Must(fs->Lookup(kRoot, "up"));
  EXPECT_ERRNO(fs->Lookup(up.node, "secret"), ENOTDIR);
  EXPECT_ERRNO(fs->OpenDirectory(up.node), ENOTDIR);
  EXPECT_EQ(ReadHost(Outside("secret")), "secret");
}

TEST_F(PassthroughFilesystemTest, ADirectoryTheHostMovesAwayHasNoWayUp) {
  const Entry directory = Must(fs->MakeDirectory(kRoot, "d"));
  ASSERT_EQ(::rename(Host("d").c_str(), Outside("d").c_str()), 0);
  EXPECT_ERRNO(fs->Lookup(directory.node, ".."), ENOENT);
}

TEST_F(PassthroughFilesystemTest, TheRootsDotDotTellsNothingOfWhatIsAbove) {
  const uint64_t root = Must(fs->GetAttributes(kRoot)).stx_ino;
  for (const auto& entry : ReadPlus(kRoot)) EXPECT_EQ(entry.ino, root) << entry.name;
}

// --- identity ---

TEST_F(PassthroughFilesystemTest, AHardLinkIsTheSameNodeAndARenameKeepsIt) {
  WriteHost(Host("a"), "");
  ASSERT_EQ(::link(Host("a").c_str(), Host("b").c_str()), 0);
  const NodeId node = Must(fs->Lookup(kRoot, "a")).node;
  EXPECT_EQ(Must(fs->Lookup(kRoot, "b")).node, node);
  ASSERT_EQ(::rename(Host("a").c_str(), Host("c").c_str()), 0);
  EXPECT_EQ(Must(fs->Lookup(kRoot, "c")).node, node);
}

TEST_F(PassthroughFilesystemTest, AFileMadeAnewIsAnotherNode) {
  WriteHost(Host("file"), "old");
  const NodeId old = Must(fs->Lookup(kRoot, "file")).node;
  ASSERT_EQ(::unlink(Host("file").c_str()), 0);
  WriteHost(Host("file"), "new");
  const NodeId fresh = Must(fs->Lookup(kRoot, "file")).node;
  EXPECT_NE(fresh, old);
  EXPECT_EQ(Must(fs->Contents(old)), "old");
  EXPECT_EQ(Must(fs->Contents(fresh)), "new");
}

TEST_F(PassthroughFilesystemTest, AForgottenNodeIsStaleEvenIfItsSlotIsUsedAgain) {
  WriteHost(Host("a"), "a");
  WriteHost(Host("b"), "b");
  const NodeId a = Must(fs->Lookup(kRoot, "a")).node;
  filesystem_->Forget(a, 1);
  const NodeId b = Must(fs->Lookup(kRoot, "b")).node;
  EXPECT_NE(a, b);
  EXPECT_ERRNO(fs->GetAttributes(a), ESTALE);
  EXPECT_ERRNO(fs->GetAttributes(NodeId{0}), ESTALE);
  EXPECT_ERRNO(fs->Lookup(NodeId{~uint64_t{0}}, "a"), ESTALE);
}

// --- creating and opening ---

// What makes the C virtiofsd abort: it opens the existing file again with O_CREAT and no mode.
TEST_F(PassthroughFilesystemTest, CreateOfAnExistingNameOpensItWithoutCreatingAgain) {
  WriteHost(Host("file"), "text");
  ASSERT_EQ(::chmod(Host("file").c_str(), 0640), 0);
  const CreatedFile file = Must(fs->Create(kRoot, "file", O_CREAT | O_RDWR, 0777));
  EXPECT_EQ(file.entry.attributes.stx_mode & 07777, 0640);
  EXPECT_EQ(Must(fs->Read(file.entry.node, file.handle, 0, 10)), "text");
  EXPECT_ERRNO(fs->Create(kRoot, "file", O_CREAT | O_EXCL | O_RDWR), EEXIST);
  Must(fs->Create(kRoot, "file", O_CREAT | O_TRUNC | O_RDWR));
  EXPECT_EQ(ReadHost(Host("file")), "");
}

TEST_F(PassthroughFilesystemTest, CreateAnswersWhatIsNoFileWithItsErrno) {
  ASSERT_EQ(::mkfifo(Host("fifo").c_str(), 0666), 0);
  ASSERT_EQ(::mkdir(Host("directory").c_str(), 0777), 0);
  EXPECT_ERRNO(fs->Create(kRoot, "fifo", O_CREAT | O_RDWR), ENXIO);
  EXPECT_ERRNO(fs->Create(kRoot, "directory", O_CREAT | O_RDWR), EISDIR);
  EXPECT_ERRNO(fs->Create(kRoot, "directory", O_CREAT | O_RDONLY), EISDIR);
  EXPECT_EQ(filesystem_->Usage().inodes, 1u);
}

TEST_F(PassthroughFilesystemTest, TheGuestsUmaskAppliesNotOurs) {
  ::umask(077);
  ServeWith({});
  EXPECT_EQ(Must(fs->Create(kRoot, "a", O_RDWR, 0666, 0)).entry.attributes.stx_mode & 07777, 0666);
  EXPECT_EQ(Must(fs->Create(kRoot, "b", O_RDWR, 0666, 026)).entry.attributes.stx_mode & 07777,
            0640);
}

TEST_F(PassthroughFilesystemTest, ModesThatAreNoModesAreRefused) {
  EXPECT_ERRNO(fs->Create(kRoot, "a", O_RDWR, 0200644), EINVAL);
  EXPECT_ERRNO(fs->Create(kRoot, "a", O_RDWR, S_IFIFO | 0644), EINVAL);
  EXPECT_ERRNO(fs->MakeDirectory(kRoot, "a", S_IFREG | 0755), EINVAL);
  EXPECT_ERRNO(fs->MakeNode(kRoot, "a", S_IFDIR | 0755), EPERM);
  EXPECT_ERRNO(fs->MakeNode(kRoot, "a", S_IFLNK | 0755), EINVAL);
  EXPECT_ERRNO(fs->SetAttributes(kRoot, {.mode = 01000000}), EINVAL);
}

TEST_F(PassthroughFilesystemTest, OpenFlagsThatLeadElsewhereDoNotPass) {
  WriteHost(Host("file"), "text");
  const NodeId file = Must(fs->Lookup(kRoot, "file")).node;
  EXPECT_ERRNO(Open(file, O_PATH), EINVAL);
  EXPECT_ERRNO(Open(file, O_TMPFILE | O_RDWR), EINVAL);
  EXPECT_ERRNO(Open(kRoot, O_TMPFILE | O_RDWR), EINVAL);
  EXPECT_ERRNO(Open(file, O_DIRECTORY), ENOTDIR);
  EXPECT_ERRNO(Open(kRoot, O_RDONLY), EISDIR);
  const FileHandle handle = Must(fs->Open(file, O_RDWR | O_CREAT | O_EXCL | O_DIRECT));
  EXPECT_EQ(Must(fs->Read(file, handle, 1, 2)), "ex");
}

// --- reading and writing ---

TEST_F(PassthroughFilesystemTest, MoreVectorsThanTheKernelTakesAreMovedWhole) {
  constexpr size_t kVectors = 3000;
  const CreatedFile file = Must(fs->Create(kRoot, "file", O_RDWR));
  std::string data;
  for (size_t i = 0; i < 2 * kVectors; ++i) data.push_back(static_cast<char>('a' + i % 23));
  std::vector<iovec> vectors;
  for (size_t i = 0; i < kVectors; ++i) vectors.push_back({data.data() + 2 * i, 2});

  EXPECT_EQ(Must(fs->Await<size_t>([&](auto call) {
              return filesystem_->Write(call, file.entry.node, file.handle, 0, vectors, {});
            })),
            data.size());
  EXPECT_EQ(ReadHost(Host("file")), data);
  std::string read(data.size(), '\0');
  for (size_t i = 0; i < kVectors; ++i) vectors[i].iov_base = read.data() + 2 * i;
  EXPECT_EQ(Must(fs->Await<size_t>([&](auto call) {
              return filesystem_->Read(call, file.entry.node, file.handle, 0, vectors);
            })),
            data.size());
  EXPECT_EQ(read, data);
}

TEST_F(PassthroughFilesystemTest, OffsetsBeyondTheKernelsAreRefused) {
  const CreatedFile file = Must(fs->Create(kRoot, "file", O_RDWR));
  Must(fs->Write(file.entry.node, file.handle, 0, "text"));
  // To preadv2 an offset of -1 is the fd's own position.
  EXPECT_ERRNO(fs->Read(file.entry.node, file.handle, ~uint64_t{0}, 4), EINVAL);
  EXPECT_ERRNO(fs->Write(file.entry.node, file.handle, ~uint64_t{0}, "x"), EINVAL);
  EXPECT_ERRNO(fs->SetAttributes(file.entry.node, {.size = ~uint64_t{0}}), EFBIG);
  EXPECT_EQ(ReadHost(Host("file")), "text");
}

TEST_F(PassthroughFilesystemTest, APageOfTheGuestsCacheGoesToItsPlaceEvenThroughAnAppendingHandle) {
  WriteHost(Host("file"), "0123456789");
  const NodeId file = Must(fs->Lookup(kRoot, "file")).node;
  const FileHandle handle = Must(fs->Open(file, O_RDWR | O_APPEND));
  Must(Write(file, handle, 2, "xx", {.writeback = true}));
  EXPECT_EQ(ReadHost(Host("file")), "01xx456789");
}

TEST_F(PassthroughFilesystemTest, AppendFollowsTheGuestsPresentFlags) {
  WriteHost(Host("file"), "0123");
  const NodeId file = Must(fs->Lookup(kRoot, "file")).node;
  const FileHandle appending = Must(fs->Open(file, O_RDWR | O_APPEND));
  Must(Write(file, appending, 0, "x", {.append = false}));
  EXPECT_EQ(ReadHost(Host("file")), "x123");
  const FileHandle plain = Must(fs->Open(file, O_RDWR));
  Must(Write(file, plain, 0, "y", {.append = true}));
  EXPECT_EQ(ReadHost(Host("file")), "x123y");
}

TEST_F(PassthroughFilesystemTest, FlushAndFsyncSucceedOnOpenFiles) {
  const CreatedFile file = Must(fs->Create(kRoot, "file", O_RDWR));
  const FileHandle directory = Must(fs->OpenDirectory(kRoot));
  const NodeId node = file.entry.node;
  EXPECT_SUCCESS(
      fs->Await<void>([&](auto c) { return filesystem_->Flush(c, node, file.handle, 1); }));
  EXPECT_SUCCESS(
      fs->Await<void>([&](auto c) { return filesystem_->Fsync(c, node, file.handle, true); }));
  EXPECT_SUCCESS(fs->Await<void>(
      [&](auto c) { return filesystem_->FsyncDirectory(c, kRoot, directory, false); }));
  EXPECT_ERRNO(fs->Await<void>([&](auto c) { return filesystem_->Flush(c, kRoot, directory, 1); }),
               EBADF);
}

TEST_F(PassthroughFilesystemTest, FlushLeavesNoDescriptor) {
  const CreatedFile file = Must(fs->Create(kRoot, "file", O_RDWR));
  const int before = OpenFdCount();
  EXPECT_SUCCESS(fs->Await<void>(
      [&](auto call) { return filesystem_->Flush(call, file.entry.node, file.handle, 1); }));
  EXPECT_EQ(OpenFdCount(), before);
}

TEST_F(PassthroughFilesystemTest, FsyncOfADirectoryTakesItsOwnHandleOnly) {
  const CreatedFile file = Must(fs->Create(kRoot, "file", O_RDWR));
  const NodeId other = Must(fs->MakeDirectory(kRoot, "other")).node;
  const FileHandle directory = Must(fs->OpenDirectory(kRoot));
  const auto sync = [&](NodeId node, FileHandle handle) {
    return fs->Await<void>(
        [&](auto call) { return filesystem_->FsyncDirectory(call, node, handle, false); });
  };
  EXPECT_SUCCESS(sync(kRoot, directory));
  EXPECT_ERRNO(sync(other, directory), EBADF);
  EXPECT_ERRNO(sync(file.entry.node, file.handle), EBADF);
  EXPECT_ERRNO(sync(kRoot, FileHandle{99999}), EBADF);
}

TEST_F(PassthroughFilesystemTest, WhatTheHostSaysOfASyncIsAnswered) {
  // Nothing in procfs can be synced.
  const auto served = Serve("/proc/sys/kernel");
  const backends::FilesystemDriver proc(*served);
  const NodeId file = Must(proc.Lookup(kRoot, "ostype")).node;
  const FileHandle handle = Must(proc.Open(file, O_RDONLY));
  const FileHandle directory = Must(proc.OpenDirectory(kRoot));
  for (const bool data_only : {false, true}) {
    EXPECT_ERRNO(
        proc.Await<void>([&](auto call) { return served->Fsync(call, file, handle, data_only); }),
        EINVAL);
    EXPECT_ERRNO(proc.Await<void>([&](auto call) {
      return served->FsyncDirectory(call, kRoot, directory, data_only);
    }),
                 EINVAL);
  }
}

TEST_F(PassthroughFilesystemTest, AttributesByAHandleAreItsOwnInodesWhileItIsOpen) {
  const CreatedFile file = Must(fs->Create(kRoot, "file", O_RDWR));
  const NodeId node = file.entry.node;
  Must(fs->Write(node, file.handle, 0, "text"));
  const auto attributes = [&](NodeId of, FileHandle handle) {
    return fs->Await<Attributes>(
        [&](auto call) { return filesystem_->GetAttributes(call, of, handle); });
  };
  EXPECT_EQ(Must(attributes(node, file.handle)).stx_size, 4u);
  EXPECT_EQ(Must(attributes(node, file.handle)).stx_ino, file.entry.attributes.stx_ino);
  EXPECT_ERRNO(attributes(kRoot, file.handle), EBADF);
  EXPECT_SUCCESS(fs->Release(node, file.handle));
  EXPECT_ERRNO(attributes(node, file.handle), EBADF);
}

TEST_F(PassthroughFilesystemTest, ASizeIsSetWithAHandleThatCannotWriteToo) {
  WriteHost(Host("file"), "0123456789");
  const NodeId node = Must(fs->Lookup(kRoot, "file")).node;
  const FileHandle handle = Must(fs->Open(node, O_RDONLY));
  EXPECT_SUCCESS(fs->Await<Attributes>(
      [&](auto call) { return filesystem_->SetAttributes(call, node, handle, {.size = 4}); }));
  EXPECT_EQ(ReadHost(Host("file")), "0123");
}

// --- directories ---

TEST_F(PassthroughFilesystemTest, ReadDirectoryPlusTakesOneLookupPerEntryButNotForTheDots) {
  WriteHost(Host("file"), "");
  const NodeId file = Must(fs->Lookup(kRoot, "file")).node;
  for (const auto& entry : ReadPlus(kRoot)) {
    EXPECT_EQ(entry.entry.has_value(), entry.name == "file");
  }
  filesystem_->Forget(file, 1);
  EXPECT_SUCCESS(fs->GetAttributes(file));
  filesystem_->Forget(file, 1);
  EXPECT_ERRNO(fs->GetAttributes(file), ESTALE);
}

TEST_F(PassthroughFilesystemTest, AnEntryThatCannotBeLookedUpIsStillListed) {
  ServeWith({.max_inodes = 2});
  WriteHost(Host("a"), "");
  WriteHost(Host("b"), "");
  size_t with_entry = 0;
  const auto entries = ReadPlus(kRoot);
  for (const auto& entry : entries) with_entry += entry.entry.has_value() ? 1 : 0;
  EXPECT_EQ(entries.size(), 4u);
  EXPECT_EQ(with_entry, 1u);
}

TEST_F(PassthroughFilesystemTest, OneHandleReadByManyAtOnceGivesEachItsOwnPart) {
  for (int i = 0; i < 200; ++i) WriteHost(Host("file" + std::to_string(i)), "");
  const FileHandle handle = Must(fs->OpenDirectory(kRoot));
  EntryCollector all(1000);
  EXPECT_SUCCESS(fs->ReadDirectory(kRoot, handle, 0, all, false));
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      for (int round = 0; round < 100; ++round) {
        const size_t start = (thread * 50 + round) % 190;
        EntryCollector part(3);
        EXPECT_SUCCESS(
            fs->ReadDirectory(kRoot, handle, all.entries[start].next_offset, part, false));
        EXPECT_EQ(part.entries.size(), 3u);
        EXPECT_EQ(part.entries[0].name, all.entries[start + 1].name);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace fsd::passthrough
