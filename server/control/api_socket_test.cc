#include "server/control/api_socket.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/os/unix_socket.h"

namespace fsd::control {
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

  std::string directory_;
  std::string path_;
};

TEST(ApiSocketPath, OfAddresses) {
  EXPECT_EQ(*ApiSocketPath("unix:///run/fsd/fsd.sock"), "/run/fsd/fsd.sock");
  EXPECT_EQ(*ApiSocketPath("unix:/run/fsd/fsd.sock"), "/run/fsd/fsd.sock");
  for (const char* bad : {"", "/run/fsd.sock", "unix:", "unix://", "unix://relative",
                          "unix:///dir/", "unix-abstract:x", "localhost:80", "[::]:80"}) {
    EXPECT_EQ(ApiSocketPath(bad).status().code(), absl::StatusCode::kInvalidArgument) << bad;
  }
  EXPECT_TRUE(ApiSocketPath("unix:///" + std::string(106, 'a')).ok());
  EXPECT_FALSE(ApiSocketPath("unix:///" + std::string(107, 'a')).ok());
}

TEST_F(ApiSocketTest, NewFilesAreForTheOwnerAloneWhileItIsHeld) {
  const mode_t before = umask(022);
  {
    const auto guard = ApiSocketGuard::Prepare(path_);
    ASSERT_TRUE(guard.ok()) << guard.status();
    EXPECT_EQ(umask(0177), 0177u);
  }
  EXPECT_EQ(umask(before), 022u);
}

TEST_F(ApiSocketTest, ADeadSocketIsRemoved) {
  Listen().reset();
  ASSERT_TRUE(std::filesystem::exists(path_));

  EXPECT_TRUE(ApiSocketGuard::Prepare(path_).ok());

  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(ApiSocketTest, ALiveSocketIsAnErrorAndStays) {
  const os::UniqueFd listener = Listen();

  const auto guard = ApiSocketGuard::Prepare(path_);

  EXPECT_EQ(guard.status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(std::string(guard.status().message()), HasSubstr(path_));
  EXPECT_TRUE(os::ConnectUnix(path_, os::SocketType::kStream).ok());
}

TEST_F(ApiSocketTest, AFileThatIsNoSocketIsAnErrorAndStays) {
  std::ofstream(path_) << "precious";

  EXPECT_EQ(ApiSocketGuard::Prepare(path_).status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_TRUE(std::filesystem::exists(path_));
}

TEST_F(ApiSocketTest, ALinkToADeadSocketIsAnErrorAndStays) {
  Listen().reset();
  const std::string link = directory_ + "/link";
  std::filesystem::create_symlink(path_, link);

  EXPECT_EQ(ApiSocketGuard::Prepare(link).status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_TRUE(std::filesystem::exists(path_));
}

TEST_F(ApiSocketTest, TheDirectoryIsMadeButNotItsParents) {
  EXPECT_TRUE(ApiSocketGuard::Prepare(directory_ + "/run/fsd.sock").ok());
  EXPECT_TRUE(std::filesystem::is_directory(directory_ + "/run"));

  EXPECT_EQ(ApiSocketGuard::Prepare(directory_ + "/a/b/fsd.sock").status().code(),
            absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace fsd::control
