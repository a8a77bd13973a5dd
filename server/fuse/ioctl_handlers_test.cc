#include "server/fuse/ioctl_handlers.h"

#include <linux/fs.h>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/fuse/abi.h"
#include "server/fuse/recording_filesystem.h"
#include "server/fuse/request_driver.h"

namespace fsd::fuse {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::string IoctlIn(uint32_t command, uint32_t in_size, uint32_t out_size, uint32_t flags = 0) {
  return Raw(fuse_ioctl_in{
      .fh = 8, .flags = flags, .cmd = command, .arg = 0, .in_size = in_size, .out_size = out_size});
}

class IoctlHandlers : public ::testing::Test {
 protected:
  RecordingFilesystem filesystem_;
  RequestDriver driver_{filesystem_};
};

TEST_F(IoctlHandlers, WhatIsReadFollowsTheReplysStruct) {
  filesystem_.content = "flag";

  const Answer answer = driver_.Send(FUSE_IOCTL, 5, IoctlIn(FS_IOC_GETFLAGS, 0, 4),
                                     {.reply_space = 16 + 16 + 4, .writable_cuts = {20, 33}});

  EXPECT_THAT(filesystem_.TakeCalls(),
              ElementsAre(absl::StrFormat("Ioctl(5, fh=8, %#x, )", FS_IOC_GETFLAGS)));
  EXPECT_EQ(answer.written, 16u + 16u + 4u);
  EXPECT_EQ(answer.body, std::string(16, '\0') + "flag");
}

TEST_F(IoctlHandlers, WhatIsWrittenIsHandedOver) {
  const Answer answer = driver_.Send(
      FUSE_IOCTL, 5, IoctlIn(FS_IOC_SETFLAGS, 4, 0, FUSE_IOCTL_DIR) + "flag", {.reply_space = 32});

  EXPECT_THAT(filesystem_.TakeCalls(),
              ElementsAre(absl::StrFormat("Ioctl(5, fh=8, %#x, flag)", FS_IOC_SETFLAGS)));
  EXPECT_EQ(answer.written, 32u);
  EXPECT_EQ(answer.As<fuse_ioctl_out>().result, 0);
}

TEST_F(IoctlHandlers, WhatTheFilesystemDoesNotKnowIsENOTTY) {
  filesystem_.error = ENOTTY;

  EXPECT_EQ(driver_.Send(FUSE_IOCTL, 5, IoctlIn(FIGETBSZ, 0, 4)).error(), ENOTTY);
}

TEST_F(IoctlHandlers, UnrestrictedOnesAndForeignLayoutsAreRefused) {
  const auto error_of = [&](uint32_t flags) {
    return driver_.Send(FUSE_IOCTL, 5, IoctlIn(FS_IOC_GETFLAGS, 0, 4, flags)).error();
  };

  EXPECT_EQ(error_of(FUSE_IOCTL_UNRESTRICTED), EINVAL);
  EXPECT_EQ(error_of(FUSE_IOCTL_RETRY), EINVAL);
  EXPECT_EQ(error_of(1U << 31), EINVAL);
  EXPECT_EQ(error_of(FUSE_IOCTL_COMPAT | FUSE_IOCTL_32BIT), ENOTTY);
  EXPECT_EQ(error_of(FUSE_IOCTL_32BIT), ENOTTY);
  EXPECT_EQ(error_of(FUSE_IOCTL_COMPAT_X32), ENOTTY);
  EXPECT_THAT(filesystem_.TakeCalls(), IsEmpty());
}

TEST_F(IoctlHandlers, SizesThatLieAreEINVAL) {
  EXPECT_EQ(driver_.Send(FUSE_IOCTL, 5, IoctlIn(FS_IOC_SETFLAGS, 5, 0) + "flag").error(), EINVAL);
  EXPECT_EQ(driver_.Send(FUSE_IOCTL, 5, IoctlIn(FS_IOC_SETFLAGS, 3, 0) + "flag").error(), EINVAL);
  EXPECT_EQ(driver_.Send(FUSE_IOCTL, 5, IoctlIn(1, ~0U, 0)).error(), EINVAL);
  EXPECT_EQ(driver_.Send(FUSE_IOCTL, 5, IoctlIn(1, 0, ~0U)).error(), EINVAL);
  EXPECT_EQ(driver_.Send(FUSE_IOCTL, 5, IoctlIn(1, 0, 5), {.reply_space = 36}).error(), EINVAL);
  EXPECT_EQ(driver_.Send(FUSE_IOCTL, 5, IoctlIn(1, 16384, 0) + std::string(16384, 'x')).error(),
            EINVAL);
  EXPECT_THAT(filesystem_.TakeCalls(), IsEmpty());
}

TEST_F(IoctlHandlers, MoreThanWasLentIsEIO) {
  filesystem_.content = "flag";
  filesystem_.boast = 1;

  EXPECT_EQ(driver_.Send(FUSE_IOCTL, 5, IoctlIn(FS_IOC_GETFLAGS, 0, 4)).error(), EIO);
}

TEST_F(IoctlHandlers, WhatChangesAReadOnlyExportIsEROFS) {
  RequestDriver read_only(filesystem_, {.read_only = true});

  EXPECT_EQ(read_only.Send(FUSE_IOCTL, 5, IoctlIn(FS_IOC_SETFLAGS, 4, 0) + "flag").error(), EROFS);
  EXPECT_EQ(read_only.Send(FUSE_IOCTL, 5, IoctlIn(FS_IOC_FSSETXATTR, 4, 0) + "flag").error(),
            EROFS);
  EXPECT_THAT(filesystem_.TakeCalls(), IsEmpty());
  EXPECT_EQ(read_only.Send(FUSE_IOCTL, 5, IoctlIn(FS_IOC_GETFLAGS, 0, 4)).error(), 0);
}

}  // namespace
}  // namespace fsd::fuse
