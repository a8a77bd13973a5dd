#include "backends/passthrough/inode_table.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "backends/passthrough/passthrough_fixture.h"
#include "gtest/gtest.h"

namespace fsd::passthrough {
namespace {

class InodeTableTest : public ::testing::Test {
 protected:
  os::UniqueFd Open(const std::string& name) {
    const std::string path = directory_.path() + "/" + name;
    return os::UniqueFd(::open(path.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  }
  os::UniqueFd Make(const std::string& name) {
    const std::string path = directory_.path() + "/" + name;
    os::UniqueFd(::open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    return Open(name);
  }
  Attributes Stat(const std::string& name) { return Must(StatFd(Open(name).get())); }
  NodeId Insert(os::UniqueFd fd) {
    const Attributes attributes = Must(StatFd(fd.get()));
    return Must(table_.Insert(std::move(fd), attributes, table_.epoch())).node;
  }

  std::optional<NodeId> AddLookup(const Attributes& attributes) {
    return table_.AddLookup(attributes, table_.epoch());
  }

  // A slot that one thread has retired stays taken while others pin it, so there are more slots
  // than a few threads can keep taken at once.
  static constexpr uint32_t kSlots = 16;

  TemporaryDirectory directory_;
  InodeTable table_{Must(InodeTable::Slots::Reserve("test", kSlots)), Open("."), Stat(".")};
};

TEST_F(InodeTableTest, TheRootIsNodeOneAndIsNeverForgotten) {
  table_.Forget(backends::kRootNodeId, 1000);
  table_.Reset();
  EXPECT_TRUE(table_.Acquire(backends::kRootNodeId));
  EXPECT_EQ(*AddLookup(Stat(".")), backends::kRootNodeId);
  EXPECT_EQ(table_.size(), 1u);
}

TEST_F(InodeTableTest, AnInodeIsKnownUntilEveryLookupIsGivenBack) {
  const NodeId node = Insert(Make("file"));
  EXPECT_EQ(AddLookup(Stat("file")), node);
  EXPECT_EQ(Insert(Open("file")), node);
  table_.Forget(node, 2);
  EXPECT_TRUE(table_.Acquire(node));
  table_.Forget(node, 1);
  EXPECT_FALSE(table_.Acquire(node));
  EXPECT_EQ(AddLookup(Stat("file")), std::nullopt);
}

TEST_F(InodeTableTest, ForgettingMoreThanWasLookedUpForgetsTheInodeOnly) {
  const NodeId node = Insert(Make("file"));
  const NodeId other = Insert(Make("other"));
  table_.Forget(node, ~uint64_t{0});
  table_.Forget(node, 1);
  EXPECT_FALSE(table_.Acquire(node));
  EXPECT_TRUE(table_.Acquire(other));
}

TEST_F(InodeTableTest, AForgottenInodeStaysOpenWhileItIsInUse) {
  const NodeId node = Insert(Make("file"));
  InodeTable::Pin pin = table_.Acquire(node);
  const int fd = pin->fd;
  table_.Forget(node, 1);
  EXPECT_GE(::fcntl(fd, F_GETFD), 0);
  EXPECT_FALSE(table_.AddLookup(pin));
  pin = {};
  EXPECT_LT(::fcntl(fd, F_GETFD), 0);
}

TEST_F(InodeTableTest, AnotherInodeUnderTheSameNumberIsNotMistakenForTheKnownOne) {
  const NodeId node = Insert(Make("file"));
  Attributes recycled = Stat("file");
  recycled.stx_btime.tv_nsec ^= 1;
  EXPECT_EQ(AddLookup(recycled), std::nullopt);
  Attributes other_type = Stat("file");
  other_type.stx_mode ^= S_IFREG ^ S_IFLNK;
  EXPECT_EQ(AddLookup(other_type), std::nullopt);
  EXPECT_EQ(AddLookup(Stat("file")), node);
}

TEST_F(InodeTableTest, AFullTableTakesKnownInodesOnly) {
  const NodeId node = Insert(Make("a"));
  while (table_.size() < kSlots) Insert(Make("file" + std::to_string(table_.size())));
  const int fds = OpenFdCount();
  os::UniqueFd one_more = Make("d");
  const Attributes attributes = Must(StatFd(one_more.get()));
  EXPECT_ERRNO(table_.Insert(std::move(one_more), attributes, table_.epoch()), ENFILE);
  EXPECT_EQ(OpenFdCount(), fds);
  EXPECT_EQ(Insert(Open("a")), node);
}

TEST_F(InodeTableTest, AnOperationOfAnEndedSessionTakesNoLookupInTheNextOne) {
  const uint32_t before = table_.epoch();
  table_.Reset();
  const NodeId node = Insert(Make("file"));
  EXPECT_EQ(table_.AddLookup(Stat("file"), before), std::nullopt);
  EXPECT_ERRNO(table_.Insert(Open("file"), Stat("file"), before), ESTALE);
  table_.Forget(node, 1);
  EXPECT_FALSE(table_.Acquire(node));
}

TEST_F(InodeTableTest, LookupsAndForgetsThatMeetLoseNothing) {
  constexpr int kThreads = 4;
  constexpr int kRounds = 3000;
  os::UniqueFd file = Make("file");
  const Attributes attributes = Must(StatFd(file.get()));
  const int fds = OpenFdCount();
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&] {
      for (int round = 0; round < kRounds; ++round) {
        std::optional<NodeId> node = AddLookup(attributes);
        if (!node) node = Insert(Open("file"));
        {
          const InodeTable::Pin pin = table_.Acquire(*node);
          ASSERT_TRUE(pin);
          EXPECT_EQ(pin->key, KeyOf(attributes));
        }
        table_.Forget(*node, 1);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(table_.size(), 1u);
  EXPECT_EQ(OpenFdCount(), fds);
}

}  // namespace
}  // namespace fsd::passthrough
