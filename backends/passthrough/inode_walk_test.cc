// A guest that walks many files within a small budget of descriptors, and what that costs in
// memory. FSD_WALK_FILES and FSD_WALK_DIRECTORY make it larger: see BUILD.bazel.
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "backends/filesystem_driver.h"
#include "backends/passthrough/own_handle_broker.h"
#include "backends/passthrough/passthrough_fixture.h"
#include "gtest/gtest.h"

namespace fsd::passthrough {
namespace {

constexpr int kFilesPerDirectory = 1000;
constexpr int kBudget = 1000;

// What this process has in memory of its own, the tables' memory files included.
int64_t ResidentBytes() {
  std::ifstream status("/proc/self/status");
  int64_t kilobytes = 0;
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("RssAnon:") || line.starts_with("RssShmem:")) {
      kilobytes += std::stoll(line.substr(line.find(':') + 1));
    }
  }
  return kilobytes * 1024;
}

class InodeWalkTest : public ::testing::Test {
 protected:
  InodeWalkTest() {
    const char* const files = std::getenv("FSD_WALK_FILES");
    const char* const directory = std::getenv("FSD_WALK_DIRECTORY");
    directories_ = (files == nullptr ? 100'000 : std::atoi(files)) / kFilesPerDirectory;
    path_ = std::string(directory == nullptr ? "/dev/shm" : directory) + "/fsd-walk-XXXXXX";
    EXPECT_NE(::mkdtemp(path_.data()), nullptr);
    for (int directory = 0; directory < directories_; ++directory) {
      const std::string parent = path_ + "/" + std::to_string(directory);
      ::mkdir(parent.c_str(), 0755);
      for (int file = 0; file < kFilesPerDirectory; ++file) {
        const std::string name = parent + "/" + std::to_string(file);
        os::UniqueFd(::open(name.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
      }
    }
  }
  ~InodeWalkTest() override { std::filesystem::remove_all(path_); }

  int directories_ = 0;
  std::string path_;
};

TEST_F(InodeWalkTest, EveryIdentityIsKeptInAtMost200BytesOfMemoryEach) {
  BrokerLog log;
  Options options{.max_inode_fds = kBudget, .host_handles = HostHandles::kAlways};
  options.broker = std::make_unique<OwnHandleBroker>(log);
  const std::unique_ptr<PassthroughFilesystem> filesystem = Serve(path_, std::move(options));
  const backends::FilesystemDriver fs(*filesystem);
  const auto walk = [&](auto visit) {
    size_t at = 0;
    for (int directory = 0; directory < directories_; ++directory) {
      const NodeId parent = Must(fs.Lookup(backends::kRootNodeId, std::to_string(directory))).node;
      for (int file = 0; file < kFilesPerDirectory; ++file) {
        visit(at++, Must(fs.Lookup(parent, std::to_string(file))));
      }
    }
  };
  const auto files = static_cast<size_t>(directories_) * kFilesPerDirectory;
  std::vector<std::pair<NodeId, uint64_t>> known(files, {NodeId{1}, 1});
  const int fds = OpenFdCount();
  const int64_t before = ResidentBytes();

  walk([&](size_t at, const backends::Entry& entry) {
    known[at] = {entry.node, entry.attributes.stx_ino};
  });

  const int64_t each = (ResidentBytes() - before) / static_cast<int64_t>(files);
  std::cout << files << " files known within " << kBudget << " descriptors: " << each
            << " bytes of memory each\n";
  EXPECT_LE(each, 200);
  EXPECT_LE(OpenFdCount(), fds + kBudget);
  walk([&](size_t at, const backends::Entry& entry) {
    ASSERT_EQ(entry.node, known[at].first);
    ASSERT_EQ(entry.attributes.stx_ino, known[at].second);
    if (at % 97 != 0) return;
    ASSERT_EQ(Must(fs.GetAttributes(entry.node)).stx_ino, known[at].second);
  });
  EXPECT_EQ(filesystem->Usage().inodes_refused, 0u);
  EXPECT_LE(OpenFdCount(), fds + kBudget);
}

}  // namespace
}  // namespace fsd::passthrough
