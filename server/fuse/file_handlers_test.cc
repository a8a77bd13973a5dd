#include "server/fuse/file_handlers.h"

#include <fcntl.h>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/fuse/abi.h"
#include "server/fuse/recording_filesystem.h"
#include "server/fuse/request_driver.h"

namespace fsd::fuse {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr uint64_t kFh = 0x100000002;

std::string ReadIn(uint64_t offset, uint32_t size) {
  fuse_read_in in{};
  in.fh = kFh;
  in.offset = offset;
  in.size = size;
  return Raw(in);
}

std::string WriteIn(uint64_t offset, uint32_t size, uint32_t flags = 0) {
  fuse_write_in in{};
  in.fh = kFh;
  in.offset = offset;
  in.size = size;
  in.write_flags = flags;
  return Raw(in);
}

std::string OpenIn(uint32_t flags, uint32_t open_flags = 0) {
  return Raw(fuse_open_in{.flags = flags, .open_flags = open_flags});
}

class FileHandlers : public ::testing::Test {
 protected:
  FileHandlers() { filesystem_.handle = backends::FileHandle{kFh}; }

  RecordingFilesystem filesystem_;
  RequestDriver driver_{filesystem_};
};

TEST_F(FileHandlers, OpenAnswersTheHandle) {
  const Answer answer = driver_.Send(FUSE_OPEN, 5, OpenIn(O_RDWR, FUSE_OPEN_KILL_SUIDGID));

  EXPECT_THAT(filesystem_.TakeCalls(), ElementsAre("Open(5, flags=2, kill=1)"));
  EXPECT_EQ(answer.written, 32u);
  EXPECT_EQ(answer.As<fuse_open_out>().fh, kFh);
  EXPECT_EQ(answer.As<fuse_open_out>().open_flags, 0u);
}

TEST_F(FileHandlers, OpenPassesOnlyFlagsThatMeanSomething) {
  const uint32_t all = 0xffffffff & ~static_cast<uint32_t>(O_ACCMODE);

  driver_.Send(FUSE_OPEN, 5, OpenIn(all | O_RDWR));

  const uint32_t expected = O_RDWR | O_TRUNC | O_APPEND | O_NONBLOCK | O_DSYNC | O_SYNC | O_DIRECT |
                            O_NOATIME | O_LARGEFILE;
  EXPECT_THAT(filesystem_.TakeCalls(),
              ElementsAre(absl::StrFormat("Open(5, flags=%o, kill=0)", expected)));
}

TEST_F(FileHandlers, OpenForWritingOrTruncatingAReadOnlyExportIsEROFS) {
  RequestDriver read_only(filesystem_, {.read_only = true});

  EXPECT_EQ(read_only.Send(FUSE_OPEN, 5, OpenIn(O_WRONLY)).error(), EROFS);
  EXPECT_EQ(read_only.Send(FUSE_OPEN, 5, OpenIn(O_RDWR)).error(), EROFS);
  EXPECT_EQ(read_only.Send(FUSE_OPEN, 5, OpenIn(O_RDONLY | O_TRUNC)).error(), EROFS);
  EXPECT_EQ(read_only.Send(FUSE_OPEN, 5, OpenIn(O_RDONLY)).error(), 0);
}

TEST_F(FileHandlers, CreateAnswersTheEntryAndTheHandle) {
  filesystem_.entry.node = backends::NodeId{6};
  const fuse_create_in in = {.flags = O_CREAT | O_EXCL | O_WRONLY | O_PATH,
                             .mode = S_IFREG | 0664,
                             .umask = 022,
                             .open_flags = FUSE_OPEN_KILL_SUIDGID};

  const Answer answer = driver_.Send(FUSE_CREATE, 1, Raw(in) + Text("new"));

  EXPECT_THAT(filesystem_.TakeCalls(),
              ElementsAre(absl::StrFormat("Create(1, new, mode=664, umask=22, flags=%o, kill=1)",
                                          O_EXCL | O_WRONLY)));
  EXPECT_EQ(answer.written, 16u + 128u + 16u);
  EXPECT_EQ(answer.As<fuse_entry_out>().nodeid, 6u);
  fuse_open_out open{};
  std::memcpy(&open, answer.body.data() + sizeof(fuse_entry_out), sizeof(open));
  EXPECT_EQ(open.fh, kFh);
}

TEST_F(FileHandlers, CreateTemporaryIgnoresItsName) {
  filesystem_.entry.node = backends::NodeId{6};
  const fuse_create_in in = {
      .flags = O_TMPFILE | O_EXCL | O_RDWR, .mode = S_IFREG | 0600, .umask = 022, .open_flags = 0};

  const Answer answer = driver_.Send(FUSE_TMPFILE, 1, Raw(in) + Text("/"));

  EXPECT_THAT(filesystem_.TakeCalls(),
              ElementsAre(absl::StrFormat(
                  "CreateTemporary(1, mode=600, umask=22, flags=%o, kill=0)", O_EXCL | O_RDWR)));
  EXPECT_EQ(answer.written, 16u + 128u + 16u);
  EXPECT_EQ(answer.As<fuse_entry_out>().nodeid, 6u);
}

TEST_F(FileHandlers, ReadAnswersWhatTheFileHolds) {
  filesystem_.content = "hello, guest";

  const Answer answer = driver_.Send(FUSE_READ, 5, ReadIn(4096, 100));

  EXPECT_THAT(filesystem_.TakeCalls(), ElementsAre("Read(5, fh=4294967298, at=4096)"));
  EXPECT_EQ(answer.written, 16u + 12u);
  EXPECT_EQ(answer.header.len, 16u + 12u);
  EXPECT_EQ(answer.body, "hello, guest");
}

TEST_F(FileHandlers, ReadFillsNoMoreThanWasAskedFor) {
  filesystem_.content = "hello, guest";

  const Answer answer = driver_.Send(FUSE_READ, 5, ReadIn(0, 5), {.reply_space = 100});

  EXPECT_EQ(answer.body, "hello");
  EXPECT_TRUE(answer.rest_untouched);
}

TEST_F(FileHandlers, ReadIsLentTheGuestsOwnBuffers) {
  filesystem_.content = "hello, guest";

  driver_.Send(FUSE_READ, 5, ReadIn(0, 12), {.reply_space = 28, .writable_cuts = {16, 20}});

  ASSERT_EQ(filesystem_.lent.size(), 2u);
  EXPECT_EQ(filesystem_.lent[0].iov_len, 4u);
  EXPECT_EQ(filesystem_.lent[1].iov_len, 8u);
}

TEST_F(FileHandlers, AReadThatClaimsMoreThanItWasLentIsEIO) {
  filesystem_.content = "hello";
  filesystem_.boast = 1;

  EXPECT_EQ(driver_.Send(FUSE_READ, 5, ReadIn(0, 5)).error(), EIO);
}

TEST_F(FileHandlers, WriteHandsThePayloadOver) {
  const uint32_t flags = FUSE_WRITE_CACHE | FUSE_WRITE_KILL_SUIDGID;

  const Answer answer =
      driver_.Send(FUSE_WRITE, 5, WriteIn(8192, 12, flags) + "hello, host!", {.reply_space = 24});

  EXPECT_THAT(filesystem_.TakeCalls(),
              ElementsAre("Write(5, fh=4294967298, at=8192, writeback=1, kill=1, append=0)"));
  EXPECT_EQ(filesystem_.written, "hello, host!");
  EXPECT_EQ(answer.written, 24u);
  EXPECT_EQ(answer.As<fuse_write_out>().size, 12u);
}

TEST_F(FileHandlers, WriteSaysWhetherTheGuestsFileAppendsNow) {
  fuse_write_in in{};
  in.fh = kFh;
  in.size = 1;
  in.flags = O_WRONLY | O_APPEND;

  driver_.Send(FUSE_WRITE, 5, Raw(in) + "x");

  EXPECT_THAT(filesystem_.TakeCalls(),
              ElementsAre("Write(5, fh=4294967298, at=0, writeback=0, kill=0, append=1)"));
}

TEST_F(FileHandlers, WithWritebackTheGuestKnowsTheEnd) {
  RequestDriver writeback(filesystem_, {.writeback = true});
  fuse_write_in in{};
  in.fh = kFh;
  in.size = 1;
  in.flags = O_WRONLY | O_APPEND;

  writeback.Send(FUSE_OPEN, 5, OpenIn(O_WRONLY | O_APPEND));
  writeback.Send(FUSE_WRITE, 5, Raw(in) + "x");

  EXPECT_THAT(filesystem_.TakeCalls(),
              ElementsAre("Open(5, flags=1, kill=0)",
                          "Write(5, fh=4294967298, at=0, writeback=0, kill=0, append=0)"));
}

TEST_F(FileHandlers, AnOldGuestLeavesAllClearingOfSetuidToUs) {
  driver_.Send(FUSE_INIT, 0, InitArguments(7, 31, FUSE_HANDLE_KILLPRIV));
  fuse_setattr_in chmod{};
  chmod.valid = FATTR_MODE;
  fuse_setattr_in chown{};
  chown.valid = FATTR_UID;

  driver_.Send(FUSE_WRITE, 5, WriteIn(0, 1) + "x");
  driver_.Send(FUSE_OPEN, 5, OpenIn(O_WRONLY | O_TRUNC));
  driver_.Send(FUSE_SETATTR, 5, Raw(chmod));
  driver_.Send(FUSE_SETATTR, 5, Raw(chown));

  EXPECT_THAT(filesystem_.TakeCalls(),
              ElementsAre("Write(5, fh=4294967298, at=0, writeback=0, kill=1, append=0)",
                          "Open(5, flags=1001, kill=1)", "SetAttributes(5, fh=none, mode=0)",
                          "SetAttributes(5, fh=none, uid=0 kill_suidgid)"));
}

TEST_F(FileHandlers, WriteIgnoresWhatFollowsTheRequest) {
  const std::string message = Message(FUSE_WRITE, 5, WriteIn(0, 5) + "hello");

  const Answer answer = driver_.SendBytes(message + "more");

  EXPECT_EQ(answer.error(), 0);
  EXPECT_EQ(filesystem_.written, "hello");
}

TEST_F(FileHandlers, AWriteThatClaimsMoreThanItWasGivenIsEIO) {
  filesystem_.boast = 1;

  EXPECT_EQ(driver_.Send(FUSE_WRITE, 5, WriteIn(0, 5) + "hello").error(), EIO);
}

TEST_F(FileHandlers, RangesBeyondTheLargestOffsetAreRefused) {
  constexpr uint64_t kMax = 0x7fffffffffffffff;

  EXPECT_EQ(driver_.Send(FUSE_READ, 5, ReadIn(kMax - 10, 10)).error(), 0);
  EXPECT_EQ(driver_.Send(FUSE_READ, 5, ReadIn(kMax - 9, 10)).error(), EINVAL);
  EXPECT_EQ(driver_.Send(FUSE_READ, 5, ReadIn(~0ULL, 1)).error(), EINVAL);
  EXPECT_EQ(driver_.Send(FUSE_WRITE, 5, WriteIn(kMax, 1) + "x").error(), EINVAL);
}

TEST_F(FileHandlers, FlushAndReleasePassTheirHandle) {
  fuse_flush_in flush{};
  flush.fh = kFh;
  flush.lock_owner = 99;
  fuse_release_in release{};
  release.fh = kFh;

  EXPECT_EQ(driver_.Send(FUSE_FLUSH, 5, Raw(flush)).written, 16u);
  EXPECT_EQ(driver_.Send(FUSE_RELEASE, 5, Raw(release)).written, 16u);

  EXPECT_THAT(filesystem_.TakeCalls(),
              ElementsAre("Flush(5, fh=4294967298, owner=99)", "Release(5, fh=4294967298)"));
}

TEST_F(FileHandlers, FsyncTellsDataFromAll) {
  fuse_fsync_in in{};
  in.fh = kFh;
  driver_.Send(FUSE_FSYNC, 5, Raw(in));
  in.fsync_flags = FUSE_FSYNC_FDATASYNC;
  driver_.Send(FUSE_FSYNC, 5, Raw(in));

  EXPECT_THAT(filesystem_.TakeCalls(), ElementsAre("Fsync(5, fh=4294967298, data_only=0)",
                                                   "Fsync(5, fh=4294967298, data_only=1)"));
}

}  // namespace
}  // namespace fsd::fuse
