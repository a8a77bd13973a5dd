#include "server/access/api_socket.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/os/unix_socket.h"

namespace fsd::access {
namespace {

using testing::HasSubstr;

class ApiSocketTest : public testing::Test {
 protected:
  ApiSocketTest() {
    char name[] = "/tmp/api_socket.XXXXXX";
    directory_ = mkdtemp(name);
    path_ = directory_ + "/fsd.sock";
  }
  ~ApiSocketTest() override { std::filesystem::remove_all(directory_); }

  os::UniqueFd Listen() {
    auto listener = os::ListenUnix(path_, os::SocketType::kStream, {});
    EXPECT_TRUE(listener.ok());
    return std::move(*listener);
  }

  absl::StatusOr<ApiSocket> Bound() { return ApiSocket::Listen({.address = "unix://" + path_}); }

  std::string directory_;
  std::string path_;
};

TEST_F(ApiSocketTest, IsForWhomTheListenerSays) {
  const auto socket =
      ApiSocket::Listen({.address = "unix://" + path_, .uid = 12, .gid = 34, .mode = 0660});
  ASSERT_TRUE(socket.ok()) << socket.status();

  struct stat found;
  ASSERT_EQ(stat(path_.c_str(), &found), 0);
  EXPECT_EQ(found.st_uid, 12u);
  EXPECT_EQ(found.st_gid, 34u);
  EXPECT_EQ(found.st_mode & 07777, 0660u);
  EXPECT_TRUE(os::ConnectUnix(path_, os::SocketType::kStream).ok());
}

TEST_F(ApiSocketTest, IsForItsOwnerAloneUnlessTheListenerSaysMore) {
  const mode_t before = umask(0);
  const auto socket = Bound();
  umask(before);

  struct stat found;
  ASSERT_EQ(stat(path_.c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 07777, 0600u);
}

TEST_F(ApiSocketTest, ItsFileGoesWithItUnlessSomebodyElseMadeIt) {
  { const auto socket = Bound(); }
  EXPECT_FALSE(std::filesystem::exists(path_));

  { const auto socket = ApiSocket::Adopt(Listen()); }
  EXPECT_TRUE(std::filesystem::exists(path_));
}

TEST_F(ApiSocketTest, TheNextServersSocketStays) {
  os::UniqueFd next;
  {
    const auto socket = Bound();
    std::filesystem::remove(path_);
    next = Listen();
  }

  EXPECT_TRUE(os::ConnectUnix(path_, os::SocketType::kStream).ok());
}

TEST_F(ApiSocketTest, ADeadSocketThatWasGivenAwayIsRemovedToo) {
  Listen().reset();
  ASSERT_EQ(chown(path_.c_str(), 12, 34), 0);

  EXPECT_EQ(Bound().status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_TRUE(ApiSocket::Listen({.address = "unix://" + path_, .uid = 12}).ok());
}

TEST_F(ApiSocketTest, ADeadSocketMakesRoom) {
  Listen().reset();
  ASSERT_TRUE(std::filesystem::exists(path_));

  EXPECT_TRUE(Bound().ok());
}

TEST_F(ApiSocketTest, ALiveSocketIsAnErrorAndStays) {
  const os::UniqueFd listener = Listen();

  const auto second = Bound();

  EXPECT_EQ(second.status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(std::string(second.status().message()), HasSubstr(path_));
  EXPECT_TRUE(os::ConnectUnix(path_, os::SocketType::kStream).ok());
}

TEST_F(ApiSocketTest, AFileThatIsNoSocketIsAnErrorAndStays) {
  std::ofstream(path_) << "precious";

  EXPECT_EQ(Bound().status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_TRUE(std::filesystem::exists(path_));
}

TEST_F(ApiSocketTest, ALinkToADeadSocketIsAnErrorAndStays) {
  Listen().reset();
  const std::string link = directory_ + "/link";
  std::filesystem::create_symlink(path_, link);

  EXPECT_EQ(ApiSocket::Listen({.address = "unix://" + link}).status().code(),
            absl::StatusCode::kAlreadyExists);
  EXPECT_TRUE(std::filesystem::exists(path_));
}

TEST_F(ApiSocketTest, TheDirectoryIsMadeButNotItsParents) {
  EXPECT_TRUE(ApiSocket::Listen({.address = "unix://" + directory_ + "/run/fsd.sock"}).ok());
  EXPECT_TRUE(std::filesystem::is_directory(directory_ + "/run"));

  EXPECT_EQ(
      ApiSocket::Listen({.address = "unix://" + directory_ + "/a/b/fsd.sock"}).status().code(),
      absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace fsd::access
