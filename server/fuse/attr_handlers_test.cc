#include "server/fuse/attr_handlers.h"

#include <unistd.h>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/fuse/abi.h"
#include "server/fuse/recording_filesystem.h"
#include "server/fuse/request_driver.h"

namespace fsd::fuse {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class AttrHandlers : public ::testing::Test {
 protected:
  AttrHandlers() {
    filesystem_.entry.attributes.stx_ino = 4711;
    filesystem_.entry.attributes.stx_size = 99;
  }

  RecordingFilesystem filesystem_;
  RequestDriver driver_{filesystem_};
};

TEST_F(AttrHandlers, GetAttributesAnswersThem) {
  const Answer answer = driver_.Send(FUSE_GETATTR, 5, Raw(fuse_getattr_in{}));

  EXPECT_THAT(filesystem_.TakeCalls(), ElementsAre("GetAttributes(5, fh=none)"));
  EXPECT_EQ(answer.written, 16u + 104u);
  const auto out = answer.As<fuse_attr_out>();
  EXPECT_EQ(out.attr_valid, 1u);
  EXPECT_EQ(out.attr.ino, 4711u);
  EXPECT_EQ(out.attr.size, 99u);
}

TEST_F(AttrHandlers, GetAttributesPassesAHandleOnlyIfItsFlagSaysSo) {
  driver_.Send(FUSE_GETATTR, 5, Raw(fuse_getattr_in{.getattr_flags = 0, .dummy = 0, .fh = 8}));
  driver_.Send(FUSE_GETATTR, 5,
               Raw(fuse_getattr_in{.getattr_flags = FUSE_GETATTR_FH, .dummy = 0, .fh = 8}));

  EXPECT_THAT(filesystem_.TakeCalls(),
              ElementsAre("GetAttributes(5, fh=none)", "GetAttributes(5, fh=8)"));
}

TEST_F(AttrHandlers, ASubmountsRootIsMarkedButNotTheSessions) {
  filesystem_.entry.attributes.stx_attributes = STATX_ATTR_MOUNT_ROOT;

  const Answer root = driver_.Send(FUSE_GETATTR, 1, Raw(fuse_getattr_in{}));
  const Answer submount = driver_.Send(FUSE_GETATTR, 5, Raw(fuse_getattr_in{}));

  EXPECT_EQ(root.As<fuse_attr_out>().attr.flags, 0u);
  EXPECT_EQ(submount.As<fuse_attr_out>().attr.flags, static_cast<uint32_t>(FUSE_ATTR_SUBMOUNT));
}

TEST_F(AttrHandlers, WhatIsNoMountsRootIsNotMarked) {
  filesystem_.entry.attributes.stx_attributes = ~uint64_t{STATX_ATTR_MOUNT_ROOT};

  const Answer answer = driver_.Send(FUSE_GETATTR, 5, Raw(fuse_getattr_in{}));

  EXPECT_EQ(answer.As<fuse_attr_out>().attr.flags, 0u);
}

TEST_F(AttrHandlers, ASubmountIsNotMarkedForAGuestThatDoesNotKnowSubmounts) {
  filesystem_.entry.attributes.stx_attributes = STATX_ATTR_MOUNT_ROOT;
  driver_.Send(FUSE_INIT, 0, InitArguments(7, 31, FUSE_BIG_WRITES));

  const Answer answer = driver_.Send(FUSE_GETATTR, 5, Raw(fuse_getattr_in{}));

  EXPECT_EQ(answer.As<fuse_attr_out>().attr.flags, 0u);
}

struct SetAttrCase {
  uint32_t valid;
  const char* changes;
};

class SetAttr : public AttrHandlers, public ::testing::WithParamInterface<SetAttrCase> {};

TEST_P(SetAttr, ChangesWhatItsBitsSay) {
  fuse_setattr_in in{};
  in.valid = GetParam().valid;
  in.fh = 8;
  in.size = 1000;
  in.atime = 11;
  in.atimensec = 12;
  in.mtime = 13;
  in.mtimensec = 14;
  in.ctime = 15;
  in.mode = 0104755;
  in.uid = 21;
  in.gid = 22;

  const Answer answer = driver_.Send(FUSE_SETATTR, 5, Raw(in));

  EXPECT_THAT(filesystem_.TakeCalls(),
              ElementsAre(std::string("SetAttributes(5, ") + GetParam().changes + ")"));
  EXPECT_EQ(answer.written, 16u + 104u);
}

INSTANTIATE_TEST_SUITE_P(
    EachBit, SetAttr,
    ::testing::Values(
        SetAttrCase{0, "fh=none, nothing"}, SetAttrCase{FATTR_FH, "fh=8, nothing"},
        SetAttrCase{FATTR_MODE, "fh=none, mode=4755"}, SetAttrCase{FATTR_UID, "fh=none, uid=21"},
        SetAttrCase{FATTR_GID, "fh=none, gid=22"}, SetAttrCase{FATTR_SIZE, "fh=none, size=1000"},
        SetAttrCase{FATTR_ATIME, "fh=none, atime=11.000000012"},
        SetAttrCase{FATTR_MTIME, "fh=none, mtime=13.000000014"},
        SetAttrCase{FATTR_ATIME | FATTR_ATIME_NOW, "fh=none, atime=now"},
        SetAttrCase{FATTR_MTIME | FATTR_MTIME_NOW, "fh=none, mtime=now"},
        SetAttrCase{FATTR_CTIME, "fh=none, nothing"},
        SetAttrCase{FATTR_LOCKOWNER, "fh=none, nothing"},
        SetAttrCase{FATTR_SIZE | FATTR_KILL_SUIDGID, "fh=none, size=1000 kill_suidgid"}));

TEST_F(AttrHandlers, NanosecondsThatMeanSomethingElseToUtimensatAreRefused) {
  fuse_setattr_in in{};
  in.valid = FATTR_MTIME;
  in.mtimensec = UTIME_OMIT;
  EXPECT_EQ(driver_.Send(FUSE_SETATTR, 5, Raw(in)).error(), EINVAL);
  in.mtimensec = 1'000'000'000;
  EXPECT_EQ(driver_.Send(FUSE_SETATTR, 5, Raw(in)).error(), EINVAL);
  in = {};
  in.valid = FATTR_ATIME;
  in.atimensec = UTIME_NOW;
  EXPECT_EQ(driver_.Send(FUSE_SETATTR, 5, Raw(in)).error(), EINVAL);
  EXPECT_THAT(filesystem_.TakeCalls(), IsEmpty());
}

TEST_F(AttrHandlers, ASizeThatIsNegativeToTheHostIsRefused) {
  fuse_setattr_in in{};
  in.valid = FATTR_SIZE;
  in.size = 1ULL << 63;

  EXPECT_EQ(driver_.Send(FUSE_SETATTR, 5, Raw(in)).error(), EINVAL);
}

TEST_F(AttrHandlers, AccessPassesItsMaskAndRefusesUnknownBits) {
  EXPECT_EQ(driver_.Send(FUSE_ACCESS, 5, Raw(fuse_access_in{.mask = 6, .padding = 0})).written,
            16u);
  EXPECT_EQ(driver_.Send(FUSE_ACCESS, 5, Raw(fuse_access_in{.mask = 8, .padding = 0})).error(),
            EINVAL);

  EXPECT_THAT(filesystem_.TakeCalls(), ElementsAre("Access(5, 6)"));
}

TEST_F(AttrHandlers, StatxTellsTheBirthTimeAndNothingOfTheHost) {
  backends::Attributes& attributes = filesystem_.entry.attributes;
  attributes.stx_mask = STATX_BASIC_STATS | STATX_BTIME | STATX_MNT_ID;
  attributes.stx_attributes = STATX_ATTR_IMMUTABLE | STATX_ATTR_MOUNT_ROOT;
  attributes.stx_attributes_mask = STATX_ATTR_IMMUTABLE | STATX_ATTR_MOUNT_ROOT;
  attributes.stx_btime = {.tv_sec = -3, .tv_nsec = 4};
  attributes.stx_mode = 0100644;
  attributes.stx_dev_major = 8;
  attributes.stx_dev_minor = 1;
  attributes.stx_mnt_id = 21;

  const Answer answer = driver_.Send(kOpcodeStatx, 5, Raw(StatxIn{}));

  EXPECT_THAT(filesystem_.TakeCalls(), ElementsAre("GetAttributes(5, fh=none)"));
  EXPECT_EQ(answer.written, 16u + 288u);
  const auto out = answer.As<StatxOut>();
  EXPECT_EQ(out.attr_valid, 1u);
  EXPECT_EQ(out.stat.mask, STATX_BASIC_STATS | STATX_BTIME);
  EXPECT_EQ(out.stat.attributes, static_cast<uint64_t>(STATX_ATTR_IMMUTABLE));
  EXPECT_EQ(out.stat.attributes_mask, static_cast<uint64_t>(STATX_ATTR_IMMUTABLE));
  EXPECT_EQ(out.stat.btime.tv_sec, -3);
  EXPECT_EQ(out.stat.btime.tv_nsec, 4u);
  EXPECT_EQ(out.stat.ino, 4711u);
  EXPECT_EQ(out.stat.size, 99u);
  EXPECT_EQ(out.stat.mode, 0100644u);
  EXPECT_EQ(out.stat.dev_major, 0u);
  EXPECT_EQ(out.stat.dev_minor, 0u);
  EXPECT_EQ(answer.body.find('\x15'), std::string::npos);  // the mount's id
}

TEST_F(AttrHandlers, StatxPassesAHandleOnlyIfItsFlagSaysSo) {
  StatxIn in{};
  in.fh = 8;
  driver_.Send(kOpcodeStatx, 5, Raw(in));
  in.getattr_flags = FUSE_GETATTR_FH;
  driver_.Send(kOpcodeStatx, 5, Raw(in));

  EXPECT_THAT(filesystem_.TakeCalls(),
              ElementsAre("GetAttributes(5, fh=none)", "GetAttributes(5, fh=8)"));
}

TEST_F(AttrHandlers, SyncFilesystemIsOfTheNodes) {
  EXPECT_EQ(driver_.Send(FUSE_SYNCFS, 5, Raw(fuse_syncfs_in{})).written, 16u);

  EXPECT_THAT(filesystem_.TakeCalls(), ElementsAre("SyncFilesystem(5)"));
}

TEST_F(AttrHandlers, StatFilesystemAnswersEachField) {
  filesystem_.statistics.f_blocks = 1;
  filesystem_.statistics.f_bfree = 2;
  filesystem_.statistics.f_bavail = 3;
  filesystem_.statistics.f_files = 4;
  filesystem_.statistics.f_ffree = 5;
  filesystem_.statistics.f_bsize = 6;
  filesystem_.statistics.f_namemax = 7;
  filesystem_.statistics.f_frsize = 8;

  const Answer answer = driver_.Send(FUSE_STATFS, 1, "");

  EXPECT_EQ(answer.written, 16u + 80u);
  const fuse_kstatfs st = answer.As<fuse_statfs_out>().st;
  EXPECT_EQ(st.blocks, 1u);
  EXPECT_EQ(st.bfree, 2u);
  EXPECT_EQ(st.bavail, 3u);
  EXPECT_EQ(st.files, 4u);
  EXPECT_EQ(st.ffree, 5u);
  EXPECT_EQ(st.bsize, 6u);
  EXPECT_EQ(st.namelen, 7u);
  EXPECT_EQ(st.frsize, 8u);
}

}  // namespace
}  // namespace fsd::fuse
