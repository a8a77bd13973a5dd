#include "server/os/unix_socket.h"

#include <linux/capability.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>
#include <thread>

#include "gtest/gtest.h"

namespace fsd::os {
namespace {

class UnixSocketTest : public ::testing::Test {
 protected:
  UnixSocketTest() {
    char path[] = "/tmp/fsd-socket-XXXXXX";
    directory_ = ::mkdtemp(path);
  }
  ~UnixSocketTest() override {
    ::unlink((directory_ + "/s").c_str());
    ::rmdir(directory_.c_str());
  }

  std::string path() const { return directory_ + "/s"; }
  std::string directory_;
};

std::span<const std::byte> Bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

TEST_F(UnixSocketTest, ListensWithItsModeAndConnects) {
  const auto listener = ListenUnix(path(), SocketType::kStream, {.mode = 0640});
  ASSERT_TRUE(listener.ok());
  struct stat info;
  ASSERT_EQ(::stat(path().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0640u);

  EXPECT_EQ(AcceptUnix(listener->get()).error(), Errno(EAGAIN));
  const auto client = ConnectUnix(path(), SocketType::kStream);
  ASSERT_TRUE(client.ok());
  const auto accepted = AcceptUnix(listener->get());
  ASSERT_TRUE(accepted.ok());
  EXPECT_EQ(GetPeerCredentials(accepted->get())->pid, ::getpid());
}

TEST_F(UnixSocketTest, ItsFileIsKnownAndNoOther) {
  const auto listener = ListenUnix(path(), SocketType::kStream, {});
  ASSERT_TRUE(listener.ok());
  const auto file = OpenSocketFile(listener->get(), path(), ::geteuid());
  ASSERT_TRUE(file.ok());
  struct stat known, named;
  ASSERT_EQ(::fstat(file->get(), &known), 0);
  ASSERT_EQ(::lstat(path().c_str(), &named), 0);
  EXPECT_EQ(known.st_ino, named.st_ino);
}

TEST_F(UnixSocketTest, ASocketThatCannotBeGivenAwayLeavesNoFile) {
  const pid_t ordinary = ::fork();
  if (ordinary == 0) {
    __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    const __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {};
    const bool is_ordinary = ::syscall(SYS_capset, &header, none) == 0;
    const bool refused = !ListenUnix(path(), SocketType::kStream, {.uid = 54321}).ok();
    ::_exit(is_ordinary && refused ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(ordinary, &status, 0), ordinary);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(::access(path().c_str(), F_OK), -1);
}

TEST_F(UnixSocketTest, WhatTakesItsNameMeanwhileIsNotGivenAway) {
  // A socket that others may not connect to, which somebody who may write in the directory keeps
  // putting in the place of the new one.
  const std::string victim = directory_ + "/victim";
  const auto listener = ListenUnix(victim, SocketType::kStream, {.mode = 0600});
  ASSERT_TRUE(listener.ok());
  std::atomic<bool> done = false;
  std::thread swapper([&] {
    const std::string link = directory_ + "/link";
    while (!done) {
      (void)!::link(victim.c_str(), link.c_str());
      (void)!::rename(link.c_str(), path().c_str());
    }
    ::unlink(link.c_str());
  });
  for (int i = 0; i < 20'000; ++i) {
    ::unlink(path().c_str());
    (void)ListenUnix(path(), SocketType::kStream, {.mode = 0666});
  }
  done = true;
  swapper.join();
  struct stat info;
  ASSERT_EQ(::lstat(victim.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  ::unlink(victim.c_str());
}

TEST_F(UnixSocketTest, AnExistingPathIsInUse) {
  const auto first = ListenUnix(path(), SocketType::kStream, {});
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(ListenUnix(path(), SocketType::kStream, {}).error(), Errno(EADDRINUSE));
}

TEST_F(UnixSocketTest, ADeadSocketRefuses) {
  { const auto listener = ListenUnix(path(), SocketType::kSeqPacket, {}); }
  EXPECT_EQ(ConnectUnix(path(), SocketType::kSeqPacket).error(), Errno(ECONNREFUSED));
}

TEST_F(UnixSocketTest, APathTooLongIsNamed) {
  const std::string long_path = directory_ + "/" + std::string(kMaxSocketPathBytes, 'x');
  EXPECT_EQ(ListenUnix(long_path, SocketType::kStream, {}).error(), Errno(ENAMETOOLONG));
}

TEST(UnixSocketMessages, CarryDescriptors) {
  auto [left, right] = *UnixSocketPair(SocketType::kStream);
  int pipe_fds[2];
  ASSERT_EQ(::pipe(pipe_fds), 0);
  const UniqueFd reader(pipe_fds[0]);
  UniqueFd writer(pipe_fds[1]);
  const std::array fds{writer.get()};
  ASSERT_EQ(*SendWithFds(left.get(), Bytes("hi"), fds), 2u);

  std::array<std::byte, 16> buffer;
  auto received = ReceiveWithFds(right.get(), buffer, 4);
  ASSERT_TRUE(received.ok());
  EXPECT_EQ(received->bytes, 2u);
  ASSERT_EQ(received->fds.size(), 1u);
  writer.reset();
  EXPECT_EQ(::write(received->fds[0].get(), "x", 1), 1);
}

TEST(UnixSocketMessages, MoreDescriptorsThanExpectedAreCutAndClosed) {
  auto [left, right] = *UnixSocketPair(SocketType::kStream);
  const std::array fds{STDERR_FILENO, STDERR_FILENO, STDERR_FILENO};
  ASSERT_TRUE(SendWithFds(left.get(), Bytes("hi"), fds).ok());

  std::array<std::byte, 16> buffer;
  const auto received = ReceiveWithFds(right.get(), buffer, 1);
  ASSERT_TRUE(received.ok());
  EXPECT_TRUE(received->truncated);
  EXPECT_EQ(received->fds.size(), 1u);
}

TEST(UnixSocketMessages, AClosedPeerReadsAsNoBytesAndDoesNotRaiseSigpipe) {
  auto [left, right] = *UnixSocketPair(SocketType::kStream);
  left.reset();
  std::array<std::byte, 16> buffer;
  EXPECT_EQ(ReceiveWithFds(right.get(), buffer, 0)->bytes, 0u);
  EXPECT_EQ(SendWithFds(right.get(), Bytes("hi"), {}).error(), Errno(EPIPE));
}

}  // namespace
}  // namespace fsd::os
