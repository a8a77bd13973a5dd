#include "backends/filesystem_contract.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <unistd.h>

#include <set>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"

namespace fsd::backends {
namespace {

using ::testing::Each;
using ::testing::UnorderedElementsAre;

constexpr NodeId kRoot = kRootNodeId;

std::string Reversed(const std::string& text) { return {text.rbegin(), text.rend()}; }

// --- names ---

TEST_P(FilesystemContract, TheRootIsADirectory) {
  const Attributes root = Must(fs.GetAttributes(kRoot));
  EXPECT_TRUE(S_ISDIR(root.stx_mode));
  EXPECT_EQ(Must(fs.Lookup(kRoot, ".")).node, kRoot);
}

TEST_P(FilesystemContract, DotDotOfTheRootIsTheRoot) {
  EXPECT_EQ(Must(fs.Lookup(kRoot, "..")).node, kRoot);
}

TEST_P(FilesystemContract, DotDotOfADirectoryIsItsParent) {
  const Entry outer = Must(fs.MakeDirectory(kRoot, "outer"));
  const Entry inner = Must(fs.MakeDirectory(outer.node, "inner"));
  EXPECT_EQ(Must(fs.Lookup(inner.node, "..")).node, outer.node);
  EXPECT_EQ(Must(fs.Lookup(outer.node, "..")).node, kRoot);
}

TEST_P(FilesystemContract, AMissingNameIsNotFound) {
  EXPECT_ERRNO(fs.Lookup(kRoot, "absent"), ENOENT);
  EXPECT_ERRNO(fs.Unlink(kRoot, "absent"), ENOENT);
  EXPECT_ERRNO(fs.RemoveDirectory(kRoot, "absent"), ENOENT);
  EXPECT_ERRNO(fs.Rename(kRoot, "absent", kRoot, "other"), ENOENT);
}

TEST_P(FilesystemContract, ANameTooLongIsSaidToBe) {
  const std::string name(256, 'n');
  EXPECT_ERRNO(fs.Lookup(kRoot, name), ENAMETOOLONG);
  EXPECT_ERRNO(fs.Create(kRoot, name, O_RDWR), ENAMETOOLONG);
  EXPECT_ERRNO(fs.MakeDirectory(kRoot, name), ENAMETOOLONG);
  EXPECT_SUCCESS(fs.MakeDirectory(kRoot, std::string(255, 'n')));
}

TEST_P(FilesystemContract, NamesThatAreNoNamesAreRefused) {
  for (const std::string_view name : {"", "a/b", "/", "../x"}) {
    EXPECT_FALSE(fs.Lookup(kRoot, name).ok()) << name;
    EXPECT_FALSE(fs.Create(kRoot, name, O_RDWR).ok()) << name;
    EXPECT_FALSE(fs.MakeDirectory(kRoot, name).ok()) << name;
    EXPECT_FALSE(fs.Symlink(kRoot, name, "target").ok()) << name;
  }
  for (const std::string_view name : {".", ".."}) {
    EXPECT_FALSE(fs.Create(kRoot, name, O_RDWR).ok()) << name;
    EXPECT_FALSE(fs.MakeDirectory(kRoot, name).ok()) << name;
    EXPECT_FALSE(fs.Unlink(kRoot, name).ok()) << name;
    EXPECT_FALSE(fs.RemoveDirectory(kRoot, name).ok()) << name;
    EXPECT_FALSE(fs.Rename(kRoot, name, kRoot, "x").ok()) << name;
  }
}

TEST_P(FilesystemContract, AFileIsNoDirectory) {
  const Entry file = Must(fs.MakeFile(kRoot, "file", ""));
  EXPECT_ERRNO(fs.Lookup(file.node, "x"), ENOTDIR);
  EXPECT_ERRNO(fs.Create(file.node, "x", O_RDWR), ENOTDIR);
  EXPECT_ERRNO(fs.RemoveDirectory(kRoot, "file"), ENOTDIR);
  EXPECT_ERRNO(fs.OpenDirectory(file.node), ENOTDIR);
}

TEST_P(FilesystemContract, ANameThatExistsIsNotMadeAgain) {
  Must(fs.MakeFile(kRoot, "file", "kept"));
  EXPECT_ERRNO(fs.MakeDirectory(kRoot, "file"), EEXIST);
  EXPECT_ERRNO(fs.Symlink(kRoot, "file", "x"), EEXIST);
  EXPECT_ERRNO(fs.MakeNode(kRoot, "file", S_IFIFO | 0600), EEXIST);
  EXPECT_ERRNO(fs.Create(kRoot, "file", O_RDWR | O_EXCL), EEXIST);
  EXPECT_EQ(Must(fs.Contents(Must(fs.Lookup(kRoot, "file")).node)), "kept");
}

TEST_P(FilesystemContract, CreatingANameThatExistsOpensIt) {
  const Entry made = Must(fs.MakeFile(kRoot, "file", "kept"));
  const CreatedFile again = Must(fs.Create(kRoot, "file", O_RDWR));
  EXPECT_EQ(again.entry.node, made.node);
  EXPECT_EQ(Must(fs.Read(made.node, again.handle, 0, 10)), "kept");
}

TEST_P(FilesystemContract, CreatingThroughASymlinkDoesNotFollowIt) {
  Must(fs.Symlink(kRoot, "link", "target"));
  EXPECT_FALSE(fs.Create(kRoot, "link", O_RDWR).ok());
  EXPECT_ERRNO(fs.Lookup(kRoot, "target"), ENOENT);
}

TEST_P(FilesystemContract, TheUmaskAppliesToWhatIsMade) {
  const CreatedFile file = Must(fs.Create(kRoot, "file", O_RDWR, 0666, 027));
  EXPECT_EQ(file.entry.attributes.stx_mode & 07777, 0640);
}

TEST_P(FilesystemContract, EveryNodeTypeThatNeedsNoPrivilegeCanBeMade) {
  EXPECT_TRUE(S_ISFIFO(Must(fs.MakeNode(kRoot, "fifo", S_IFIFO | 0600)).attributes.stx_mode));
  EXPECT_TRUE(S_ISSOCK(Must(fs.MakeNode(kRoot, "socket", S_IFSOCK | 0600)).attributes.stx_mode));
  EXPECT_TRUE(S_ISREG(Must(fs.MakeNode(kRoot, "file", S_IFREG | 0600)).attributes.stx_mode));
}

TEST_P(FilesystemContract, FifosAndSocketsAreNotOpenedOnTheHost) {
  const Entry fifo = Must(fs.MakeNode(kRoot, "fifo", S_IFIFO | 0600));
  const Entry socket = Must(fs.MakeNode(kRoot, "socket", S_IFSOCK | 0600));
  EXPECT_FALSE(fs.Open(fifo.node, O_RDWR).ok());
  EXPECT_FALSE(fs.Open(socket.node, O_RDWR).ok());
}

TEST_P(FilesystemContract, ASymlinkGivesItsTargetBack) {
  const Entry link = Must(fs.Symlink(kRoot, "link", "some/../target"));
  EXPECT_TRUE(S_ISLNK(link.attributes.stx_mode));
  EXPECT_EQ(Must(fs.ReadLink(link.node)), "some/../target");
  EXPECT_EQ(Must(fs.ReadLink(link.node, 4)), "some");
  EXPECT_ERRNO(fs.ReadLink(kRoot), EINVAL);
}

TEST_P(FilesystemContract, HardLinksAreOneInode) {
  const Entry file = Must(fs.MakeFile(kRoot, "file", "text"));
  const Entry linked = Must(fs.Link(file.node, kRoot, "hard"));
  EXPECT_EQ(linked.node, file.node);
  EXPECT_EQ(linked.attributes.stx_nlink, 2u);
  EXPECT_SUCCESS(fs.Unlink(kRoot, "file"));
  EXPECT_EQ(Must(fs.GetAttributes(linked.node)).stx_nlink, 1u);
  EXPECT_EQ(Must(fs.Contents(Must(fs.Lookup(kRoot, "hard")).node)), "text");
}

TEST_P(FilesystemContract, ADirectoryCannotBeHardLinked) {
  const Entry directory = Must(fs.MakeDirectory(kRoot, "d"));
  EXPECT_ERRNO(fs.Link(directory.node, kRoot, "hard"), EPERM);
}

TEST_P(FilesystemContract, OnlyAnEmptyDirectoryIsRemoved) {
  const Entry directory = Must(fs.MakeDirectory(kRoot, "d"));
  Must(fs.MakeFile(directory.node, "file", ""));
  EXPECT_ERRNO(fs.RemoveDirectory(kRoot, "d"), ENOTEMPTY);
  EXPECT_FALSE(fs.Unlink(kRoot, "d").ok());
  EXPECT_SUCCESS(fs.Unlink(directory.node, "file"));
  EXPECT_SUCCESS(fs.RemoveDirectory(kRoot, "d"));
  EXPECT_ERRNO(fs.Lookup(kRoot, "d"), ENOENT);
  EXPECT_ERRNO(fs.MakeDirectory(directory.node, "in-a-removed-one"), ENOENT);
}

TEST_P(FilesystemContract, RenameMovesAndReplaces) {
  const Entry directory = Must(fs.MakeDirectory(kRoot, "d"));
  const Entry moved = Must(fs.MakeFile(kRoot, "a", "moved"));
  const Entry replaced = Must(fs.MakeFile(directory.node, "b", "replaced"));
  EXPECT_SUCCESS(fs.Rename(kRoot, "a", directory.node, "b"));
  EXPECT_ERRNO(fs.Lookup(kRoot, "a"), ENOENT);
  EXPECT_EQ(Must(fs.Lookup(directory.node, "b")).node, moved.node);
  EXPECT_EQ(Must(fs.GetAttributes(replaced.node)).stx_nlink, 0u);
}

TEST_P(FilesystemContract, RenameKeepsTheRulesOfDirectories) {
  const Entry directory = Must(fs.MakeDirectory(kRoot, "d"));
  const Entry inner = Must(fs.MakeDirectory(directory.node, "inner"));
  Must(fs.MakeFile(kRoot, "file", ""));
  EXPECT_ERRNO(fs.Rename(kRoot, "d", inner.node, "loop"), EINVAL);
  EXPECT_ERRNO(fs.Rename(kRoot, "d", kRoot, "file"), ENOTDIR);
  EXPECT_ERRNO(fs.Rename(kRoot, "file", kRoot, "d"), EISDIR);
  Must(fs.MakeDirectory(kRoot, "e"));
  EXPECT_ERRNO(fs.Rename(kRoot, "e", kRoot, "d"), ENOTEMPTY);
  EXPECT_SUCCESS(fs.Rename(directory.node, "inner", kRoot, "e"));
  EXPECT_EQ(Must(fs.Lookup(inner.node, "..")).node, kRoot);
}

TEST_P(FilesystemContract, RenameFlagsAreHonoured) {
  const Entry a = Must(fs.MakeFile(kRoot, "a", "a"));
  const Entry b = Must(fs.MakeFile(kRoot, "b", "b"));
  EXPECT_ERRNO(fs.Rename(kRoot, "a", kRoot, "b", RENAME_NOREPLACE), EEXIST);
  EXPECT_SUCCESS(fs.Rename(kRoot, "a", kRoot, "b", RENAME_EXCHANGE));
  EXPECT_EQ(Must(fs.Lookup(kRoot, "a")).node, b.node);
  EXPECT_EQ(Must(fs.Lookup(kRoot, "b")).node, a.node);
  EXPECT_ERRNO(fs.Rename(kRoot, "a", kRoot, "c", RENAME_EXCHANGE), ENOENT);
  EXPECT_ERRNO(fs.Rename(kRoot, "a", kRoot, "b", RENAME_EXCHANGE | RENAME_NOREPLACE), EINVAL);
  EXPECT_ERRNO(fs.Rename(kRoot, "a", kRoot, "b", 1u << 20), EINVAL);
}

TEST_P(FilesystemContract, RenamingOneHardLinkOverTheOtherChangesNothing) {
  const Entry file = Must(fs.MakeFile(kRoot, "a", ""));
  Must(fs.Link(file.node, kRoot, "b"));
  EXPECT_SUCCESS(fs.Rename(kRoot, "a", kRoot, "b"));
  EXPECT_EQ(Must(fs.Lookup(kRoot, "a")).node, file.node);
  EXPECT_EQ(Must(fs.GetAttributes(file.node)).stx_nlink, 2u);
}

// --- lookup counts ---

TEST_P(FilesystemContract, LookupsOfOneInodeGiveOneNode) {
  const Entry made = Must(fs.MakeFile(kRoot, "file", ""));
  EXPECT_EQ(Must(fs.Lookup(kRoot, "file")).node, made.node);
  EXPECT_EQ(fs.filesystem().Usage().inodes, 2u);
}

TEST_P(FilesystemContract, AnInodeIsKnownUntilAllItsLookupsAreGivenBack) {
  const Entry file = Must(fs.MakeFile(kRoot, "file", ""));
  Must(fs.Lookup(kRoot, "file"));
  fs.filesystem().Forget(file.node, 1);
  EXPECT_SUCCESS(fs.GetAttributes(file.node));
  fs.filesystem().Forget(file.node, 1);
  EXPECT_ERRNO(fs.GetAttributes(file.node), ESTALE);
  EXPECT_EQ(fs.filesystem().Usage().inodes, 1u);
}

TEST_P(FilesystemContract, ForgettingTooMuchForgetsAll) {
  const Entry file = Must(fs.MakeFile(kRoot, "file", "text"));
  fs.filesystem().Forget(file.node, ~uint64_t{0});
  EXPECT_ERRNO(fs.GetAttributes(file.node), ESTALE);
  EXPECT_EQ(Must(fs.Contents(Must(fs.Lookup(kRoot, "file")).node)), "text");
}

TEST_P(FilesystemContract, ForgettingTheRootOrTheUnknownDoesNothing) {
  fs.filesystem().Forget(kRoot, 100);
  fs.filesystem().Forget(NodeId{0}, 1);
  fs.filesystem().Forget(NodeId{12345}, 1);
  fs.filesystem().Forget(NodeId{~uint64_t{0}}, 1);
  EXPECT_SUCCESS(fs.GetAttributes(kRoot));
}

TEST_P(FilesystemContract, AForgottenNumberNeverNamesAnotherInode) {
  const Entry first = Must(fs.MakeFile(kRoot, "first", ""));
  fs.filesystem().Forget(first.node, 1);
  std::set<NodeId> seen{first.node};
  for (int i = 0; i < 100; ++i) {
    const Entry next = Must(fs.MakeFile(kRoot, "f" + std::to_string(i), ""));
    EXPECT_TRUE(seen.insert(next.node).second);
    fs.filesystem().Forget(next.node, 1);
  }
  EXPECT_ERRNO(fs.GetAttributes(first.node), ESTALE);
}

TEST_P(FilesystemContract, InventedNodesAreStaleEverywhere) {
  for (const NodeId node : {NodeId{0}, NodeId{2}, NodeId{77777}, NodeId{~uint64_t{0}}}) {
    EXPECT_ERRNO(fs.GetAttributes(node), ESTALE);
    EXPECT_ERRNO(fs.Lookup(node, "x"), ESTALE);
    EXPECT_ERRNO(fs.Open(node, O_RDONLY), ESTALE);
    EXPECT_ERRNO(fs.OpenDirectory(node), ESTALE);
    EXPECT_ERRNO(fs.Create(node, "x", O_RDWR), ESTALE);
    EXPECT_ERRNO(fs.MakeDirectory(node, "x"), ESTALE);
    EXPECT_ERRNO(fs.Unlink(node, "x"), ESTALE);
    EXPECT_ERRNO(fs.Rename(kRoot, "x", node, "y"), ESTALE);
    EXPECT_ERRNO(fs.Link(node, kRoot, "x"), ESTALE);
    EXPECT_ERRNO(fs.ReadLink(node), ESTALE);
    EXPECT_ERRNO(fs.SetAttributes(node, {}), ESTALE);
  }
}

TEST_P(FilesystemContract, AnOpenFileOutlivesItsNameAndItsLookups) {
  const CreatedFile file = Must(fs.Create(kRoot, "file", O_RDWR));
  Must(fs.Write(file.entry.node, file.handle, 0, "text"));
  EXPECT_SUCCESS(fs.Unlink(kRoot, "file"));
  EXPECT_EQ(Must(fs.GetAttributes(file.entry.node)).stx_nlink, 0u);
  EXPECT_EQ(Must(fs.Read(file.entry.node, file.handle, 0, 10)), "text");
  EXPECT_SUCCESS(fs.Release(file.entry.node, file.handle));
}

// --- files ---

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

TEST_P(FilesystemContract, FallocateReservesAndPunches) {
  const CreatedFile file = Must(fs.Create(kRoot, "file", O_RDWR));
  const NodeId node = file.entry.node;
  EXPECT_SUCCESS(fs.Fallocate(node, file.handle, 0, 0, 100000));
  EXPECT_EQ(Must(fs.GetAttributes(node)).stx_size, 100000u);
  EXPECT_SUCCESS(fs.Fallocate(node, file.handle, FALLOC_FL_KEEP_SIZE, 100000, 50000));
  EXPECT_EQ(Must(fs.GetAttributes(node)).stx_size, 100000u);
  Must(fs.Write(node, file.handle, 0, std::string(100000, 'x')));
  EXPECT_SUCCESS(
      fs.Fallocate(node, file.handle, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 10, 50000));
  EXPECT_EQ(Must(fs.Read(node, file.handle, 0, 12)), std::string("xxxxxxxxxx\0\0", 12));
  EXPECT_EQ(Must(fs.Read(node, file.handle, 50008, 4)), std::string("\0\0xx", 4));
  EXPECT_ERRNO(fs.Fallocate(node, file.handle, 0, 0, 0), EINVAL);
  EXPECT_FALSE(fs.Fallocate(node, file.handle, 0, ~uint64_t{0} - 1, 100).ok());
}

TEST_P(FilesystemContract, SeekFindsDataAndHoles) {
  const CreatedFile file = Must(fs.Create(kRoot, "file", O_RDWR));
  const NodeId node = file.entry.node;
  constexpr uint64_t kData = 1 << 20;
  Must(fs.Write(node, file.handle, kData, std::string(4096, 'x')));
  const uint64_t data = Must(fs.Seek(node, file.handle, 0, SEEK_DATA));
  EXPECT_LE(data, kData);  // a file system may take the whole file for data
  EXPECT_EQ(Must(fs.Seek(node, file.handle, kData, SEEK_DATA)), kData);
  EXPECT_EQ(Must(fs.Seek(node, file.handle, kData, SEEK_HOLE)), kData + 4096);
  EXPECT_ERRNO(fs.Seek(node, file.handle, kData + 4096, SEEK_DATA), ENXIO);
  EXPECT_ERRNO(fs.Seek(node, file.handle, 0, 77), EINVAL);
}

// --- attributes ---

TEST_P(FilesystemContract, EachAttributeChangesAlone) {
  const Entry file = Must(fs.MakeFile(kRoot, "file", "0123456789"));
  EXPECT_EQ(Must(fs.SetAttributes(file.node, {.mode = 0604})).stx_mode & 07777, 0604);
  const Attributes truncated = Must(fs.SetAttributes(file.node, {.size = 4}));
  EXPECT_EQ(truncated.stx_size, 4u);
  EXPECT_EQ(truncated.stx_mode & 07777, 0604);
  Must(fs.SetAttributes(file.node, {.size = 6}));
  EXPECT_EQ(Must(fs.Contents(file.node)), std::string("0123\0\0", 6));
  const AttributeChanges::Time time{.now = false, .time = {.tv_sec = 1'000'000'001, .tv_nsec = 42}};
  const Attributes timed = Must(fs.SetAttributes(file.node, {.modification_time = time}));
  EXPECT_EQ(timed.stx_mtime.tv_sec, 1'000'000'001);
  EXPECT_EQ(timed.stx_mtime.tv_nsec, 42u);
  EXPECT_NE(timed.stx_atime.tv_sec, 1'000'000'001);
}

TEST_P(FilesystemContract, ATimeMayBeTheServersNow) {
  const Entry file = Must(fs.MakeFile(kRoot, "file", ""));
  const AttributeChanges::Time past{.now = false, .time = {.tv_sec = 1, .tv_nsec = 0}};
  Must(fs.SetAttributes(file.node, {.access_time = past, .modification_time = past}));
  const AttributeChanges::Time now{.now = true, .time = {}};
  const Attributes touched = Must(fs.SetAttributes(file.node, {.modification_time = now}));
  EXPECT_GT(touched.stx_mtime.tv_sec, 1'600'000'000);
  EXPECT_EQ(touched.stx_atime.tv_sec, 1);
}

TEST_P(FilesystemContract, ASymlinksOwnTimesChangeNotItsTargets) {
  const Entry target = Must(fs.MakeFile(kRoot, "target", ""));
  const Entry link = Must(fs.Symlink(kRoot, "link", "target"));
  const AttributeChanges::Time time{.now = false, .time = {.tv_sec = 5, .tv_nsec = 0}};
  EXPECT_EQ(Must(fs.SetAttributes(link.node, {.modification_time = time})).stx_mtime.tv_sec, 5);
  EXPECT_NE(Must(fs.GetAttributes(target.node)).stx_mtime.tv_sec, 5);
}

TEST_P(FilesystemContract, ADirectoryHasNoSizeToSet) {
  EXPECT_FALSE(fs.SetAttributes(kRoot, {.size = 0}).ok());
}

TEST_P(FilesystemContract, TheFileSystemTellsItsSize) {
  const auto statistics = fs.Await<struct ::statvfs>(
      [&](auto call) { return fs.filesystem().StatFilesystem(call, kRoot); });
  ASSERT_TRUE(statistics.ok());
  EXPECT_GT(statistics->f_blocks, 0u);
  EXPECT_GT(statistics->f_frsize, 0u);
  EXPECT_EQ(statistics->f_namemax, 255u);
}

TEST_P(FilesystemContract, TheRootIsAccessible) {
  EXPECT_SUCCESS(
      fs.Await<void>([&](auto call) { return fs.filesystem().Access(call, kRoot, R_OK | X_OK); }));
}

// --- directories ---

TEST_P(FilesystemContract, ADirectoryListsWhatIsInIt) {
  Must(fs.MakeFile(kRoot, "file", ""));
  Must(fs.MakeDirectory(kRoot, "directory"));
  Must(fs.Symlink(kRoot, "link", "x"));
  EXPECT_THAT(Must(fs.Names(kRoot)), UnorderedElementsAre(".", "..", "file", "directory", "link"));
}

TEST_P(FilesystemContract, ADirectoryIsReadInPiecesOfAnySize) {
  std::set<std::string> expected{".", ".."};
  for (int i = 0; i < 50; ++i) {
    Must(fs.MakeFile(kRoot, "file" + std::to_string(i), ""));
    expected.insert("file" + std::to_string(i));
  }
  for (const size_t batch : {1, 2, 7, 1000}) EXPECT_EQ(Must(fs.Names(kRoot, batch)), expected);
}

TEST_P(FilesystemContract, EntriesThatStayAreListedOnceWhileOthersComeAndGo) {
  for (int i = 0; i < 40; ++i) Must(fs.MakeFile(kRoot, "file" + std::to_string(i), ""));
  const FileHandle handle = Must(fs.OpenDirectory(kRoot));
  std::multiset<std::string> seen;
  uint64_t offset = 0;
  for (int round = 0;; ++round) {
    EntryCollector collector(5);
    ASSERT_TRUE(fs.ReadDirectory(kRoot, handle, offset, collector, false).ok());
    if (collector.entries.empty()) break;
    for (const auto& entry : collector.entries) seen.insert(entry.name);
    offset = collector.entries.back().next_offset;
    // Only odd files go, and new ones come.
    if (round < 5) {
      ASSERT_TRUE(fs.Unlink(kRoot, "file" + std::to_string(2 * round + 1)).ok());
      Must(fs.MakeFile(kRoot, "new" + std::to_string(round), ""));
    }
  }
  for (int i = 0; i < 40; i += 2) EXPECT_EQ(seen.count("file" + std::to_string(i)), 1u) << i;
}

TEST_P(FilesystemContract, ReadingFromTheStartAgainSeesNewEntries) {
  const FileHandle handle = Must(fs.OpenDirectory(kRoot));
  EntryCollector first(100);
  EXPECT_SUCCESS(fs.ReadDirectory(kRoot, handle, 0, first, false));
  Must(fs.MakeFile(kRoot, "file", ""));
  EntryCollector second(100);
  EXPECT_SUCCESS(fs.ReadDirectory(kRoot, handle, 0, second, false));
  EXPECT_EQ(second.entries.size(), first.entries.size() + 1);
}

TEST_P(FilesystemContract, ReadDirectoryPlusLooksUpOnlyWhatItGives) {
  for (int i = 0; i < 10; ++i) {
    const Entry file = Must(fs.MakeFile(kRoot, "file" + std::to_string(i), ""));
    fs.filesystem().Forget(file.node, 1);
  }
  const FileHandle handle = Must(fs.OpenDirectory(kRoot));
  EntryCollector collector(6);
  EXPECT_SUCCESS(fs.ReadDirectory(kRoot, handle, 0, collector, true));

  ASSERT_EQ(collector.entries.size(), 6u);
  uint64_t looked_up = 0;
  for (const auto& entry : collector.entries) {
    if (entry.name == "." || entry.name == "..") continue;
    ASSERT_TRUE(entry.entry.has_value()) << entry.name;
    EXPECT_EQ(entry.entry->attributes.stx_ino, entry.ino);
    ++looked_up;
  }
  EXPECT_EQ(fs.filesystem().Usage().inodes, 1 + looked_up);
  for (const auto& entry : collector.entries) {
    if (entry.entry && entry.entry->node != kRoot) fs.filesystem().Forget(entry.entry->node, 1);
  }
  EXPECT_EQ(fs.filesystem().Usage().inodes, 1u);
}

TEST_P(FilesystemContract, EntriesTellTheirType) {
  Must(fs.MakeFile(kRoot, "file", ""));
  Must(fs.MakeDirectory(kRoot, "directory"));
  const FileHandle handle = Must(fs.OpenDirectory(kRoot));
  EntryCollector collector(100);
  EXPECT_SUCCESS(fs.ReadDirectory(kRoot, handle, 0, collector, false));
  for (const auto& entry : collector.entries) {
    if (entry.type == DT_UNKNOWN) continue;  // a host file system may not say
    EXPECT_EQ(entry.type, static_cast<uint32_t>(entry.name == "file" ? DT_REG : DT_DIR));
  }
}

// --- the session ---

TEST_P(FilesystemContract, ResetForgetsTheGuestAndKeepsTheFiles) {
  const CreatedFile file = Must(fs.Create(kRoot, "file", O_RDWR));
  Must(fs.Write(file.entry.node, file.handle, 0, "text"));
  Must(fs.OpenDirectory(kRoot));
  fs.filesystem().Reset();
  EXPECT_EQ(fs.filesystem().Usage().inodes, 1u);
  EXPECT_EQ(fs.filesystem().Usage().open_files, 0u);
  EXPECT_ERRNO(fs.GetAttributes(file.entry.node), ESTALE);
  EXPECT_ERRNO(fs.Read(file.entry.node, file.handle, 0, 4), ESTALE);
  EXPECT_EQ(Must(fs.Contents(Must(fs.Lookup(kRoot, "file")).node)), "text");
}

TEST_P(FilesystemContract, UsageCountsWhatIsOpen) {
  const Entry file = Must(fs.MakeFile(kRoot, "file", ""));
  const FileHandle handle = Must(fs.Open(file.node, O_RDONLY));
  const FileHandle directory = Must(fs.OpenDirectory(kRoot));
  EXPECT_EQ(fs.filesystem().Usage().open_files, 2u);
  EXPECT_SUCCESS(fs.Release(file.node, handle));
  EXPECT_SUCCESS(fs.ReleaseDirectory(kRoot, directory));
  EXPECT_EQ(fs.filesystem().Usage().open_files, 0u);
}

TEST_P(FilesystemContract, ManyThreadsMayWorkAtOnce) {
  constexpr int kThreads = 4;
  constexpr int kRounds = 200;
  const Entry shared = Must(fs.MakeDirectory(kRoot, "shared"));
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      const FilesystemDriver mine(fs.filesystem());
      const std::string name = "file" + std::to_string(thread);
      for (int round = 0; round < kRounds; ++round) {
        const std::string text = name + " " + std::to_string(round);
        const CreatedFile file = Must(mine.Create(shared.node, name, O_RDWR | O_TRUNC));
        Must(mine.Write(file.entry.node, file.handle, 0, text));
        EXPECT_EQ(Must(mine.Read(file.entry.node, file.handle, 0, 100)), text);
        EXPECT_EQ(Must(mine.Lookup(shared.node, name)).node, file.entry.node);
        // The same inode is looked up and forgotten by all.
        const Entry parent = Must(mine.Lookup(kRoot, "shared"));
        EXPECT_EQ(parent.node, shared.node);
        mine.filesystem().Forget(parent.node, 1);
        EXPECT_SUCCESS(mine.Rename(shared.node, name, shared.node, Reversed(name)));
        EXPECT_SUCCESS(mine.Release(file.entry.node, file.handle));
        EXPECT_SUCCESS(mine.Unlink(shared.node, Reversed(name)));
        mine.filesystem().Forget(file.entry.node, 2);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(fs.filesystem().Usage().inodes, 2u);
  EXPECT_EQ(fs.filesystem().Usage().open_files, 0u);
  EXPECT_THAT(Must(fs.Names(shared.node)), UnorderedElementsAre(".", ".."));
}

TEST_P(FilesystemContract, ResetWhileOthersWorkLeavesNothingBehind) {
  std::thread worker([&] {
    const FilesystemDriver mine(fs.filesystem());
    for (int round = 0; round < 300; ++round) {
      // Whether each succeeds depends on when the reset comes; that each is answered does not.
      const auto file = mine.Create(kRoot, "file" + std::to_string(round), O_RDWR);
      if (!file.ok()) continue;
      (void)mine.Write(file->entry.node, file->handle, 0, "x");
      (void)mine.GetAttributes(file->entry.node);
    }
  });
  for (int i = 0; i < 50; ++i) fs.filesystem().Reset();
  worker.join();
  fs.filesystem().Reset();
  EXPECT_EQ(fs.filesystem().Usage().inodes, 1u);
  EXPECT_EQ(fs.filesystem().Usage().open_files, 0u);
}

}  // namespace
}  // namespace fsd::backends
