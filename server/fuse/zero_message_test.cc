// A guest that opens nothing (SessionOptions.zero_message_open).
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

class ZeroMessage : public ::testing::Test {
 protected:
  RecordingFilesystem filesystem_;
  RequestDriver driver_{filesystem_, {.cache = CachePolicy::kAlways, .zero_message_open = true}};
};

TEST_F(ZeroMessage, OpensAreENOSYSWithoutAskingTheFilesystem) {
  EXPECT_EQ(driver_.Send(FUSE_OPEN, 5, Raw(fuse_open_in{.flags = O_RDWR})).error(), ENOSYS);
  EXPECT_EQ(driver_.Send(FUSE_OPENDIR, 1, Raw(fuse_open_in{})).error(), ENOSYS);
  EXPECT_EQ(driver_.Send(FUSE_FLUSH, 5, Raw(fuse_flush_in{})).error(), ENOSYS);
  EXPECT_THAT(filesystem_.TakeCalls(), IsEmpty());
}

TEST_F(ZeroMessage, ReleasesOfNothingSucceed) {
  EXPECT_EQ(driver_.Send(FUSE_RELEASE, 5, Raw(fuse_release_in{})).written, 16u);
  EXPECT_EQ(driver_.Send(FUSE_RELEASEDIR, 1, Raw(fuse_release_in{})).written, 16u);
  EXPECT_THAT(filesystem_.TakeCalls(), IsEmpty());
}

TEST_F(ZeroMessage, WhatIsMadeIsNotKeptOpen) {
  driver_.Send(FUSE_CREATE, 1, Raw(fuse_create_in{}) + Text("name"));
  driver_.Send(FUSE_TMPFILE, 1, Raw(fuse_create_in{}) + Text("/"));

  EXPECT_THAT(filesystem_.TakeCalls(),
              ElementsAre("Create(1, name, mode=0, umask=0, flags=0, kill=0, not kept open)",
                          "CreateTemporary(1, mode=0, umask=0, flags=0, kill=0, not kept open)"));
}

TEST_F(ZeroMessage, DataGoesToTheNode) {
  fuse_read_in read{};
  read.size = 4;
  fuse_write_in write{};
  write.size = 4;

  driver_.Send(FUSE_READ, 5, Raw(read));
  driver_.Send(FUSE_WRITE, 5, Raw(write) + "data");
  driver_.Send(FUSE_READDIR, 1, Raw(read));
  driver_.Send(FUSE_FSYNC, 5, Raw(fuse_fsync_in{}));

  EXPECT_THAT(
      filesystem_.TakeCalls(),
      ElementsAre("Read(5, fh=0, at=0)", "Write(5, fh=0, at=0, writeback=0, kill=0, append=0)",
                  "ReadDirectory(1, fh=0, at=0)", "Fsync(5, fh=0, data_only=0)"));
}

TEST_F(ZeroMessage, AGuestThatDoesNotKnowItOpens) {
  driver_.Send(FUSE_INIT, 0, InitArguments(7, 31, FUSE_BIG_WRITES));

  EXPECT_EQ(driver_.Send(FUSE_OPEN, 5, Raw(fuse_open_in{})).error(), 0);
  EXPECT_EQ(driver_.Send(FUSE_OPENDIR, 1, Raw(fuse_open_in{})).error(), 0);
  driver_.Send(FUSE_CREATE, 1, Raw(fuse_create_in{}) + Text("name"));
  driver_.Send(FUSE_RELEASE, 5, Raw(fuse_release_in{}));

  EXPECT_THAT(filesystem_.TakeCalls(),
              ElementsAre("Open(5, flags=0, kill=0)", "OpenDirectory(1, flags=0)",
                          "Create(1, name, mode=0, umask=0, flags=0, kill=0)", "Release(5, fh=0)"));
}

TEST_F(ZeroMessage, AnExportWithoutItOpens) {
  RequestDriver driver(filesystem_);

  EXPECT_EQ(driver.Send(FUSE_OPEN, 5, Raw(fuse_open_in{})).error(), 0);
  EXPECT_EQ(driver.Send(FUSE_FLUSH, 5, Raw(fuse_flush_in{})).error(), 0);
}

}  // namespace
}  // namespace fsd::fuse
