// The kernel objects that need no more than a few lines of proof each.
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <span>
#include <string_view>

#include "gtest/gtest.h"
#include "server/os/event_fd.h"
#include "server/os/mapped_memory.h"
#include "server/os/memory_file.h"
#include "server/os/pid_fd.h"
#include "server/os/timer_fd.h"
#include "server/os/unique_fd.h"

namespace fsd::os {
namespace {

bool IsOpen(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

bool Readable(int fd, int timeout_ms) {
  pollfd entry{.fd = fd, .events = POLLIN, .revents = 0};
  return ::poll(&entry, 1, timeout_ms) == 1;
}

TEST(UniqueFd, ClosesWhatItOwnsOnce) {
  int number;
  {
    UniqueFd first(::dup(STDERR_FILENO));
    number = first.get();
    UniqueFd second = std::move(first);
    EXPECT_FALSE(first.valid());
    EXPECT_TRUE(IsOpen(number));
  }
  EXPECT_FALSE(IsOpen(number));
}

TEST(UniqueFd, ReleasedStaysOpen) {
  int number;
  {
    UniqueFd fd(::dup(STDERR_FILENO));
    number = fd.release();
  }
  EXPECT_TRUE(IsOpen(number));
  ::close(number);
}

TEST(EventFd, SignalsUntilDrained) {
  const EventFd event = *EventFd::Create();
  EXPECT_FALSE(Readable(event.fd(), 0));
  event.Signal();
  event.Signal();
  EXPECT_TRUE(Readable(event.fd(), 0));
  event.Drain();
  EXPECT_FALSE(Readable(event.fd(), 0));
  event.Drain();  // does not block
}

TEST(TimerFd, RunsOutOnceAndCanBeCancelled) {
  const TimerFd timer = *TimerFd::Create();
  timer.Set(absl::ZeroDuration());
  EXPECT_TRUE(Readable(timer.fd(), 10'000));
  timer.Drain();
  timer.Set(absl::Hours(1));
  timer.Cancel();
  EXPECT_FALSE(Readable(timer.fd(), 0));
}

TEST(MemoryFile, CannotBeResized) {
  const UniqueFd file = *CreateMemoryFile("test", 4096);
  EXPECT_NE(::ftruncate(file.get(), 8192), 0);
  EXPECT_NE(::ftruncate(file.get(), 0), 0);
}

TEST(MemoryFile, SealedContentsCannotBeWritten) {
  constexpr std::string_view kText = "spec";
  const UniqueFd file = *CreateSealedFile("test", std::as_bytes(std::span(kText)));
  char text[8];
  EXPECT_EQ(::read(file.get(), text, sizeof text), 4);
  EXPECT_EQ(::pwrite(file.get(), "x", 1, 0), -1);
}

TEST(MappedMemory, SharesAFile) {
  const UniqueFd file = *CreateMemoryFile("test", 4096);
  const MappedMemory first = *MappedMemory::MapShared(file.get(), 0, 4096);
  const MappedMemory second = *MappedMemory::MapShared(file.get(), 0, 4096);
  std::memcpy(first.data(), "shared", 6);
  EXPECT_EQ(std::memcmp(second.data(), "shared", 6), 0);
}

TEST(MappedMemory, AnonymousIsZeroed) {
  const MappedMemory memory = *MappedMemory::Anonymous(1 << 20);
  EXPECT_EQ(memory.size(), size_t{1} << 20);
  EXPECT_EQ(memory.data()[12345], std::byte{0});
}

TEST(MappedMemory, ABadDescriptorIsAnErrno) {
  EXPECT_EQ(MappedMemory::MapShared(-1, 0, 4096).error(), Errno(EBADF));
}

TEST(PidFd, TellsHowAChildEnded) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    ::pause();
    ::_exit(0);
  }
  const PidFd process{UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)))};
  EXPECT_FALSE(process.Reap()->has_value());

  ASSERT_TRUE(process.SendSignal(SIGKILL).ok());
  ASSERT_TRUE(Readable(process.fd(), 10'000));
  const auto status = process.Reap();
  ASSERT_TRUE(status.ok() && status->has_value());
  EXPECT_EQ((*status)->Describe(), "killed by signal 9 (Killed)");
  EXPECT_EQ(process.SendSignal(SIGKILL).error(), Errno(ESRCH));
}

TEST(PidFd, OfAProcessThatIsNotOurChildTellsItsEndOnceItsParentKnowsAndTheKernelCan) {
  int pipe_ends[2];
  ASSERT_EQ(::pipe(pipe_ends), 0);
  const pid_t parent = ::fork();
  ASSERT_GE(parent, 0);
  if (parent == 0) {
    const pid_t child = ::fork();
    if (child == 0) {
      ::pause();
      ::_exit(0);
    }
    (void)!::write(pipe_ends[1], &child, sizeof child);
    ::waitpid(child, nullptr, 0);
    ::_exit(0);
  }
  pid_t child = 0;
  ASSERT_EQ(::read(pipe_ends[0], &child, sizeof child), static_cast<ssize_t>(sizeof child));
  const auto process = PidFd::Open(child);
  ASSERT_TRUE(process.ok());
  EXPECT_FALSE(Readable(process->fd(), 0));
  ASSERT_TRUE(process->SendSignal(SIGKILL).ok());
  ASSERT_TRUE(Readable(process->fd(), 10'000));
  ASSERT_EQ(::waitpid(parent, nullptr, 0), parent);  // it has waited for its child

  EXPECT_EQ(process->Reap().error(), Errno(ECHILD));
  const auto exit = process->Exit();
  if (exit.ok()) {  // Linux 6.15
    ASSERT_TRUE(exit->has_value());
    EXPECT_EQ((*exit)->Describe(), "killed by signal 9 (Killed)");
  }
  ::close(pipe_ends[0]);
  ::close(pipe_ends[1]);
}

TEST(PidFd, OfNoProcessIsAnErrno) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  EXPECT_EQ(PidFd::Open(child).error(), Errno(ESRCH));
}

}  // namespace
}  // namespace fsd::os
