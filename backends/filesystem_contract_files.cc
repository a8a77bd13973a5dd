// What the contract says of open files.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "backends/filesystem_contract.h"
#include "gmock/gmock.h"

namespace fsd::backends {
namespace {

using ::testing::Each;

TEST_P(FilesystemContract, WhatIsWrittenIsRead) {
  const CreatedFile file = Must(fs.Create(kRoot, "file", O_RDWR));
  EXPECT_EQ(Must(fs.Write(file.entry.node, file.handle, 0, "hello world")), 11u);
  EXPECT_EQ(Must(fs.Write(file.entry.node, file.handle, 6, "there")), 5u);
  EXPECT_EQ(Must(fs.Read(file.entry.node, file.handle, 0, 100)), "hello there");
  EXPECT_EQ(Must(fs.Read(file.entry.node, file.handle, 6, 3)), "the");
  EXPECT_EQ(Must(fs.Read(file.entry.node, file.handle, 11, 5)), "");
  EXPECT_EQ(Must(fs.Read(file.entry.node, file.handle, 1000, 5)), "");
}

TEST_P(FilesystemContract, AHoleReadsAsZeros) {
  const CreatedFile file = Must(fs.Create(kRoot, "file", O_RDWR));
  constexpr uint64_t kFar = uint64_t{5} << 30;
  EXPECT_EQ(Must(fs.Write(file.entry.node, file.handle, kFar, "far")), 3u);
  EXPECT_EQ(Must(fs.GetAttributes(file.entry.node)).stx_size, kFar + 3);
  EXPECT_THAT(Must(fs.Read(file.entry.node, file.handle, kFar - 100, 100)), Each('\0'));
  EXPECT_EQ(Must(fs.Read(file.entry.node, file.handle, kFar, 100)), "far");
}

TEST_P(FilesystemContract, AppendedDataGoesToTheEnd) {
  const Entry file = Must(fs.MakeFile(kRoot, "file", "one"));
  const FileHandle first = Must(fs.Open(file.node, O_WRONLY | O_APPEND));
  const FileHandle second = Must(fs.Open(file.node, O_WRONLY | O_APPEND));
  Must(fs.Write(file.node, first, 3, "two"));
  // From another guest, whose idea of the end is old.
  Must(fs.Write(file.node, second, 3, "three"));
  EXPECT_EQ(Must(fs.Contents(file.node)), "onetwothree");
}

TEST_P(FilesystemContract, WhetherAWriteAppendsMayChangeAfterOpening) {
  const Entry file = Must(fs.MakeFile(kRoot, "file", "0123"));
  const FileHandle appending = Must(fs.Open(file.node, O_WRONLY | O_APPEND));
  const FileHandle plain = Must(fs.Open(file.node, O_WRONLY));
  Must(fs.Write(file.node, appending, 0, "a", {.append = false}));
  Must(fs.Write(file.node, plain, 0, "b", {.append = true}));
  // What the guest writes back from its cache knows its place.
  Must(fs.Write(file.node, appending, 1, "c", {.writeback = true, .append = true}));
  EXPECT_EQ(Must(fs.Contents(file.node)), "ac23b");
}

TEST_P(FilesystemContract, OpeningWithTruncEmptiesTheFile) {
  const Entry file = Must(fs.MakeFile(kRoot, "file", "text"));
  Must(fs.Open(file.node, O_WRONLY | O_TRUNC));
  EXPECT_EQ(Must(fs.GetAttributes(file.node)).stx_size, 0u);
}

TEST_P(FilesystemContract, AHandleDoesOnlyWhatItWasOpenedFor) {
  const Entry file = Must(fs.MakeFile(kRoot, "file", "text"));
  const FileHandle reader = Must(fs.Open(file.node, O_RDONLY));
  const FileHandle writer = Must(fs.Open(file.node, O_WRONLY));
  EXPECT_ERRNO(fs.Write(file.node, reader, 0, "x"), EBADF);
  EXPECT_ERRNO(fs.Read(file.node, writer, 0, 1), EBADF);
}

TEST_P(FilesystemContract, HandlesThatAreStaleInventedOrOfAnotherInodeAreRefused) {
  const Entry file = Must(fs.MakeFile(kRoot, "file", "text"));
  const Entry other = Must(fs.MakeFile(kRoot, "other", "text"));
  const FileHandle handle = Must(fs.Open(file.node, O_RDWR));
  EXPECT_ERRNO(fs.Read(other.node, handle, 0, 4), EBADF);
  EXPECT_ERRNO(fs.Write(other.node, handle, 0, "x"), EBADF);
  EXPECT_ERRNO(fs.Release(other.node, handle), EBADF);
  EXPECT_ERRNO(fs.Read(file.node, FileHandle{99999}, 0, 4), EBADF);
  EXPECT_ERRNO(fs.Read(file.node, FileHandle{~uint64_t{0}}, 0, 4), EBADF);
  EXPECT_SUCCESS(fs.Release(file.node, handle));
  EXPECT_ERRNO(fs.Read(file.node, handle, 0, 4), EBADF);
  EXPECT_ERRNO(fs.Release(file.node, handle), EBADF);
}

TEST_P(FilesystemContract, ADirectorysHandleIsNoFiles) {
  const Entry directory = Must(fs.MakeDirectory(kRoot, "d"));
  const FileHandle handle = Must(fs.OpenDirectory(directory.node));
  EXPECT_FALSE(fs.Read(directory.node, handle, 0, 4).ok());
  EXPECT_FALSE(fs.Write(directory.node, handle, 0, "x").ok());
  EXPECT_FALSE(fs.Open(directory.node, O_RDWR).ok());
  const Entry file = Must(fs.MakeFile(kRoot, "file", ""));
  const FileHandle file_handle = Must(fs.Open(file.node, O_RDONLY));
  EntryCollector collector(10);
  EXPECT_FALSE(fs.ReadDirectory(file.node, file_handle, 0, collector, false).ok());
}

TEST_P(FilesystemContract, NoHandleIsAnothersWay) {
  const Entry file = Must(fs.MakeFile(kRoot, "file", "text"));
  EXPECT_ERRNO(fs.Read(file.node, kNoHandle, 0, 4), EBADF);
  EXPECT_ERRNO(fs.Write(file.node, kNoHandle, 0, "x"), EBADF);
  EXPECT_ERRNO(fs.Seek(file.node, kNoHandle, 0, SEEK_DATA), EBADF);
  EXPECT_ERRNO(fs.Release(file.node, kNoHandle), EBADF);
}

TEST_P(FilesystemContract, ATemporaryFileHasNoNameUntilItIsLinked) {
  const CreatedFile file = Must(fs.CreateTemporary(kRoot, O_RDWR, 0666, 022));
  const NodeId node = file.entry.node;
  EXPECT_EQ(file.entry.attributes.stx_nlink, 0u);
  EXPECT_EQ(file.entry.attributes.stx_mode, S_IFREG | 0644);
  EXPECT_EQ(Must(fs.Names(kRoot)).size(), 2u);
  Must(fs.Write(node, file.handle, 0, "text"));

  const Entry linked = Must(fs.Link(node, kRoot, "named"));
  EXPECT_EQ(linked.node, node);
  EXPECT_EQ(linked.attributes.stx_nlink, 1u);
  EXPECT_EQ(Must(fs.Contents(Must(fs.Lookup(kRoot, "named")).node)), "text");
}

TEST_P(FilesystemContract, ATemporaryFileMayStayWithoutANameForEver) {
  const CreatedFile file = Must(fs.CreateTemporary(kRoot, O_RDWR | O_EXCL));
  EXPECT_ERRNO(fs.Link(file.entry.node, kRoot, "named"), ENOENT);
  EXPECT_EQ(Must(fs.Write(file.entry.node, file.handle, 0, "text")), 4u);
}

TEST_P(FilesystemContract, ATemporaryFileIsMadeForWritingInADirectory) {
  const Entry file = Must(fs.MakeFile(kRoot, "file", ""));
  EXPECT_ERRNO(fs.CreateTemporary(kRoot, O_RDONLY), EINVAL);
  EXPECT_ERRNO(fs.CreateTemporary(file.node, O_RDWR), ENOTDIR);
  EXPECT_ERRNO(fs.CreateTemporary(NodeId{777}, O_RDWR), ESTALE);
}

TEST_P(FilesystemContract, AnUnlinkedFileGetsNoNameAgain) {
  const CreatedFile file = Must(fs.Create(kRoot, "file", O_RDWR));
  EXPECT_SUCCESS(fs.Unlink(kRoot, "file"));
  EXPECT_ERRNO(fs.Link(file.entry.node, kRoot, "again"), ENOENT);
}

TEST_P(FilesystemContract, IoctlsAreServedAsDeclared) {
  const CreatedFile file = Must(fs.Create(kRoot, "file", O_RDWR));
  constexpr uint32_t kUnknown = 0x12345678;
  EXPECT_ERRNO(fs.Ioctl(file.entry.node, file.handle, kUnknown, "", 16),
               features().ioctls ? ENOTTY : ENOSYS);
}

}  // namespace
}  // namespace fsd::backends
