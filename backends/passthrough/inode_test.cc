#include "backends/passthrough/inode.h"

#include <sys/stat.h>

#include "gtest/gtest.h"

namespace fsd::passthrough {
namespace {

// Of an inode of a file system that knows times of birth.
Attributes OfAFile() {
  Attributes attributes{};
  attributes.stx_mode = S_IFREG | 0644;
  attributes.stx_mnt_id = 21;
  attributes.stx_dev_major = 8;
  attributes.stx_dev_minor = 1;
  attributes.stx_ino = 1234;
  attributes.stx_btime.tv_sec = 1'700'000'000;
  attributes.stx_btime.tv_nsec = 5;
  return attributes;
}

TEST(SameInode, IsOneOfWhichOnlyWhatMayChangeHasChanged) {
  const InodeRecord record = MakeInodeRecord(-1, OfAFile());
  Attributes changed = OfAFile();
  EXPECT_TRUE(SameInode(record, changed));
  changed.stx_mode = S_IFREG | S_ISUID | 0600;
  changed.stx_uid = 1000;
  changed.stx_size = 10;
  changed.stx_nlink = 3;
  changed.stx_mtime.tv_sec = 1'800'000'000;
  changed.stx_ctime.tv_sec = 1'800'000'000;
  EXPECT_TRUE(SameInode(record, changed));
}

TEST(SameInode, IsNotOneBornAtAnotherSecondOrNanosecond) {
  const InodeRecord record = MakeInodeRecord(-1, OfAFile());
  Attributes later = OfAFile();
  ++later.stx_btime.tv_sec;
  EXPECT_FALSE(SameInode(record, later));
  Attributes a_little_later = OfAFile();
  ++a_little_later.stx_btime.tv_nsec;
  EXPECT_FALSE(SameInode(record, a_little_later));
}

TEST(SameInode, IsNotOneOfAnotherType) {
  const InodeRecord record = MakeInodeRecord(-1, OfAFile());
  Attributes socket = OfAFile();
  socket.stx_mode = S_IFSOCK | 0644;  // has the bit of a regular file, too
  EXPECT_FALSE(SameInode(record, socket));
}

TEST(SameInode, IsSoWithoutTimesOfBirth) {
  Attributes attributes = OfAFile();
  attributes.stx_btime = {};
  EXPECT_TRUE(SameInode(MakeInodeRecord(-1, attributes), attributes));
}

TEST(InodeKey, IsThatOfOneInodeOfOneDeviceOnOneMount) {
  const InodeKey key = KeyOf(OfAFile());
  EXPECT_EQ(key, KeyOf(OfAFile()));
  Attributes other_mount = OfAFile();
  ++other_mount.stx_mnt_id;
  EXPECT_NE(KeyOf(other_mount), key);
  Attributes other_major = OfAFile();
  ++other_major.stx_dev_major;
  EXPECT_NE(KeyOf(other_major), key);
  Attributes other_minor = OfAFile();
  ++other_minor.stx_dev_minor;
  EXPECT_NE(KeyOf(other_minor), key);
  Attributes other_number = OfAFile();
  ++other_number.stx_ino;
  EXPECT_NE(KeyOf(other_number), key);
}

}  // namespace
}  // namespace fsd::passthrough
