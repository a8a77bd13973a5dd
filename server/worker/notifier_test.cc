#include "server/worker/notifier.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <utility>

#include "gtest/gtest.h"
#include "server/os/memory_file.h"
#include "server/os/unique_fd.h"

namespace fsd::worker {
namespace {

os::UniqueFd Event(int flags) { return os::UniqueFd(::eventfd(0, EFD_CLOEXEC | flags)); }
os::UniqueFd Copy(const os::UniqueFd& fd) { return os::UniqueFd(::dup(fd.get())); }
uint64_t Count(const os::UniqueFd& event) {
  uint64_t count = 0;
  return ::read(event.get(), &count, sizeof count) == sizeof count ? count : 0;
}
std::pair<os::UniqueFd, os::UniqueFd> Pipe() {
  std::array<int, 2> ends{};
  EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  return {os::UniqueFd(ends[0]), os::UniqueFd(ends[1])};
}

TEST(NotifierTest, TellsAnEventFd) {
  const os::UniqueFd event = Event(EFD_NONBLOCK);
  Notifier notifier;
  ASSERT_TRUE(notifier.Set(Copy(event)).ok());
  notifier.Notify();
  EXPECT_EQ(Count(event), 1u);
}

TEST(NotifierTest, TellsAPipe) {
  const auto [read_end, write_end] = Pipe();
  Notifier notifier;
  ASSERT_TRUE(notifier.Set(Copy(write_end)).ok());
  notifier.Notify();
  uint64_t bytes = 0;
  EXPECT_EQ(::read(read_end.get(), &bytes, sizeof bytes), 8);
}

TEST(NotifierTest, DoesNotBlockOnAFullBlockingEventFd) {
  const os::UniqueFd event = Event(0);
  const uint64_t most = UINT64_MAX - 1;
  ASSERT_EQ(::write(event.get(), &most, sizeof most), 8);
  Notifier notifier;
  ASSERT_TRUE(notifier.Set(Copy(event)).ok());
  notifier.Notify();
  EXPECT_EQ(Count(event), most);
}

TEST(NotifierTest, DoesNotBlockOnAFullBlockingPipe) {
  const auto [read_end, write_end] = Pipe();
  ASSERT_EQ(::fcntl(write_end.get(), F_SETFL, O_NONBLOCK), 0);
  const std::array<char, 4096> filling{};
  while (::write(write_end.get(), filling.data(), filling.size()) > 0) {
  }
  ASSERT_EQ(::fcntl(write_end.get(), F_SETFL, 0), 0);
  Notifier notifier;
  ASSERT_TRUE(notifier.Set(Copy(write_end)).ok());
  notifier.Notify();
}

TEST(NotifierTest, RefusesAFile) {
  Notifier notifier;
  EXPECT_EQ(notifier.Set(*os::CreateMemoryFile("file", 4096)).code(),
            absl::StatusCode::kInvalidArgument);
  notifier.Notify();
}

TEST(NotifierTest, TellsTheNewOneAfterAChange) {
  const os::UniqueFd old_event = Event(EFD_NONBLOCK);
  const os::UniqueFd new_event = Event(EFD_NONBLOCK);
  Notifier notifier;
  ASSERT_TRUE(notifier.Set(Copy(old_event)).ok());
  ASSERT_TRUE(notifier.Set(Copy(new_event)).ok());
  EXPECT_EQ(Count(new_event), 0u);
  notifier.Notify();
  EXPECT_EQ(Count(old_event), 0u);
  EXPECT_EQ(Count(new_event), 1u);
}

TEST(NotifierTest, WhatWasMissedIsToldOnce) {
  const os::UniqueFd event = Event(EFD_NONBLOCK);
  Notifier notifier;
  notifier.Notify();
  notifier.Notify();
  ASSERT_TRUE(notifier.Set(Copy(event)).ok());
  EXPECT_EQ(Count(event), 1u);
  ASSERT_TRUE(notifier.Set(Copy(event)).ok());
  EXPECT_EQ(Count(event), 0u);
}

}  // namespace
}  // namespace fsd::worker
