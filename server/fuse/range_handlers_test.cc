#include "server/fuse/range_handlers.h"

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

constexpr uint64_t kFh = 0x100000002;
constexpr uint64_t kMax = 0x7fffffffffffffff;

class RangeHandlers : public ::testing::Test {
 protected:
  RecordingFilesystem filesystem_;
  RequestDriver driver_{filesystem_};
};

TEST_F(RangeHandlers, FallocatePassesModeAndRange) {
  const fuse_fallocate_in in = {.fh = kFh, .offset = 10, .length = 20, .mode = 3, .padding = 0};

  EXPECT_EQ(driver_.Send(FUSE_FALLOCATE, 5, Raw(in)).written, 16u);

  EXPECT_THAT(filesystem_.TakeCalls(),
              ElementsAre("Fallocate(5, fh=4294967298, mode=3, at=10, length=20)"));
}

TEST_F(RangeHandlers, SeekFindsDataAndHoles) {
  filesystem_.sought = 65536;
  const fuse_lseek_in in = {.fh = kFh, .offset = 10, .whence = SEEK_HOLE, .padding = 0};

  const Answer answer = driver_.Send(FUSE_LSEEK, 5, Raw(in));

  EXPECT_THAT(filesystem_.TakeCalls(), ElementsAre("Seek(5, fh=4294967298, at=10, whence=4)"));
  EXPECT_EQ(answer.written, 24u);
  EXPECT_EQ(answer.As<fuse_lseek_out>().offset, 65536u);
}

TEST_F(RangeHandlers, SeekRefusesOtherWhences) {
  for (const uint32_t whence : {SEEK_SET, SEEK_CUR, SEEK_END, 5}) {
    const fuse_lseek_in in = {.fh = kFh, .offset = 0, .whence = whence, .padding = 0};
    EXPECT_EQ(driver_.Send(FUSE_LSEEK, 5, Raw(in)).error(), EINVAL);
  }
  EXPECT_THAT(filesystem_.TakeCalls(), IsEmpty());
}

TEST_F(RangeHandlers, AllocatingBeyondTheLargestOffsetIsEFBIG) {
  const fuse_fallocate_in in = {.fh = kFh, .offset = kMax, .length = 1, .mode = 0, .padding = 0};

  EXPECT_EQ(driver_.Send(FUSE_FALLOCATE, 5, Raw(in)).error(), EFBIG);
}

fuse_copy_file_range_in CopyIn(uint64_t from, uint64_t to, uint64_t length) {
  return {.fh_in = kFh,
          .off_in = from,
          .nodeid_out = 6,
          .fh_out = 8,
          .off_out = to,
          .len = length,
          .flags = 0};
}

TEST_F(RangeHandlers, CopyFileRangeNamesBothSides) {
  filesystem_.sought = 4000;

  const Answer answer = driver_.Send(FUSE_COPY_FILE_RANGE, 5, Raw(CopyIn(10, 20, 5000)));

  EXPECT_THAT(filesystem_.TakeCalls(),
              ElementsAre("CopyRange(5, fh=4294967298, at=10, 6, fh=8, at=20, length=5000, "
                          "flags=0)"));
  EXPECT_EQ(answer.written, 24u);
  EXPECT_EQ(answer.As<fuse_write_out>().size, 4000u);
}

TEST_F(RangeHandlers, TheOldCopyIsCutToWhatItsReplyCanTell) {
  driver_.Send(FUSE_COPY_FILE_RANGE, 5, Raw(CopyIn(0, 0, 1ULL << 40)));

  EXPECT_THAT(filesystem_.TakeCalls(),
              ElementsAre("CopyRange(5, fh=4294967298, at=0, 6, fh=8, at=0, length=4294963200, "
                          "flags=0)"));
  filesystem_.sought = 1ULL << 32;
  EXPECT_EQ(driver_.Send(FUSE_COPY_FILE_RANGE, 5, Raw(CopyIn(0, 0, 1))).error(), EIO);
}

TEST_F(RangeHandlers, TheNewCopyTellsOfMoreThan32Bits) {
  filesystem_.sought = 1ULL << 40;

  const Answer answer = driver_.Send(kOpcodeCopyFileRange64, 5, Raw(CopyIn(0, 0, 1ULL << 40)));

  EXPECT_THAT(filesystem_.TakeCalls(),
              ElementsAre("CopyRange(5, fh=4294967298, at=0, 6, fh=8, at=0, length=1099511627776, "
                          "flags=0)"));
  EXPECT_EQ(answer.written, 24u);
  EXPECT_EQ(answer.As<CopyFileRangeOut>().bytes_copied, 1ULL << 40);
}

TEST_F(RangeHandlers, CopiesEndAtTheLargestOffset) {
  driver_.Send(kOpcodeCopyFileRange64, 5, Raw(CopyIn(0, kMax - 7, ~0ULL)));

  EXPECT_THAT(filesystem_.TakeCalls(),
              ElementsAre("CopyRange(5, fh=4294967298, at=0, 6, fh=8, at=9223372036854775800, "
                          "length=7, flags=0)"));
}

TEST_F(RangeHandlers, CopiesFromOrToBeyondTheLargestOffsetAreEINVAL) {
  for (const uint32_t opcode :
       {static_cast<uint32_t>(FUSE_COPY_FILE_RANGE), kOpcodeCopyFileRange64}) {
    EXPECT_EQ(driver_.Send(opcode, 5, Raw(CopyIn(kMax + 1, 0, 1))).error(), EINVAL);
    EXPECT_EQ(driver_.Send(opcode, 5, Raw(CopyIn(0, ~0ULL, 1))).error(), EINVAL);
  }
  fuse_copy_file_range_in in = CopyIn(0, 0, 1);
  in.flags = 1ULL << 32;
  EXPECT_EQ(driver_.Send(kOpcodeCopyFileRange64, 5, Raw(in)).error(), EINVAL);
  EXPECT_THAT(filesystem_.TakeCalls(), IsEmpty());
}

}  // namespace
}  // namespace fsd::fuse
