#include "server/fuse/dir_handlers.h"

#include <fcntl.h>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/fuse/abi.h"
#include "server/fuse/recording_filesystem.h"
#include "server/fuse/request_driver.h"

namespace fsd::fuse {
namespace {

using ::testing::ElementsAre;

std::string ReadIn(uint64_t offset, uint32_t size) {
  fuse_read_in in{};
  in.fh = 8;
  in.offset = offset;
  in.size = size;
  return Raw(in);
}

class DirHandlers : public ::testing::Test {
 protected:
  DirHandlers() { filesystem_.listing = {{".", 0}, {"one", 5}, {"two-long", 6}}; }

  RecordingFilesystem filesystem_;
  RequestDriver driver_{filesystem_};
};

TEST_F(DirHandlers, OpenDirectoryAnswersTheHandle) {
  filesystem_.handle = backends::FileHandle{8};
  const fuse_open_in in = {.flags = O_RDWR | O_NOATIME | O_TRUNC | O_PATH, .open_flags = 0};

  const Answer answer = driver_.Send(FUSE_OPENDIR, 1, Raw(in));

  EXPECT_THAT(filesystem_.TakeCalls(),
              ElementsAre(absl::StrFormat("OpenDirectory(1, flags=%o)", O_NOATIME)));
  EXPECT_EQ(answer.written, 32u);
  EXPECT_EQ(answer.As<fuse_open_out>().fh, 8u);
}

TEST_F(DirHandlers, ReadDirectoryPacksPlainEntries) {
  const Answer answer = driver_.Send(FUSE_READDIR, 1, ReadIn(1, 4096));

  EXPECT_THAT(filesystem_.TakeCalls(), ElementsAre("ReadDirectory(1, fh=8, at=1)"));
  EXPECT_EQ(answer.written, 16u + 32u + 32u);
  const auto first = answer.As<fuse_dirent>();
  EXPECT_EQ(first.ino, 101u);
  EXPECT_EQ(first.off, 2u);
  EXPECT_EQ(first.namelen, 3u);
  EXPECT_EQ(answer.body.substr(FUSE_NAME_OFFSET, 3), "one");
}

TEST_F(DirHandlers, ReadDirectoryPlusPacksWhatWasLookedUp) {
  const Answer answer = driver_.Send(FUSE_READDIRPLUS, 1, ReadIn(0, 4096));

  EXPECT_THAT(filesystem_.TakeCalls(), ElementsAre("ReadDirectoryPlus(1, fh=8, at=0)"));
  EXPECT_EQ(answer.written, 16u + 3 * 160u);
  EXPECT_EQ(answer.As<fuse_entry_out>().nodeid, 0u);  // "." is no lookup
  fuse_entry_out one{};
  std::memcpy(&one, answer.body.data() + 160, sizeof(one));
  EXPECT_EQ(one.nodeid, 5u);
  EXPECT_EQ(one.entry_valid, 1u);
}

TEST_F(DirHandlers, TheSizeAskedForBoundsTheEntries) {
  const Answer answer = driver_.Send(FUSE_READDIR, 1, ReadIn(0, 64));

  EXPECT_THAT(filesystem_.accepted, ElementsAre(".", "one"));
  EXPECT_EQ(answer.written, 16u + 64u);
  EXPECT_TRUE(answer.rest_untouched);
}

TEST_F(DirHandlers, TheGuestsSpaceBoundsTheEntries) {
  const Answer answer =
      driver_.Send(FUSE_READDIRPLUS, 1, ReadIn(0, 0xffffffff), {.reply_space = 16 + 2 * 160 + 159});

  EXPECT_THAT(filesystem_.accepted, ElementsAre(".", "one"));
  EXPECT_EQ(answer.written, 16u + 2 * 160u);
}

TEST_F(DirHandlers, TheEndIsAnEmptyReply) {
  EXPECT_EQ(driver_.Send(FUSE_READDIR, 1, ReadIn(3, 4096)).written, 16u);
}

TEST_F(DirHandlers, AnErrorBeforeAnyEntryIsAnswered) {
  filesystem_.listing.clear();
  filesystem_.error = EBADF;

  EXPECT_EQ(driver_.Send(FUSE_READDIR, 1, ReadIn(0, 4096)).error(), EBADF);
}

TEST_F(DirHandlers, AnErrorBehindSomeEntriesDoesNotLoseThem) {
  filesystem_.error = EBADF;

  const Answer answer = driver_.Send(FUSE_READDIRPLUS, 1, ReadIn(0, 4096));

  EXPECT_EQ(answer.error(), 0);
  EXPECT_EQ(answer.written, 16u + 3 * 160u);
}

TEST_F(DirHandlers, ReleaseAndFsyncPassTheirHandle) {
  fuse_release_in release{};
  release.fh = 8;
  fuse_fsync_in fsync{};
  fsync.fh = 8;
  fsync.fsync_flags = FUSE_FSYNC_FDATASYNC;

  EXPECT_EQ(driver_.Send(FUSE_RELEASEDIR, 1, Raw(release)).written, 16u);
  EXPECT_EQ(driver_.Send(FUSE_FSYNCDIR, 1, Raw(fsync)).written, 16u);

  EXPECT_THAT(filesystem_.TakeCalls(),
              ElementsAre("ReleaseDirectory(1, fh=8)", "FsyncDirectory(1, fh=8, data_only=1)"));
}

}  // namespace
}  // namespace fsd::fuse
