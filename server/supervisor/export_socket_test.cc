#include "server/supervisor/export_socket.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <string>
#include <thread>

#include "gmock/gmock.h"
#include "server/os/unix_socket.h"
#include "server/supervisor/error_reason.h"

namespace fsd::supervisor {
namespace {

using ::testing::Optional;
using IfDead = ExportSocket::IfDead;

class ExportSocketTest : public ::testing::Test {
 protected:
  ExportSocketTest() {
    char name[] = "/tmp/fsd-socket-XXXXXX";
    root_ = ::mkdtemp(name);
    path_ = root_ + "/web.sock";
  }
  ~ExportSocketTest() override {
    [[maybe_unused]] const int status = ::system(("rm -rf " + root_).c_str());
  }

  absl::StatusOr<ExportSocket> Listen(IfDead if_dead, os::SocketAccess access = {}) const {
    return ExportSocket::Listen(path_, os::SocketType::kStream, access, if_dead);
  }
  absl::StatusOr<ExportSocket> ListenBelow(const std::string& path) const {
    return ExportSocket::ListenBelow({root_ + "/allowed"}, path, os::SocketType::kStream, {},
                                     IfDead::kRefuse);
  }
  void LeaveDeadSocket() const {
    ASSERT_TRUE(os::ListenUnix(path_, os::SocketType::kStream, {}).ok());
  }
  bool Exists() const { return ::access(path_.c_str(), F_OK) == 0; }

  std::string root_;
  std::string path_;
};

TEST_F(ExportSocketTest, ListensWithTheOwnerAndModeAskedFor) {
  const auto socket = Listen(IfDead::kRefuse, {.uid = 0, .gid = 0, .mode = 0660});
  ASSERT_TRUE(socket.ok()) << socket.status();
  struct stat info;
  ASSERT_EQ(::lstat(path_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0660u);
  EXPECT_TRUE(os::ConnectUnix(path_, os::SocketType::kStream).ok());
}

TEST_F(ExportSocketTest, OwnerAndModeChangeWhileItListens) {
  auto socket = Listen(IfDead::kRefuse, {.uid = 0, .gid = 0, .mode = 0640});
  ASSERT_TRUE(socket.ok()) << socket.status();
  struct stat info;
  // Twice: the second time it is another's.
  for (const uid_t owner : {7u, 8u}) {
    ASSERT_TRUE(socket->ChangeAccess({.uid = owner, .gid = 9, .mode = 0606}).ok());
    ASSERT_EQ(::lstat(path_.c_str(), &info), 0);
    EXPECT_EQ(info.st_uid, owner);
    EXPECT_EQ(info.st_gid, 9u);
    EXPECT_EQ(info.st_mode & 07777, 0606u);
  }
  EXPECT_TRUE(os::ConnectUnix(path_, os::SocketType::kStream).ok());
  socket->RemoveFile();
  EXPECT_FALSE(Exists());
}

TEST_F(ExportSocketTest, TheNameOutlivesTheObject) {
  { ASSERT_TRUE(Listen(IfDead::kRefuse).ok()); }
  EXPECT_TRUE(Exists());
}

TEST_F(ExportSocketTest, ALivingSocketIsNeverTaken) {
  const auto foreign = *os::ListenUnix(path_, os::SocketType::kStream, {});
  EXPECT_THAT(ReasonOf(Listen(IfDead::kReplace).status()), Optional(std::string("SOCKET_IN_USE")));
  EXPECT_TRUE(os::ConnectUnix(path_, os::SocketType::kStream).ok());
}

TEST_F(ExportSocketTest, ALivingSocketOfAnotherTypeIsNeverTaken) {
  const auto foreign = *os::ListenUnix(path_, os::SocketType::kSeqPacket, {});
  EXPECT_THAT(ReasonOf(Listen(IfDead::kReplace).status()), Optional(std::string("SOCKET_IN_USE")));
  EXPECT_TRUE(Exists());
}

TEST_F(ExportSocketTest, ADeadSocketIsReplacedOnlyIfItIsOurs) {
  LeaveDeadSocket();
  EXPECT_THAT(ReasonOf(Listen(IfDead::kRefuse).status()), Optional(std::string("SOCKET_IN_USE")));
  EXPECT_TRUE(Exists());
  EXPECT_TRUE(Listen(IfDead::kReplace).ok());
}

TEST_F(ExportSocketTest, WhatIsNotASocketIsNeverTaken) {
  ::close(::open(path_.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
  EXPECT_THAT(ReasonOf(Listen(IfDead::kReplace).status()), Optional(std::string("SOCKET_IN_USE")));
  EXPECT_TRUE(Exists());
}

TEST_F(ExportSocketTest, ASymbolicLinkToADeadSocketIsNeverTaken) {
  LeaveDeadSocket();
  const std::string link = root_ + "/link.sock";
  ASSERT_EQ(::symlink(path_.c_str(), link.c_str()), 0);
  EXPECT_THAT(
      ReasonOf(ExportSocket::Listen(link, os::SocketType::kStream, {}, IfDead::kReplace).status()),
      Optional(std::string("SOCKET_IN_USE")));
  EXPECT_TRUE(Exists());
}

TEST_F(ExportSocketTest, RemovesItsOwnFile) {
  const auto socket = Listen(IfDead::kRefuse);
  ASSERT_TRUE(socket.ok());
  socket->RemoveFile();
  EXPECT_FALSE(Exists());
}

TEST_F(ExportSocketTest, DoesNotRemoveWhatHasTakenItsName) {
  const auto socket = Listen(IfDead::kRefuse);
  ASSERT_TRUE(socket.ok());
  // Kept under another name, so that the inode number is not used again.
  ASSERT_EQ(::rename(path_.c_str(), (root_ + "/moved.sock").c_str()), 0);
  const auto foreign = *os::ListenUnix(path_, os::SocketType::kStream, {});
  socket->RemoveFile();
  EXPECT_TRUE(Exists());
}

TEST_F(ExportSocketTest, AfterStopListeningConnectingIsRefused) {
  auto socket = Listen(IfDead::kRefuse);
  ASSERT_TRUE(socket.ok());
  socket->StopListening();
  EXPECT_EQ(os::ConnectUnix(path_, os::SocketType::kStream).error(), Errno(ECONNREFUSED));
}

TEST_F(ExportSocketTest, ATooLongPathIsNamedSo) {
  const std::string path = root_ + "/" + std::string(107, 's');
  EXPECT_THAT(
      ReasonOf(ExportSocket::Listen(path, os::SocketType::kStream, {}, IfDead::kRefuse).status()),
      Optional(std::string("SOCKET_PATH_TOO_LONG")));
}

TEST_F(ExportSocketTest, ADirectoryThatLeadsOutIsNotAllowed) {
  ASSERT_EQ(::mkdir((root_ + "/allowed").c_str(), 0755), 0);
  ASSERT_EQ(::mkdir((root_ + "/secret").c_str(), 0755), 0);
  ASSERT_EQ(::symlink("../secret", (root_ + "/allowed/out").c_str()), 0);
  EXPECT_TRUE(ListenBelow(root_ + "/allowed/web.sock").ok());
  EXPECT_THAT(ReasonOf(ListenBelow(root_ + "/allowed/out/web.sock").status()),
              Optional(std::string("SOCKET_NOT_ALLOWED")));
  EXPECT_NE(::access((root_ + "/secret/web.sock").c_str(), F_OK), 0);
  EXPECT_THAT(ReasonOf(ListenBelow(root_ + "/allowed/missing/web.sock").status()),
              Optional(std::string("SOCKET_NOT_ALLOWED")));
}

TEST_F(ExportSocketTest, ADirectoryThatIsExchangedMeanwhileNeverLeadsOut) {
  // Whoever owns the directory keeps exchanging it for a link to one that is not allowed.
  const std::string inside = root_ + "/allowed/vm";
  const std::string link = root_ + "/allowed/link";
  const std::string secret = root_ + "/secret";
  for (const std::string& path : {root_ + "/allowed", inside, secret}) {
    ASSERT_EQ(::mkdir(path.c_str(), 0755), 0);
  }
  ASSERT_EQ(::symlink(secret.c_str(), link.c_str()), 0);
  std::atomic<bool> done = false;
  std::thread swapper([&] {
    while (!done) {
      ::renameat2(AT_FDCWD, inside.c_str(), AT_FDCWD, link.c_str(), RENAME_EXCHANGE);
    }
  });
  int made = 0;
  for (int i = 0; i < 5'000; ++i) {
    const std::string name = std::to_string(i) + ".sock";
    made += ListenBelow(inside + "/" + name).ok() ? 1 : 0;
    EXPECT_NE(::access((secret + "/" + name).c_str(), F_OK), 0) << name;
  }
  done = true;
  swapper.join();
  EXPECT_GT(made, 0);
}

TEST_F(ExportSocketTest, NobodyCanConnectBeforeTheSocketHasItsMode) {
  // Under the laxest umask, to one who tries all the time.
  const mode_t before = ::umask(0);
  const auto path_of = [this](int i) { return root_ + "/" + std::to_string(i) + ".sock"; };
  constexpr int kSockets = 2'000;
  std::atomic<int> current = 0;
  std::atomic<int> early = 0;
  std::thread visitor([&] {
    while (current < kSockets) {
      const std::string path = path_of(current);
      struct stat info;
      if (!os::ConnectUnix(path, os::SocketType::kStream).ok()) continue;
      if (::lstat(path.c_str(), &info) != 0 || (info.st_mode & 0777) != 0600) ++early;
    }
  });
  for (; current < kSockets; ++current) {
    EXPECT_TRUE(ExportSocket::Listen(path_of(current), os::SocketType::kStream, {.mode = 0600},
                                     IfDead::kRefuse)
                    .ok());
  }
  visitor.join();
  ::umask(before);
  EXPECT_EQ(early, 0);
}

TEST_F(ExportSocketTest, CheckingChangesNothing) {
  LeaveDeadSocket();
  const auto check = [this](IfDead if_dead) {
    return ExportSocket::CheckBelow({root_}, path_, os::SocketType::kStream, if_dead);
  };
  EXPECT_TRUE(check(IfDead::kReplace).ok());
  EXPECT_THAT(ReasonOf(check(IfDead::kRefuse)), Optional(std::string("SOCKET_IN_USE")));
  EXPECT_TRUE(Exists());
}

TEST_F(ExportSocketTest, OnlyADeadSocketIsClearedAway) {
  LeaveDeadSocket();
  RemoveDeadSocket(path_, os::SocketType::kStream);
  EXPECT_FALSE(Exists());
  const auto living = *os::ListenUnix(path_, os::SocketType::kStream, {});
  RemoveDeadSocket(path_, os::SocketType::kStream);
  EXPECT_TRUE(Exists());
}

class AdoptedSocketTest : public ExportSocketTest {
 protected:
  AdoptedSocketTest() : listener_(*os::ListenUnix(path_, os::SocketType::kStream, {})) {}

  absl::StatusOr<ExportSocket> Adopt(os::UniqueFd& fd, const std::string& path) const {
    return ExportSocket::AdoptBelow({root_}, path, os::SocketType::kStream, {}, fd);
  }
  void ExpectRefused(os::UniqueFd fd) const {
    const bool valid = fd.valid();
    const auto adopted = Adopt(fd, path_);
    EXPECT_EQ(adopted.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(fd.valid(), valid);  // still the caller's
  }

  os::UniqueFd listener_;
};

TEST_F(AdoptedSocketTest, IsAsOneThatWasMadeHere) {
  const auto adopted = Adopt(listener_, path_);
  ASSERT_TRUE(adopted.ok()) << adopted.status();
  EXPECT_FALSE(listener_.valid());
  EXPECT_TRUE(os::ConnectUnix(path_, os::SocketType::kStream).ok());
  adopted->RemoveFile();
  EXPECT_FALSE(Exists());
}

TEST_F(AdoptedSocketTest, WhatIsNoSuchListenerIsRefused) {
  ExpectRefused(os::UniqueFd());
  ExpectRefused(os::UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC)));
  ExpectRefused(*os::ConnectUnix(path_, os::SocketType::kStream));
  ExpectRefused(*os::ListenUnix(root_ + "/other.sock", os::SocketType::kStream, {}));
  ExpectRefused(*os::ListenUnix(root_ + "/packets.sock", os::SocketType::kSeqPacket, {}));
}

TEST_F(AdoptedSocketTest, OneWhosePathNamesAnotherByNowIsRefused) {
  ASSERT_EQ(::unlink(path_.c_str()), 0);
  const auto other = os::ListenUnix(path_, os::SocketType::kStream, {});
  ASSERT_TRUE(other.ok());
  ExpectRefused(std::move(listener_));
  EXPECT_TRUE(Exists());
}

TEST_F(AdoptedSocketTest, OneWhoseNameIsGoneIsRefused) {
  ASSERT_EQ(::unlink(path_.c_str()), 0);
  ExpectRefused(std::move(listener_));
}

TEST_F(AdoptedSocketTest, OneWhereNoSocketMayBeIsRefused) {
  const auto adopted =
      ExportSocket::AdoptBelow({root_ + "/allowed"}, path_, os::SocketType::kStream, {}, listener_);
  EXPECT_THAT(ReasonOf(adopted.status()), Optional(std::string("SOCKET_NOT_ALLOWED")));
}

}  // namespace
}  // namespace fsd::supervisor
