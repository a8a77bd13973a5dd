// What a malicious or broken guest may send as a request: all of it gets an errno or, where no
// reply is possible, a completed chain of length 0.
#include <fcntl.h>
#include <unistd.h>

#include <random>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/fuse/abi.h"
#include "server/fuse/recording_filesystem.h"
#include "server/fuse/request_driver.h"
#include "server/fuse/session.h"

namespace fsd::fuse {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::string Header(uint32_t len, uint32_t opcode) {
  fuse_in_header header{};
  header.len = len;
  header.opcode = opcode;
  header.unique = 77;
  header.nodeid = 1;
  return Raw(header);
}

class HostileRequest : public ::testing::Test {
 protected:
  RecordingFilesystem filesystem_;
  RequestDriver driver_{filesystem_, {.xattr = true, .locks = true}};
};

TEST_F(HostileRequest, AnEmptyChainIsCompletedWithLengthZero) {
  EXPECT_EQ(driver_.SendBytes("", {.reply_space = 0}).written, 0u);
}

TEST_F(HostileRequest, AHeaderCutShortIsEINVAL) {
  const std::string header = Header(40, FUSE_STATFS);
  for (size_t length = 0; length < 40; ++length) {
    EXPECT_EQ(driver_.SendBytes(header.substr(0, length)).error(), EINVAL) << length;
  }
  EXPECT_THAT(filesystem_.TakeCalls(), IsEmpty());
}

TEST_F(HostileRequest, AHeaderLongerThanTheChainIsEINVAL) {
  EXPECT_EQ(driver_.SendBytes(Header(41, FUSE_STATFS)).error(), EINVAL);
  EXPECT_EQ(driver_.SendBytes(Header(0xffffffff, FUSE_STATFS)).error(), EINVAL);
  EXPECT_EQ(driver_.SendBytes(Header(0xffffffff, FUSE_WRITE) + std::string(100, 'x')).error(),
            EINVAL);
  EXPECT_THAT(filesystem_.TakeCalls(), IsEmpty());
}

TEST_F(HostileRequest, AHeaderShorterThanItselfIsEINVAL) {
  EXPECT_EQ(driver_.SendBytes(Header(0, FUSE_STATFS)).error(), EINVAL);
  EXPECT_EQ(driver_.SendBytes(Header(39, FUSE_STATFS)).error(), EINVAL);
}

TEST_F(HostileRequest, AnUnknownOpcodeIsENOSYS) {
  for (const uint32_t opcode : {0u, 7u, 19u, 54u, 4096u, 0xffffffffu}) {
    EXPECT_EQ(driver_.Send(opcode, 1, "").error(), ENOSYS);
  }
}

TEST_F(HostileRequest, ANameWithoutNulIsEINVAL) {
  EXPECT_EQ(driver_.Send(FUSE_LOOKUP, 1, "name").error(), EINVAL);
  EXPECT_EQ(driver_.Send(FUSE_LOOKUP, 1, "").error(), EINVAL);
  EXPECT_EQ(driver_.Send(FUSE_SYMLINK, 1, Text("name") + "target").error(), EINVAL);
  EXPECT_EQ(driver_.Send(FUSE_RENAME, 1, Raw(fuse_rename_in{}) + Text("old") + "new").error(),
            EINVAL);
  // The NUL is in the chain, but behind the request's end.
  const std::string message = Message(FUSE_LOOKUP, 1, "name");
  EXPECT_EQ(driver_.SendBytes(message + Text("more")).error(), EINVAL);
  EXPECT_THAT(filesystem_.TakeCalls(), IsEmpty());
}

TEST_F(HostileRequest, ANameWithASlashIsEINVAL) {
  EXPECT_EQ(driver_.Send(FUSE_LOOKUP, 1, Text("../etc/passwd")).error(), EINVAL);
  EXPECT_EQ(driver_.Send(FUSE_UNLINK, 1, Text("/")).error(), EINVAL);
  EXPECT_EQ(driver_.Send(FUSE_CREATE, 1, Raw(fuse_create_in{}) + Text("a/b")).error(), EINVAL);
  EXPECT_EQ(driver_.Send(FUSE_RENAME, 1, Raw(fuse_rename_in{}) + Text("old") + Text("a/b")).error(),
            EINVAL);
  EXPECT_THAT(filesystem_.TakeCalls(), IsEmpty());
}

TEST_F(HostileRequest, ANameThatIsTooLongIsENAMETOOLONG) {
  for (const size_t length : {256, 600, 4000, 1 << 20}) {
    EXPECT_EQ(driver_.Send(FUSE_LOOKUP, 1, Text(std::string(length, 'n'))).error(), ENAMETOOLONG);
  }
  EXPECT_THAT(filesystem_.TakeCalls(), IsEmpty());
}

TEST_F(HostileRequest, AReadLargerThanTheWritableSpaceIsEINVAL) {
  fuse_read_in in{};
  in.size = 85;
  EXPECT_EQ(driver_.Send(FUSE_READ, 5, Raw(in), {.reply_space = 100}).error(), EINVAL);
  in.size = 0xffffffff;
  EXPECT_EQ(driver_.Send(FUSE_READ, 5, Raw(in), {.reply_space = 100}).error(), EINVAL);
  EXPECT_THAT(filesystem_.TakeCalls(), IsEmpty());
}

TEST_F(HostileRequest, AWriteWhoseSizeIsNotItsPayloadsIsEINVAL) {
  fuse_write_in in{};
  for (const uint32_t size : {0u, 4u, 6u, 0xffffffffu}) {
    in.size = size;
    EXPECT_EQ(driver_.Send(FUSE_WRITE, 5, Raw(in) + "hello").error(), EINVAL);
  }
  EXPECT_THAT(filesystem_.TakeCalls(), IsEmpty());
}

TEST_F(HostileRequest, AnAttributeWhoseSizeLiesIsEINVAL) {
  fuse_setxattr_in in{};
  for (const uint32_t size : {0u, 4u, 6u, 0xffffffffu}) {
    in.size = size;
    EXPECT_EQ(driver_.Send(FUSE_SETXATTR, 5, Raw(in) + Text("user.a") + "value").error(), EINVAL);
  }
  EXPECT_THAT(filesystem_.TakeCalls(), IsEmpty());
}

TEST_F(HostileRequest, AnAttributesNameWithoutNulIsEINVAL) {
  EXPECT_EQ(driver_.Send(FUSE_SETXATTR, 5, Raw(fuse_setxattr_in{}) + "user.a").error(), EINVAL);
  EXPECT_EQ(driver_.Send(FUSE_GETXATTR, 5, Raw(fuse_getxattr_in{}) + "user.a").error(), EINVAL);
  EXPECT_EQ(driver_.Send(FUSE_REMOVEXATTR, 5, "user.a").error(), EINVAL);
  EXPECT_EQ(driver_.Send(FUSE_REMOVEXATTR, 5, "").error(), EINVAL);
  EXPECT_EQ(driver_.Send(FUSE_TMPFILE, 5, Raw(fuse_create_in{}) + "/").error(), EINVAL);
  EXPECT_THAT(filesystem_.TakeCalls(), IsEmpty());
}

TEST_F(HostileRequest, ExtensionsLongerThanTheRequestAreEINVAL) {
  for (const uint32_t opcode : {FUSE_MKDIR, FUSE_LOOKUP, FUSE_WRITE, FUSE_GETATTR}) {
    std::string message = Message(opcode, 1, std::string(48, '\0'));
    for (const uint16_t units : {7, 0xffff}) {
      std::memcpy(message.data() + offsetof(fuse_in_header, total_extlen), &units, sizeof(units));
      EXPECT_EQ(driver_.SendBytes(message).error(), EINVAL);
    }
  }
  EXPECT_THAT(filesystem_.TakeCalls(), IsEmpty());
}

TEST_F(HostileRequest, ExtensionsThatNobodyAskedForAreNoArguments) {
  std::string message = Message(FUSE_LOOKUP, 1, "name" + Text("1234567"));
  message[offsetof(fuse_in_header, total_extlen)] = 1;

  EXPECT_EQ(driver_.SendBytes(message).error(), EINVAL);

  EXPECT_THAT(filesystem_.TakeCalls(), IsEmpty());
}

TEST_F(HostileRequest, ACallerWithoutIdsMakesNothingAndHasNoRights) {
  for (const size_t field : {offsetof(fuse_in_header, uid), offsetof(fuse_in_header, gid)}) {
    std::string message = Message(FUSE_MKDIR, 1, Raw(fuse_mkdir_in{}) + Text("name"));
    message.replace(field, 4, 4, '\xff');
    EXPECT_EQ(driver_.SendBytes(message).error(), EOVERFLOW);
    message = Message(FUSE_ACCESS, 1, Raw(fuse_access_in{.mask = R_OK, .padding = 0}));
    message.replace(field, 4, 4, '\xff');
    EXPECT_EQ(driver_.SendBytes(message).error(), EOVERFLOW);
  }
  EXPECT_THAT(filesystem_.TakeCalls(), IsEmpty());
}

TEST_F(HostileRequest, NodeidsAndHandlesAreTheBackendsToJudge) {
  filesystem_.error = ESTALE;

  EXPECT_EQ(driver_.Send(FUSE_GETATTR, 0, Raw(fuse_getattr_in{})).error(), ESTALE);
  EXPECT_EQ(driver_.Send(FUSE_GETATTR, ~0ULL, Raw(fuse_getattr_in{})).error(), ESTALE);

  EXPECT_THAT(filesystem_.TakeCalls(), ElementsAre("GetAttributes(0, fh=none)",
                                                   "GetAttributes(18446744073709551615, fh=none)"));
}

TEST_F(HostileRequest, AForgetOfMoreThanWasGivenIsPassedOn) {
  EXPECT_EQ(driver_.Send(FUSE_FORGET, 5, Raw(fuse_forget_in{.nlookup = ~0ULL})).written, 0u);

  EXPECT_THAT(filesystem_.TakeCalls(), ElementsAre("Forget(5, 18446744073709551615)"));
}

TEST_F(HostileRequest, ABatchForgetWhoseCountIsNotItsBodysIsDropped) {
  const std::string one = Raw(fuse_forget_one{.nodeid = 5, .nlookup = 1});
  for (const uint32_t count : {2u, 0x10000000u, 0xffffffffu}) {
    const Answer answer = driver_.Send(FUSE_BATCH_FORGET, 0,
                                       Raw(fuse_batch_forget_in{.count = count, .dummy = 0}) + one);
    EXPECT_EQ(answer.written, 0u);
    EXPECT_TRUE(answer.rest_untouched);
  }
  EXPECT_THAT(filesystem_.TakeCalls(), IsEmpty());
}

TEST_F(HostileRequest, ABatchForgetThatWouldTakeLongIsDropped) {
  std::string body;
  for (int i = 0; i < 65537; ++i) body += Raw(fuse_forget_one{.nodeid = 5, .nlookup = 1});

  driver_.Send(FUSE_BATCH_FORGET, 0, Raw(fuse_batch_forget_in{.count = 65537, .dummy = 0}) + body);

  EXPECT_THAT(filesystem_.TakeCalls(), IsEmpty());
}

TEST_F(HostileRequest, AForgetIsNotAnsweredEvenIfItIsBroken) {
  const Answer answer = driver_.Send(FUSE_FORGET, 5, "");

  EXPECT_EQ(answer.written, 0u);
  EXPECT_TRUE(answer.rest_untouched);
}

TEST_F(HostileRequest, CreateOfANameThatExistsNeverCarriesOCreat) {
  filesystem_.error = EEXIST;
  const fuse_create_in in = {
      .flags = O_CREAT | O_EXCL | O_RDWR, .mode = 0644, .umask = 0, .open_flags = 0};

  EXPECT_EQ(driver_.Send(FUSE_CREATE, 1, Raw(in) + Text("taken")).error(), EEXIST);

  EXPECT_THAT(filesystem_.TakeCalls(),
              ElementsAre(absl::StrFormat("Create(1, taken, mode=644, umask=0, flags=%o, kill=0)",
                                          O_EXCL | O_RDWR)));
}

TEST_F(HostileRequest, AnErrnoThatNoReplyMayCarryIsEIO) {
  for (const int error : {512, 4095, -1}) {
    filesystem_.error = error;
    EXPECT_EQ(driver_.Send(FUSE_GETATTR, 1, Raw(fuse_getattr_in{})).error(), EIO);
  }
}

TEST_F(HostileRequest, AnInterruptIsAcceptedWithoutAReply) {
  const Answer answer = driver_.Send(FUSE_INTERRUPT, 0, Raw(fuse_interrupt_in{.unique = 76}));

  EXPECT_EQ(answer.written, 0u);
  EXPECT_TRUE(answer.rest_untouched);
}

TEST_F(HostileRequest, NoiseIsAlwaysAnswered) {
  std::mt19937 random(4711);
  for (int round = 0; round < 20000; ++round) {
    std::string arguments(random() % 160, '\0');
    // Mostly zeros, so that names end and numbers are small now and then.
    for (char& byte : arguments) byte = random() % 3 == 0 ? static_cast<char>(random()) : '\0';
    const size_t readable_cut = random() % 200;
    const size_t writable_cut = random() % 300;
    filesystem_.content = std::string(random() % 300, 'c');
    std::string message = Message(random() % 60, random() % 8, arguments);
    if (random() % 4 == 0) message[offsetof(fuse_in_header, total_extlen)] = random() % 8;
    if (random() % 10 == 0) message.resize(random() % (message.size() + 1));

    const Answer answer = driver_.SendBytes(message, {.reply_space = random() % 300,
                                                      .readable_cuts = {readable_cut},
                                                      .writable_cuts = {writable_cut}});

    EXPECT_EQ(answer.written, answer.header.len);
    if (round % 100 == 0) filesystem_.TakeCalls();
  }
}

}  // namespace
}  // namespace fsd::fuse
