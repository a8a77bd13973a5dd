#include "server/fuse/opcode_table.h"

#include <algorithm>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/fuse/abi.h"
#include "server/fuse/recording_filesystem.h"
#include "server/fuse/request_driver.h"
#include "server/telemetry/export_counters.h"
#include "server/telemetry/opcode_name.h"

namespace fsd::fuse {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr uint32_t kOpcodesTried = 101;

std::vector<std::string> NamesWhere(bool OpcodeRow::*column) {
  std::vector<std::string> names;
  for (uint32_t opcode = 0; opcode < kOpcodesTried; ++opcode) {
    const OpcodeRow* row = FindOpcode(opcode);
    if (row != nullptr && row->*column) names.push_back(row->name);
  }
  return names;
}

// Arguments that are long enough for every opcode and name "x" where there is a name.
std::string AnyArguments(const OpcodeRow* row) {
  const size_t bytes = row != nullptr ? row->argument_bytes : 0;
  return std::string(bytes, '\0') + Text("x") + Text("y");
}

TEST(OpcodeTable, WhatChangesTheFileSystem) {
  EXPECT_THAT(NamesWhere(&OpcodeRow::mutates),
              ElementsAre("SETATTR", "SYMLINK", "MKNOD", "MKDIR", "UNLINK", "RMDIR", "RENAME",
                          "LINK", "WRITE", "SETXATTR", "REMOVEXATTR", "CREATE", "FALLOCATE",
                          "RENAME2", "COPY_FILE_RANGE", "TMPFILE", "COPY_FILE_RANGE_64"));
}

TEST(OpcodeTable, WhatGoesToTheSlowLane) {
  EXPECT_THAT(NamesWhere(&OpcodeRow::may_block),
              ElementsAre("FSYNC", "INIT", "FSYNCDIR", "DESTROY", "FALLOCATE", "COPY_FILE_RANGE",
                          "SYNCFS", "COPY_FILE_RANGE_64"));
}

TEST(OpcodeTable, WhatIsServedBeforeInit) {
  EXPECT_THAT(NamesWhere(&OpcodeRow::before_init), ElementsAre("INIT"));
}

TEST(OpcodeTable, WhatIsServed) {
  std::vector<std::string> served;
  for (uint32_t opcode = 0; opcode < kOpcodesTried; ++opcode) {
    const OpcodeRow* row = FindOpcode(opcode);
    if (row != nullptr && row->handler != nullptr) served.push_back(row->name);
  }

  EXPECT_THAT(
      served,
      ElementsAre("LOOKUP", "FORGET", "GETATTR", "SETATTR", "READLINK", "SYMLINK", "MKNOD", "MKDIR",
                  "UNLINK", "RMDIR", "RENAME", "LINK", "OPEN", "READ", "WRITE", "STATFS", "RELEASE",
                  "FSYNC", "SETXATTR", "GETXATTR", "LISTXATTR", "REMOVEXATTR", "FLUSH", "INIT",
                  "OPENDIR", "READDIR", "RELEASEDIR", "FSYNCDIR", "GETLK", "SETLK", "SETLKW",
                  "ACCESS", "CREATE", "INTERRUPT", "DESTROY", "IOCTL", "BATCH_FORGET", "FALLOCATE",
                  "READDIRPLUS", "RENAME2", "LSEEK", "COPY_FILE_RANGE", "SYNCFS", "TMPFILE",
                  "STATX", "COPY_FILE_RANGE_64"));
}

TEST(OpcodeTable, WhatTheHeaderLacksHasLinuxsNumber) {
  ASSERT_NE(FindOpcode(52), nullptr);
  ASSERT_NE(FindOpcode(53), nullptr);
  EXPECT_STREQ(FindOpcode(52)->name, "STATX");
  EXPECT_STREQ(FindOpcode(53)->name, "COPY_FILE_RANGE_64");
}

// By name, for the test's output.
class EachOpcode : public ::testing::TestWithParam<uint32_t> {
 protected:
  const OpcodeRow* row_ = FindOpcode(GetParam());
  RecordingFilesystem filesystem_;
};

TEST_P(EachOpcode, IsAnsweredExactlyOnce) {
  RequestDriver driver(filesystem_, {.xattr = true, .locks = true});

  const auto flight = driver.Start(GetParam(), 1, AnyArguments(row_));

  EXPECT_EQ(flight->replies(), 1);
  EXPECT_EQ(flight->answer().written, flight->answer().header.len);
  if (row_ == nullptr || row_->has_reply) {
    EXPECT_GE(flight->answer().written, 16u);
    EXPECT_EQ(flight->answer().header.unique, 77u);
  } else {
    EXPECT_EQ(flight->answer().written, 0u);
  }
}

TEST_P(EachOpcode, IsENOSYSIfItIsNotServed) {
  if (row_ != nullptr && (row_->handler != nullptr || !row_->has_reply)) return;
  RequestDriver driver(filesystem_, {.xattr = true, .locks = true});

  EXPECT_EQ(driver.Send(GetParam(), 1, AnyArguments(row_)).error(), ENOSYS);
}

TEST_P(EachOpcode, IsEROFSOnAReadOnlyExportIfItMutates) {
  if (row_ == nullptr || !row_->mutates) return;
  RequestDriver driver(filesystem_, {.read_only = true, .xattr = true, .locks = true});

  EXPECT_EQ(driver.Send(GetParam(), 1, AnyArguments(row_)).error(), EROFS);
  EXPECT_THAT(filesystem_.TakeCalls(), IsEmpty());
}

TEST_P(EachOpcode, IsRefusedBeforeInit) {
  if (row_ == nullptr || row_->before_init) return;
  Session session(filesystem_, {}, nullptr, nullptr);

  const Answer answer = Flight(session, Message(GetParam(), 1, AnyArguments(row_)), {}).answer();

  EXPECT_EQ(answer.error(), row_->has_reply ? EIO : 0);
  EXPECT_THAT(filesystem_.TakeCalls(), IsEmpty());
}

TEST_P(EachOpcode, IsRefusedWithArgumentsAByteTooShort) {
  if (row_ == nullptr || row_->handler == nullptr || row_->argument_bytes == 0) return;
  RequestDriver driver(filesystem_, {.xattr = true, .locks = true});

  const Answer answer = driver.Send(GetParam(), 1, std::string(row_->argument_bytes - 1, '\0'));

  EXPECT_EQ(answer.error(), row_->has_reply ? EINVAL : 0);
  EXPECT_THAT(filesystem_.TakeCalls(), IsEmpty());
}

TEST_P(EachOpcode, DoesNothingWithoutRoomForItsReply) {
  if (row_ == nullptr || row_->handler == nullptr || !row_->has_reply) return;
  RequestDriver driver(filesystem_, {.xattr = true, .locks = true});
  const std::string arguments = AnyArguments(row_);
  const size_t needed = sizeof(fuse_out_header) + row_->reply_bytes;

  const Answer none = driver.Send(GetParam(), 1, arguments, {.reply_space = 0});
  const Answer fifteen = driver.Send(GetParam(), 1, arguments, {.reply_space = 15});
  const Answer one_less = driver.Send(GetParam(), 1, arguments, {.reply_space = needed - 1});

  EXPECT_EQ(none.written, 0u);
  EXPECT_EQ(fifteen.written, 0u);
  EXPECT_TRUE(fifteen.rest_untouched);
  if (row_->reply_bytes > 0) {
    EXPECT_EQ(one_less.error(), EINVAL);
    EXPECT_EQ(one_less.written, 16u);
  }
  EXPECT_THAT(filesystem_.TakeCalls(), IsEmpty());
}

TEST_P(EachOpcode, RepliesAreNeverLargerThanTheirRow) {
  if (row_ == nullptr || row_->handler == nullptr || !row_->has_reply) return;
  RequestDriver driver(filesystem_, {.xattr = true, .locks = true});
  const size_t needed = sizeof(fuse_out_header) + row_->reply_bytes;

  const Answer answer = driver.Send(GetParam(), 1, AnyArguments(row_), {.reply_space = needed});

  // An all-zero INIT is of an old version, LSEEK's whence is not served, some have data that they
  // do not tell of, and some ask for a length instead.
  constexpr uint32_t kNotAllZero[] = {FUSE_INIT,  FUSE_LSEEK,    FUSE_WRITE,    FUSE_SETXATTR,
                                      FUSE_IOCTL, FUSE_GETXATTR, FUSE_LISTXATTR};
  if (std::ranges::count(kNotAllZero, GetParam()) > 0) return;
  EXPECT_EQ(answer.error(), 0);
  EXPECT_EQ(answer.written, needed);
}

INSTANTIATE_TEST_SUITE_P(All, EachOpcode, ::testing::Range(0u, kOpcodesTried),
                         [](const auto& info) {
                           const OpcodeRow* row = FindOpcode(info.param);
                           return row != nullptr ? std::string(row->name)
                                                 : "Opcode" + std::to_string(info.param);
                         });

TEST(OpcodeTable, OpcodesFarOutsideAreUnknown) {
  EXPECT_EQ(FindOpcode(CUSE_INIT), nullptr);
  EXPECT_EQ(FindOpcode(FUSE_INIT_BSWAP_RESERVED), nullptr);
  EXPECT_EQ(FindOpcode(0xffffffff), nullptr);
}

// The supervisor's side has names of its own.
TEST(OpcodeTable, HasTheNamesThatTelemetryHas) {
  for (uint32_t opcode = 0; opcode < 128; ++opcode) {
    const OpcodeRow* const row = FindOpcode(opcode);
    EXPECT_EQ(telemetry::OpcodeName(opcode), row == nullptr ? "UNKNOWN" : row->name) << opcode;
    if (row == nullptr) continue;
    EXPECT_LT(opcode, telemetry::kMaxCountedOpcodes);
  }
}

}  // namespace
}  // namespace fsd::fuse
