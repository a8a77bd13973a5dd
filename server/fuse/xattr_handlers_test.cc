#include "server/fuse/xattr_handlers.h"

#include <sys/xattr.h>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/fuse/abi.h"
#include "server/fuse/recording_filesystem.h"
#include "server/fuse/request_driver.h"

namespace fsd::fuse {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::string GetIn(uint32_t size) { return Raw(fuse_getxattr_in{.size = size, .padding = 0}); }

std::string SetIn(uint32_t size, uint32_t flags = 0, uint32_t setxattr_flags = 0) {
  return Raw(fuse_setxattr_in{
      .size = size, .flags = flags, .setxattr_flags = setxattr_flags, .padding = 0});
}

class XattrHandlers : public ::testing::Test {
 protected:
  // Whether the driver's guest has agreed to the longer SETXATTR.
  void Mount(uint64_t flags) {
    EXPECT_EQ(driver_.Send(FUSE_INIT, 0, InitArguments(7, 45, flags)).error(), 0);
  }

  RecordingFilesystem filesystem_;
  RequestDriver driver_{filesystem_, {.xattr = true}};
};

TEST_F(XattrHandlers, SetTakesNameThenValue) {
  const Answer answer =
      driver_.Send(FUSE_SETXATTR, 5,
                   SetIn(5, XATTR_CREATE, FUSE_SETXATTR_ACL_KILL_SGID) + Text("user.a/b") + "value",
                   {.readable_cuts = {41, 60, 66}});

  EXPECT_THAT(filesystem_.TakeCalls(),
              ElementsAre("SetXattr(5, user.a/b, value, flags=1, kill_sgid=1)"));
  EXPECT_EQ(answer.written, 16u);
}

TEST_F(XattrHandlers, SetOfAnOlderGuestIsEightBytesShorter) {
  Mount(FUSE_BIG_WRITES);

  const Answer answer = driver_.Send(
      FUSE_SETXATTR, 5, SetIn(5, XATTR_REPLACE).substr(0, 8) + Text("user.name") + "value");

  EXPECT_EQ(answer.error(), 0);
  EXPECT_THAT(filesystem_.TakeCalls(),
              ElementsAre("SetXattr(5, user.name, value, flags=2, kill_sgid=0)"));
}

TEST_F(XattrHandlers, SetTakesTheLongestNameAndValue) {
  const std::string name = "user." + std::string(250, 'n');
  const std::string value(65536, 'v');

  EXPECT_EQ(driver_.Send(FUSE_SETXATTR, 5, SetIn(65536) + Text(name) + value).error(), 0);

  EXPECT_THAT(filesystem_.TakeCalls(),
              ElementsAre("SetXattr(5, " + name + ", " + value + ", flags=0, kill_sgid=0)"));
}

TEST_F(XattrHandlers, SetMayHaveNoValue) {
  driver_.Send(FUSE_SETXATTR, 5, SetIn(0) + Text("user.empty"));

  EXPECT_THAT(filesystem_.TakeCalls(),
              ElementsAre("SetXattr(5, user.empty, , flags=0, kill_sgid=0)"));
}

TEST_F(XattrHandlers, SetRefusesALongerValueAndUnknownFlags) {
  EXPECT_EQ(driver_.Send(FUSE_SETXATTR, 5, SetIn(65537) + Text("user.a") + std::string(65537, 'v'))
                .error(),
            E2BIG);
  EXPECT_EQ(
      driver_.Send(FUSE_SETXATTR, 5, SetIn(1 << 20) + Text("user.a") + std::string(1 << 20, 'v'))
          .error(),
      E2BIG);
  EXPECT_EQ(driver_.Send(FUSE_SETXATTR, 5, SetIn(1, 4) + Text("user.a") + "v").error(), EINVAL);
  EXPECT_THAT(filesystem_.TakeCalls(), IsEmpty());
}

TEST_F(XattrHandlers, GetFillsTheGuestsSpace) {
  filesystem_.content = "value";

  const Answer answer =
      driver_.Send(FUSE_GETXATTR, 5, GetIn(100) + Text("user.name"), {.writable_cuts = {16, 18}});

  EXPECT_THAT(filesystem_.TakeCalls(), ElementsAre("GetXattr(5, user.name)"));
  EXPECT_EQ(answer.body, "value");
  EXPECT_EQ(answer.written, 16u + 5u);
}

TEST_F(XattrHandlers, AskedForNoBytesTheyAnswerTheLength) {
  filesystem_.content = "value";

  const Answer get =
      driver_.Send(FUSE_GETXATTR, 5, GetIn(0) + Text("user.name"), {.reply_space = 24});
  const Answer list = driver_.Send(FUSE_LISTXATTR, 5, GetIn(0), {.reply_space = 24});

  EXPECT_EQ(get.written, 24u);
  EXPECT_EQ(get.As<fuse_getxattr_out>().size, 5u);
  EXPECT_EQ(list.written, 24u);
  EXPECT_EQ(list.As<fuse_getxattr_out>().size, 5u);
  EXPECT_THAT(filesystem_.lent, IsEmpty());
}

TEST_F(XattrHandlers, TooFewBytesAreERANGE) {
  filesystem_.content = "value";

  EXPECT_EQ(driver_.Send(FUSE_GETXATTR, 5, GetIn(4) + Text("user.name")).error(), ERANGE);
  EXPECT_EQ(driver_.Send(FUSE_LISTXATTR, 5, GetIn(4)).error(), ERANGE);
}

TEST_F(XattrHandlers, LessRoomThanAskedForIsEINVAL) {
  EXPECT_EQ(driver_.Send(FUSE_GETXATTR, 5, GetIn(5) + Text("a"), {.reply_space = 20}).error(),
            EINVAL);
  EXPECT_EQ(driver_.Send(FUSE_LISTXATTR, 5, GetIn(~0U), {.reply_space = 4096}).error(), EINVAL);
  EXPECT_EQ(driver_.Send(FUSE_LISTXATTR, 5, GetIn(0), {.reply_space = 23}).error(), EINVAL);
  EXPECT_THAT(filesystem_.TakeCalls(), IsEmpty());
}

TEST_F(XattrHandlers, ListFillsTheGuestsSpace) {
  filesystem_.content = Text("user.a") + Text("user.b");

  EXPECT_EQ(driver_.Send(FUSE_LISTXATTR, 5, GetIn(100)).body, filesystem_.content);

  EXPECT_THAT(filesystem_.TakeCalls(), ElementsAre("ListXattr(5)"));
}

TEST_F(XattrHandlers, RemoveTakesAName) {
  EXPECT_EQ(driver_.Send(FUSE_REMOVEXATTR, 5, Text("user.name")).written, 16u);

  EXPECT_THAT(filesystem_.TakeCalls(), ElementsAre("RemoveXattr(5, user.name)"));
}

TEST_F(XattrHandlers, NamesThatLinuxRefusesAreERANGE) {
  for (const std::string& name : {std::string(), std::string(256, 'n')}) {
    EXPECT_EQ(driver_.Send(FUSE_SETXATTR, 5, SetIn(0) + Text(name)).error(), ERANGE);
    EXPECT_EQ(driver_.Send(FUSE_GETXATTR, 5, GetIn(9) + Text(name)).error(), ERANGE);
    EXPECT_EQ(driver_.Send(FUSE_REMOVEXATTR, 5, Text(name)).error(), ERANGE);
  }
  EXPECT_THAT(filesystem_.TakeCalls(), IsEmpty());
}

TEST_F(XattrHandlers, WithoutXattrNothingIsServed) {
  RequestDriver driver(filesystem_);

  EXPECT_EQ(driver.Send(FUSE_SETXATTR, 5, SetIn(0) + Text("user.a")).error(), ENOSYS);
  EXPECT_EQ(driver.Send(FUSE_GETXATTR, 5, GetIn(9) + Text("user.a")).error(), ENOSYS);
  EXPECT_EQ(driver.Send(FUSE_LISTXATTR, 5, GetIn(9)).error(), ENOSYS);
  EXPECT_EQ(driver.Send(FUSE_REMOVEXATTR, 5, Text("user.a")).error(), ENOSYS);
  EXPECT_THAT(filesystem_.TakeCalls(), IsEmpty());
}

}  // namespace
}  // namespace fsd::fuse
