// What the contract says of RENAME.
#include <linux/fs.h>
#include <sys/stat.h>

#include "backends/filesystem_contract.h"

namespace fsd::backends {
namespace {

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

TEST_P(FilesystemContract, ExchangeTakesAnyTwoKinds) {
  const Entry directory = Must(fs.MakeDirectory(kRoot, "d"));
  const Entry inner = Must(fs.MakeDirectory(directory.node, "inner"));
  const Entry file = Must(fs.MakeFile(kRoot, "file", ""));
  EXPECT_SUCCESS(fs.Rename(kRoot, "file", directory.node, "inner", RENAME_EXCHANGE));
  EXPECT_EQ(Must(fs.Lookup(kRoot, "file")).node, inner.node);
  EXPECT_EQ(Must(fs.Lookup(directory.node, "inner")).node, file.node);
  EXPECT_EQ(Must(fs.Lookup(inner.node, "..")).node, kRoot);
  EXPECT_ERRNO(fs.Rename(kRoot, "d", directory.node, "inner", RENAME_EXCHANGE), EINVAL);
}

TEST_P(FilesystemContract, NoReplaceMovesToAFreeName) {
  const Entry file = Must(fs.MakeFile(kRoot, "a", ""));
  EXPECT_SUCCESS(fs.Rename(kRoot, "a", kRoot, "b", RENAME_NOREPLACE));
  EXPECT_EQ(Must(fs.Lookup(kRoot, "b")).node, file.node);
  EXPECT_ERRNO(fs.Rename(kRoot, "b", kRoot, "b", RENAME_NOREPLACE), EEXIST);
}

TEST_P(FilesystemContract, WhiteoutsAreMadeOrRefused) {
  const Entry file = Must(fs.MakeFile(kRoot, "a", ""));
  EXPECT_ERRNO(fs.Rename(kRoot, "a", kRoot, "b", RENAME_WHITEOUT | RENAME_EXCHANGE), EINVAL);
  const ErrnoOr<void> renamed = fs.Rename(kRoot, "a", kRoot, "b", RENAME_WHITEOUT);
  if (!features().whiteouts) {
    EXPECT_ERRNO(renamed, EINVAL);
    EXPECT_EQ(Must(fs.Lookup(kRoot, "a")).node, file.node);
    return;
  }
  EXPECT_SUCCESS(renamed);
  EXPECT_EQ(Must(fs.Lookup(kRoot, "b")).node, file.node);
  const Attributes whiteout = Must(fs.Lookup(kRoot, "a")).attributes;
  EXPECT_TRUE(S_ISCHR(whiteout.stx_mode));
  EXPECT_EQ(whiteout.stx_rdev_major, 0u);
  EXPECT_EQ(whiteout.stx_rdev_minor, 0u);
}

}  // namespace
}  // namespace fsd::backends
