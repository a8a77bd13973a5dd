#include "server/virtqueue/dirty_log.h"

#include <limits>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/os/memory_file.h"

namespace fsd::virtqueue {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr uint64_t kPage = 4096;
constexpr uint64_t kMax = std::numeric_limits<uint64_t>::max();

class DirtyLogTest : public testing::Test {
 protected:
  static constexpr size_t kBytes = 8;  // 64 pages

  // The pages marked so far.
  std::vector<uint64_t> Marked() const {
    std::vector<uint64_t> pages;
    for (uint64_t page = 0; page < view_.size() * 8; ++page) {
      if ((std::to_integer<int>(view_.data()[page / 8]) >> (page % 8)) & 1) pages.push_back(page);
    }
    return pages;
  }

  const os::UniqueFd file_ = *os::CreateMemoryFile("log", 2 * kPage);
  // More than the log, to see what is written past its end.
  const os::MappedMemory view_ = *os::MappedMemory::MapShared(file_.get(), 0, 2 * kPage);
  const std::shared_ptr<const DirtyLog> log_ = *DirtyLog::Map(file_.get(), 0, kBytes);
};

TEST_F(DirtyLogTest, MarksThePageOfAByte) {
  log_->Mark(9 * kPage, 1);
  EXPECT_THAT(Marked(), ElementsAre(9));
}

TEST_F(DirtyLogTest, MarksEveryPageThatIsTouchedAndNoOther) {
  log_->Mark(3 * kPage - 1, kPage + 2);
  EXPECT_THAT(Marked(), ElementsAre(2, 3, 4));
}

TEST_F(DirtyLogTest, AWholePageDoesNotTouchTheNext) {
  log_->Mark(3 * kPage, kPage);
  EXPECT_THAT(Marked(), ElementsAre(3));
}

TEST_F(DirtyLogTest, MarksAcrossBytesOfTheBitmap) {
  log_->Mark(6 * kPage, 12 * kPage);
  EXPECT_THAT(Marked(), ElementsAre(6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17));
}

TEST_F(DirtyLogTest, MarksAddUp) {
  log_->Mark(1 * kPage, 1);
  log_->Mark(3 * kPage, 1);
  log_->Mark(1 * kPage, 1);
  EXPECT_THAT(Marked(), ElementsAre(1, 3));
}

TEST_F(DirtyLogTest, NothingMarksNothing) {
  log_->Mark(kPage, 0);
  EXPECT_THAT(Marked(), IsEmpty());
}

TEST_F(DirtyLogTest, LeavesOutPagesPastTheBitmap) {
  log_->Mark(62 * kPage, 10 * kPage);
  log_->Mark(64 * kPage, 1);
  log_->Mark(kMax, 1);
  EXPECT_THAT(Marked(), ElementsAre(62, 63));
}

TEST_F(DirtyLogTest, ALengthThatWrapsEndsAtTheLastPage) {
  log_->Mark(63 * kPage, kMax);
  log_->Mark(kMax, kMax);
  EXPECT_THAT(Marked(), ElementsAre(63));
}

TEST_F(DirtyLogTest, MapsFromAnOffset) {
  (*DirtyLog::Map(file_.get(), kPage, kBytes))->Mark(0, 1);
  EXPECT_EQ(view_.data()[kPage], std::byte{1});
}

TEST_F(DirtyLogTest, RefusesWhatTheFileDoesNotHold) {
  EXPECT_TRUE(absl::IsInvalidArgument(DirtyLog::Map(file_.get(), 0, 0).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(DirtyLog::Map(file_.get(), 0, 2 * kPage + 1).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(DirtyLog::Map(file_.get(), kPage, kPage + 1).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(DirtyLog::Map(file_.get(), kMax, kPage).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(DirtyLog::Map(file_.get(), 12, kBytes).status()));
  EXPECT_FALSE(DirtyLog::Map(-1, 0, kBytes).ok());
}

}  // namespace
}  // namespace fsd::virtqueue
