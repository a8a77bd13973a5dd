// The harness against a server that it does not know: QEMU's own virtiofsd, a protocol peer that
// was written by others. What passes here speaks real vhost-user, real rings and real FUSE.
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "gtest/gtest.h"
#include "tests/harness/front_end.h"
#include "tests/harness/fuse_client.h"

extern char** environ;

namespace fsd::harness {
namespace {

constexpr char kPeer[] = "/usr/lib/qemu/virtiofsd";  // of Debian's qemu-system-common

class PeerTest : public ::testing::TestWithParam<DriverQueue::Options> {
 protected:
  void SetUp() override {
    char path[] = "/tmp/fsd-peer-XXXXXX";
    directory_ = ::mkdtemp(path);
    std::filesystem::create_directory(directory_ + "/share");
    std::ofstream(directory_ + "/share/file") << "on the host";
    const std::string socket = "--socket-path=" + directory_ + "/socket";
    const std::string source = "source=" + directory_ + "/share";
    const char* arguments[] = {kPeer, socket.c_str(), "-o", source.c_str(), nullptr};
    ASSERT_EQ(
        ::posix_spawn(&peer_, kPeer, nullptr, nullptr, const_cast<char**>(arguments), environ), 0);
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    FrontEnd::Options options;
    options.queue = GetParam();
    absl::StatusOr<std::unique_ptr<FrontEnd>> connected =
        FrontEnd::Connect(directory_ + "/socket", options);
    while (!connected.ok() && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
      connected = FrontEnd::Connect(directory_ + "/socket", options);
    }
    ASSERT_TRUE(connected.ok()) << connected.status();
    front_end_ = *std::move(connected);
    const absl::Status started = front_end_->Start();
    ASSERT_TRUE(started.ok()) << started;
  }

  void TearDown() override {
    front_end_.reset();
    if (peer_ > 0) {
      ::kill(peer_, SIGKILL);
      ::waitpid(peer_, nullptr, 0);
    }
    std::filesystem::remove_all(directory_);
  }

  std::string directory_;
  pid_t peer_ = 0;
  std::unique_ptr<FrontEnd> front_end_;
};

TEST_P(PeerTest, ServesFiles) {
  FuseClient fuse(*front_end_);
  const auto init = fuse.Init();
  ASSERT_TRUE(init.ok()) << init.status();
  EXPECT_EQ(init->major, 7u);

  const auto found = fuse.Lookup(FUSE_ROOT_ID, "file");
  ASSERT_TRUE(found.ok()) << found.status();
  ASSERT_EQ(found->error, 0);
  const uint64_t node = found->As<fuse_entry_out>().nodeid;
  const auto opened = fuse.Open(node, O_RDONLY);
  ASSERT_TRUE(opened.ok() && opened->error == 0);
  const auto read = fuse.Read(node, opened->As<fuse_open_out>().fh, 0, 4096);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(read->body.data()), read->body.size()),
            "on the host");
  EXPECT_EQ(fuse.Lookup(FUSE_ROOT_ID, "absent")->error, ENOENT);
  EXPECT_TRUE(fuse.Forget(node, 1).ok());
}

TEST_P(PeerTest, ManyRequestsWrapTheRing) {
  FuseClient fuse(*front_end_);
  ASSERT_TRUE(fuse.Init().ok());
  for (int i = 0; i < 1000; ++i) {
    const auto attributes = fuse.GetAttributes(FUSE_ROOT_ID);
    ASSERT_TRUE(attributes.ok()) << attributes.status();
    ASSERT_EQ(attributes->error, 0);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Rings, PeerTest,
    ::testing::Values(DriverQueue::Options{.size = 64, .event_index = true, .indirect = true},
                      DriverQueue::Options{.size = 64, .event_index = false, .indirect = false}),
    [](const auto& info) { return info.param.event_index ? "EventIndex" : "Plain"; });

}  // namespace
}  // namespace fsd::harness
