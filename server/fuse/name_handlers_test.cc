#include "server/fuse/name_handlers.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/fuse/abi.h"
#include "server/fuse/recording_filesystem.h"
#include "server/fuse/request_driver.h"

namespace fsd::fuse {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class NameHandlers : public ::testing::Test {
 protected:
  NameHandlers() {
    filesystem_.entry.node = backends::NodeId{0x300000005};
    filesystem_.entry.attributes.stx_ino = 4711;
    filesystem_.entry.attributes.stx_mode = S_IFREG | 0644;
  }

  RecordingFilesystem filesystem_;
  RequestDriver driver_{filesystem_};
};

TEST_F(NameHandlers, LookupAnswersTheEntry) {
  const Answer answer = driver_.Send(FUSE_LOOKUP, 1, Text("file"));

  EXPECT_THAT(filesystem_.TakeCalls(), ElementsAre("Lookup(1, file)"));
  EXPECT_EQ(answer.written, 144u);
  EXPECT_EQ(answer.header.len, 144u);
  EXPECT_EQ(answer.header.error, 0);
  EXPECT_EQ(answer.header.unique, 77u);
  const auto entry = answer.As<fuse_entry_out>();
  EXPECT_EQ(entry.nodeid, 0x300000005u);
  EXPECT_EQ(entry.generation, 3u);
  EXPECT_EQ(entry.entry_valid, 1u);
  EXPECT_EQ(entry.attr_valid, 1u);
  EXPECT_EQ(entry.attr.ino, 4711u);
  EXPECT_EQ(entry.attr.mode, static_cast<uint32_t>(S_IFREG | 0644));
}

TEST_F(NameHandlers, TheCallerIsTheGuestsTask) {
  driver_.Send(FUSE_LOOKUP, 1, Text("file"));

  EXPECT_EQ(filesystem_.caller.uid, 1000u);
  EXPECT_EQ(filesystem_.caller.gid, 1001u);
  EXPECT_EQ(filesystem_.caller.pid, 1002u);
}

TEST_F(NameHandlers, LookupOfNothingIsENOENT) {
  filesystem_.error = ENOENT;

  const Answer answer = driver_.Send(FUSE_LOOKUP, 1, Text("file"));

  EXPECT_EQ(answer.written, 16u);
  EXPECT_EQ(answer.header.len, 16u);
  EXPECT_EQ(answer.header.error, -ENOENT);
  EXPECT_EQ(answer.header.unique, 77u);
}

TEST_F(NameHandlers, LookupOfNothingMayBeRememberedForATime) {
  RequestDriver driver(filesystem_, {.negative_timeout = absl::Milliseconds(2500)});
  filesystem_.error = ENOENT;

  const Answer answer = driver.Send(FUSE_LOOKUP, 1, Text("file"));

  EXPECT_EQ(answer.error(), 0);
  EXPECT_EQ(answer.written, 144u);
  const auto entry = answer.As<fuse_entry_out>();
  EXPECT_EQ(entry.nodeid, 0u);
  EXPECT_EQ(entry.entry_valid, 2u);
  EXPECT_EQ(entry.entry_valid_nsec, 500'000'000u);
  EXPECT_EQ(entry.attr_valid, 0u);
}

TEST_F(NameHandlers, OnlyLookupsENOENTIsRemembered) {
  RequestDriver driver(filesystem_, {.negative_timeout = absl::Seconds(1)});
  filesystem_.error = ESTALE;
  EXPECT_EQ(driver.Send(FUSE_LOOKUP, 1, Text("file")).error(), ESTALE);
  filesystem_.error = ENOENT;

  EXPECT_EQ(driver.Send(FUSE_MKDIR, 1, Raw(fuse_mkdir_in{}) + Text("dir")).error(), ENOENT);
  EXPECT_EQ(driver.Send(FUSE_LINK, 1, Raw(fuse_link_in{}) + Text("link")).error(), ENOENT);
  EXPECT_EQ(driver.Send(FUSE_CREATE, 1, Raw(fuse_create_in{}) + Text("file")).error(), ENOENT);
}

TEST_F(NameHandlers, NamesAndAttributesHaveTimesOfTheirOwn) {
  RequestDriver driver(filesystem_, {.attr_timeout = absl::Milliseconds(250),
                                     .entry_timeout = absl::Hours(24 * 365 * 68)});

  const auto entry = driver.Send(FUSE_LOOKUP, 1, Text("file")).As<fuse_entry_out>();

  EXPECT_EQ(entry.attr_valid, 0u);
  EXPECT_EQ(entry.attr_valid_nsec, 250'000'000u);
  EXPECT_EQ(entry.entry_valid, 68ULL * 365 * 86400);
  EXPECT_EQ(entry.entry_valid_nsec, 0u);
}

TEST_F(NameHandlers, LookupMayAskForDotAndDotDot) {
  driver_.Send(FUSE_LOOKUP, 9, Text("."));
  driver_.Send(FUSE_LOOKUP, 9, Text(".."));

  EXPECT_THAT(filesystem_.TakeCalls(), ElementsAre("Lookup(9, .)", "Lookup(9, ..)"));
}

TEST_F(NameHandlers, ForgetGivesBackAndHasNoReply) {
  const Answer answer = driver_.Send(FUSE_FORGET, 5, Raw(fuse_forget_in{.nlookup = 3}));

  EXPECT_THAT(filesystem_.TakeCalls(), ElementsAre("Forget(5, 3)"));
  EXPECT_EQ(answer.written, 0u);
  EXPECT_TRUE(answer.rest_untouched);
}

TEST_F(NameHandlers, BatchForgetGivesBackEach) {
  const Answer answer = driver_.Send(FUSE_BATCH_FORGET, 0,
                                     Raw(fuse_batch_forget_in{.count = 2, .dummy = 0}) +
                                         Raw(fuse_forget_one{.nodeid = 5, .nlookup = 1}) +
                                         Raw(fuse_forget_one{.nodeid = 6, .nlookup = 2}),
                                     {.readable_cuts = {40, 51, 70}});

  EXPECT_THAT(filesystem_.TakeCalls(), ElementsAre("Forget(5, 1)", "Forget(6, 2)"));
  EXPECT_EQ(answer.written, 0u);
}

TEST_F(NameHandlers, SymlinkTakesNameThenTarget) {
  const Answer answer = driver_.Send(FUSE_SYMLINK, 1, Text("link") + Text("../to/there"));

  EXPECT_THAT(filesystem_.TakeCalls(), ElementsAre("Symlink(1, link, ../to/there)"));
  EXPECT_EQ(answer.written, 144u);
}

TEST_F(NameHandlers, SymlinkTakesTheLongestNameAndTarget) {
  const std::string name(255, 'n');
  const std::string target(4095, 't');

  const Answer answer = driver_.Send(FUSE_SYMLINK, 1, Text(name) + Text(target));

  EXPECT_EQ(answer.error(), 0);
  EXPECT_THAT(filesystem_.TakeCalls(), ElementsAre("Symlink(1, " + name + ", " + target + ")"));
}

TEST_F(NameHandlers, SymlinkRefusesAnEmptyAndALongTarget) {
  EXPECT_EQ(driver_.Send(FUSE_SYMLINK, 1, Text("link") + Text("")).error(), ENOENT);
  EXPECT_EQ(driver_.Send(FUSE_SYMLINK, 1, Text("link") + Text(std::string(4096, 't'))).error(),
            ENAMETOOLONG);
  EXPECT_THAT(filesystem_.TakeCalls(), IsEmpty());
}

TEST_F(NameHandlers, MakeNodeDecodesTheDeviceNumber) {
  // Major 0x123, minor 0x45678: new_encode_dev puts the minor's upper bits above the major.
  const fuse_mknod_in in = {.mode = S_IFCHR | 0600, .rdev = 0x45612378, .umask = 022, .padding = 0};

  const Answer answer = driver_.Send(FUSE_MKNOD, 1, Raw(in) + Text("device"));

  EXPECT_THAT(filesystem_.TakeCalls(),
              ElementsAre(absl::StrFormat("MakeNode(1, device, mode=20600, umask=22, device=%#x)",
                                          makedev(0x123, 0x45678))));
  EXPECT_EQ(answer.written, 144u);
}

TEST_F(NameHandlers, MakeNodePassesNoDeviceForAFifo) {
  const fuse_mknod_in in = {.mode = S_IFIFO | 0600, .rdev = 77, .umask = 0, .padding = 0};

  driver_.Send(FUSE_MKNOD, 1, Raw(in) + Text("fifo"));

  EXPECT_THAT(filesystem_.TakeCalls(),
              ElementsAre("MakeNode(1, fifo, mode=10600, umask=0, device=0)"));
}

TEST_F(NameHandlers, MakeDirectoryPassesModeAndUmask) {
  const Answer answer =
      driver_.Send(FUSE_MKDIR, 1, Raw(fuse_mkdir_in{.mode = 041777, .umask = 027}) + Text("dir"));

  EXPECT_THAT(filesystem_.TakeCalls(), ElementsAre("MakeDirectory(1, dir, mode=1777, umask=27)"));
  EXPECT_EQ(answer.written, 144u);
}

TEST_F(NameHandlers, UnlinkAndRemoveDirectoryAnswerWithoutABody) {
  EXPECT_EQ(driver_.Send(FUSE_UNLINK, 1, Text("file")).written, 16u);
  EXPECT_EQ(driver_.Send(FUSE_RMDIR, 1, Text("dir")).written, 16u);

  EXPECT_THAT(filesystem_.TakeCalls(), ElementsAre("Unlink(1, file)", "RemoveDirectory(1, dir)"));
}

TEST_F(NameHandlers, RenameTakesTheOldNameThenTheNew) {
  const Answer answer =
      driver_.Send(FUSE_RENAME, 1, Raw(fuse_rename_in{.newdir = 9}) + Text("old") + Text("new"));

  EXPECT_THAT(filesystem_.TakeCalls(), ElementsAre("Rename(1, old, 9, new, flags=0)"));
  EXPECT_EQ(answer.written, 16u);
}

TEST_F(NameHandlers, Rename2PassesItsFlagsAndRefusesUnknownOnes) {
  const auto send = [&](uint32_t flags) {
    return driver_.Send(FUSE_RENAME2, 1,
                        Raw(fuse_rename2_in{.newdir = 9, .flags = flags, .padding = 0}) +
                            Text("old") + Text("new"));
  };

  EXPECT_EQ(send(1).error(), 0);
  EXPECT_EQ(send(2).error(), 0);
  EXPECT_EQ(send(4).error(), 0);
  EXPECT_EQ(send(8).error(), EINVAL);

  EXPECT_THAT(filesystem_.TakeCalls(),
              ElementsAre("Rename(1, old, 9, new, flags=1)", "Rename(1, old, 9, new, flags=2)",
                          "Rename(1, old, 9, new, flags=4)"));
}

TEST_F(NameHandlers, LinkNamesTheNodeInItsArgumentsAndTheDirectoryInItsHeader) {
  const Answer answer =
      driver_.Send(FUSE_LINK, 9, Raw(fuse_link_in{.oldnodeid = 5}) + Text("second"));

  EXPECT_THAT(filesystem_.TakeCalls(), ElementsAre("Link(5, 9, second)"));
  EXPECT_EQ(answer.written, 144u);
}

TEST_F(NameHandlers, ReadLinkAnswersTheTargetWithoutANul) {
  filesystem_.content = "../target";

  const Answer answer = driver_.Send(FUSE_READLINK, 5, "");

  EXPECT_THAT(filesystem_.TakeCalls(), ElementsAre("ReadLink(5)"));
  EXPECT_EQ(answer.body, "../target");
  EXPECT_EQ(answer.written, 16u + 9u);
}

TEST_F(NameHandlers, ReadLinkAnswersTheLongestTarget) {
  filesystem_.content = std::string(4095, 't');

  EXPECT_TRUE(driver_.Send(FUSE_READLINK, 5, "", {.reply_space = 8192}).body ==
              filesystem_.content);
}

TEST_F(NameHandlers, ReadLinkCutsTheTargetToTheGuestsSpace) {
  filesystem_.content = "../target";

  EXPECT_EQ(driver_.Send(FUSE_READLINK, 5, "", {.reply_space = 20}).body, "../t");
}

TEST_F(NameHandlers, DotNamesAnswerWhatLinuxAnswers) {
  const std::string mknod = Raw(fuse_mknod_in{});
  const std::string mkdir = Raw(fuse_mkdir_in{});
  const std::string rename = Raw(fuse_rename_in{});

  EXPECT_EQ(driver_.Send(FUSE_MKNOD, 1, mknod + Text(".")).error(), EEXIST);
  EXPECT_EQ(driver_.Send(FUSE_MKDIR, 1, mkdir + Text("..")).error(), EEXIST);
  EXPECT_EQ(driver_.Send(FUSE_SYMLINK, 1, Text(".") + Text("t")).error(), EEXIST);
  EXPECT_EQ(driver_.Send(FUSE_LINK, 1, Raw(fuse_link_in{}) + Text("..")).error(), EEXIST);
  EXPECT_EQ(driver_.Send(FUSE_UNLINK, 1, Text("..")).error(), EISDIR);
  EXPECT_EQ(driver_.Send(FUSE_RMDIR, 1, Text(".")).error(), EINVAL);
  EXPECT_EQ(driver_.Send(FUSE_RMDIR, 1, Text("..")).error(), ENOTEMPTY);
  EXPECT_EQ(driver_.Send(FUSE_RENAME, 1, rename + Text("..") + Text("new")).error(), EBUSY);
  EXPECT_EQ(driver_.Send(FUSE_RENAME, 1, rename + Text("old") + Text(".")).error(), EBUSY);
  EXPECT_THAT(filesystem_.TakeCalls(), IsEmpty());
}

}  // namespace
}  // namespace fsd::fuse
