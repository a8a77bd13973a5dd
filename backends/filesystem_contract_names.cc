// What the contract says of names.
#include <fcntl.h>
#include <sys/stat.h>

#include <string>
#include <string_view>

#include "backends/filesystem_contract.h"

namespace fsd::backends {
namespace {

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

}  // namespace
}  // namespace fsd::backends
