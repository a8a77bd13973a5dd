#include "server/fuse/lock_handlers.h"

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

constexpr uint64_t kToTheEnd = 0x7fffffffffffffff;

std::string LockIn(uint64_t start, uint64_t end, uint32_t type, uint32_t flags = 0) {
  return Raw(fuse_lk_in{.fh = 8,
                        .owner = 99,
                        .lk = {.start = start, .end = end, .type = type, .pid = 1234},
                        .lk_flags = flags,
                        .padding = 0});
}

class LockHandlers : public ::testing::Test {
 protected:
  RecordingFilesystem filesystem_;
  RequestDriver driver_{filesystem_, {.locks = true}};
};

TEST_F(LockHandlers, GetLockAnswersWhatIsInTheWay) {
  filesystem_.lock = {.first = 5, .last = kToTheEnd, .type = F_WRLCK, .pid = 4711};

  const Answer answer = driver_.Send(FUSE_GETLK, 5, LockIn(0, 9, F_RDLCK));

  EXPECT_THAT(filesystem_.TakeCalls(),
              ElementsAre("GetLock(5, fh=8, owner=99, 0-9, type=0, pid=1234)"));
  EXPECT_EQ(answer.written, 16u + 24u);
  const auto out = answer.As<fuse_lk_out>();
  EXPECT_EQ(out.lk.start, 5u);
  EXPECT_EQ(out.lk.end, kToTheEnd);
  EXPECT_EQ(out.lk.type, static_cast<uint32_t>(F_WRLCK));
  EXPECT_EQ(out.lk.pid, 4711u);
}

TEST_F(LockHandlers, OnlySetLockWaitWaits) {
  EXPECT_EQ(driver_.Send(FUSE_SETLK, 5, LockIn(3, 9, F_WRLCK)).written, 16u);
  EXPECT_EQ(driver_.Send(FUSE_SETLKW, 5, LockIn(3, 9, F_WRLCK)).written, 16u);
  EXPECT_EQ(driver_.Send(FUSE_SETLK, 5, LockIn(0, kToTheEnd, F_UNLCK)).written, 16u);

  EXPECT_THAT(
      filesystem_.TakeCalls(),
      ElementsAre("SetLock(5, fh=8, owner=99, 3-9, type=1, pid=1234, flock=0, wait=0)",
                  "SetLock(5, fh=8, owner=99, 3-9, type=1, pid=1234, flock=0, wait=1)",
                  "SetLock(5, fh=8, owner=99, 0-9223372036854775807, type=2, pid=1234, flock=0, "
                  "wait=0)"));
}

TEST_F(LockHandlers, ALockInTheWayIsEAGAIN) {
  filesystem_.error = EAGAIN;

  EXPECT_EQ(driver_.Send(FUSE_SETLK, 5, LockIn(0, 9, F_RDLCK)).error(), EAGAIN);
}

TEST_F(LockHandlers, AFlockIsOfTheWholeFile) {
  driver_.Send(FUSE_SETLKW, 5, LockIn(3, 9, F_WRLCK, FUSE_LK_FLOCK));

  EXPECT_THAT(filesystem_.TakeCalls(),
              ElementsAre("SetLock(5, fh=8, owner=99, 0-9223372036854775807, type=1, pid=1234, "
                          "flock=1, wait=1)"));
}

TEST_F(LockHandlers, RangesThatNoLockHasAreEINVAL) {
  for (const uint32_t opcode : {FUSE_GETLK, FUSE_SETLK, FUSE_SETLKW}) {
    EXPECT_EQ(driver_.Send(opcode, 5, LockIn(10, 9, F_RDLCK)).error(), EINVAL);
    EXPECT_EQ(driver_.Send(opcode, 5, LockIn(0, kToTheEnd + 1, F_RDLCK)).error(), EINVAL);
    EXPECT_EQ(driver_.Send(opcode, 5, LockIn(~0ULL, ~0ULL, F_RDLCK)).error(), EINVAL);
    EXPECT_EQ(driver_.Send(opcode, 5, LockIn(0, 9, 3)).error(), EINVAL);
    EXPECT_EQ(driver_.Send(opcode, 5, LockIn(0, 9, ~0U)).error(), EINVAL);
  }
  EXPECT_THAT(filesystem_.TakeCalls(), IsEmpty());
}

TEST_F(LockHandlers, NothingHindersAnUnlockAndFlockCannotAsk) {
  EXPECT_EQ(driver_.Send(FUSE_GETLK, 5, LockIn(0, 9, F_UNLCK)).error(), EINVAL);
  EXPECT_EQ(driver_.Send(FUSE_GETLK, 5, LockIn(0, 9, F_RDLCK, FUSE_LK_FLOCK)).error(), EINVAL);
  EXPECT_THAT(filesystem_.TakeCalls(), IsEmpty());
}

TEST_F(LockHandlers, WithoutHostLocksTheGuestKeepsItsOwn) {
  RequestDriver driver(filesystem_);

  for (const uint32_t opcode : {FUSE_GETLK, FUSE_SETLK, FUSE_SETLKW}) {
    EXPECT_EQ(driver.Send(opcode, 5, LockIn(0, 9, F_RDLCK)).error(), ENOSYS);
  }
  EXPECT_THAT(filesystem_.TakeCalls(), IsEmpty());
}

}  // namespace
}  // namespace fsd::fuse
