// What the contract says of attributes.
#include <sys/stat.h>
#include <unistd.h>

#include "backends/filesystem_contract.h"

namespace fsd::backends {
namespace {

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

TEST_P(FilesystemContract, EveryBitOfTheModeMayBeSet) {
  const Entry file = Must(fs.MakeFile(kRoot, "file", ""));
  EXPECT_EQ(Must(fs.SetAttributes(file.node, {.mode = 07751})).stx_mode & 07777, 07751);
  EXPECT_EQ(Must(fs.GetAttributes(file.node)).stx_mode & 07777, 07751);
}

TEST_P(FilesystemContract, ATimeThatIsSetIsNotMovedByTheChangesBesideIt) {
  const Entry file = Must(fs.MakeFile(kRoot, "file", "0123456789"));
  const AttributeChanges::Time time{.now = false, .time = {.tv_sec = 5, .tv_nsec = 0}};
  Must(fs.SetAttributes(file.node, {.mode = 0600, .size = 4, .modification_time = time}));
  const Attributes changed = Must(fs.GetAttributes(file.node));
  EXPECT_EQ(changed.stx_size, 4u);
  EXPECT_EQ(changed.stx_mtime.tv_sec, 5);
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
  EXPECT_ERRNO(fs.SetAttributes(kRoot, {.size = 0}), EISDIR);
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

TEST_P(FilesystemContract, TheTimeOfBirthStays) {
  const Entry file = Must(fs.MakeFile(kRoot, "file", "text"));
  const AttributeChanges::Time past{.now = false, .time = {.tv_sec = 1, .tv_nsec = 0}};
  const Attributes changed =
      Must(fs.SetAttributes(file.node, {.mode = 0600, .modification_time = past}));
  ASSERT_NE(changed.stx_mask & STATX_BTIME, 0u);
  EXPECT_EQ(changed.stx_btime.tv_sec, file.attributes.stx_btime.tv_sec);
  EXPECT_EQ(changed.stx_btime.tv_nsec, file.attributes.stx_btime.tv_nsec);
  EXPECT_GT(changed.stx_btime.tv_sec, 1'600'000'000);
}

TEST_P(FilesystemContract, TheFileSystemIsSynced) {
  const Entry file = Must(fs.MakeFile(kRoot, "file", "text"));
  EXPECT_SUCCESS(fs.SyncFilesystem(kRoot));
  EXPECT_SUCCESS(fs.SyncFilesystem(file.node));
  EXPECT_ERRNO(fs.SyncFilesystem(NodeId{777}), ESTALE);
}

TEST_P(FilesystemContract, TheUmaskAppliesToEveryKind) {
  const auto bits = [](const ErrnoOr<Entry>& made) {
    return made.ok() ? made->attributes.stx_mode & 07777 : ~0;
  };
  const Creation creation{.umask = 027};
  EXPECT_EQ(bits(fs.Await<Entry>([&](auto call) {
              return fs.filesystem().MakeDirectory(call, kRoot, "d", 0777, creation);
            })),
            0750);
  EXPECT_EQ(bits(fs.Await<Entry>([&](auto call) {
              return fs.filesystem().MakeNode(call, kRoot, "f", S_IFIFO | 0666, 0, creation);
            })),
            0640);
}

}  // namespace
}  // namespace fsd::backends
