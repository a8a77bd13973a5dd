#include "backends/passthrough/bounced_transfer.h"

#include <errno.h>
#include <fcntl.h>

#include <array>
#include <string>

#include "backends/passthrough/passthrough_fixture.h"
#include "gtest/gtest.h"
#include "server/os/unique_fd.h"

namespace fsd::passthrough {
namespace {

constexpr size_t kBlock = 4096;
constexpr size_t kMost = size_t{1} << 20;

class BouncedTransferTest : public ::testing::Test {
 protected:
  // A file with these contents, opened to be read.
  os::UniqueFd File(const std::string& contents, int flags = 0) {
    const std::string path = directory_.path() + "/file";
    const os::UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600));
    EXPECT_EQ(::write(file.get(), contents.data(), contents.size()),
              static_cast<ssize_t>(contents.size()));
    return os::UniqueFd(::open(path.c_str(), O_RDONLY | flags));
  }

  TemporaryDirectory directory_;
};

iovec Vector(std::string& bytes) { return {.iov_base = bytes.data(), .iov_len = bytes.size()}; }

TEST_F(BouncedTransferTest, FillsASplitDestinationInOrder) {
  const os::UniqueFd file = File("0123456789");
  std::string first(3, '.');
  std::string none;
  std::string second(4, '.');
  const std::array<iovec, 3> vectors{Vector(first), Vector(none), Vector(second)};
  EXPECT_EQ(BouncedRead(file.get(), vectors.data(), 3, 2), 7);
  EXPECT_EQ(first, "234");
  EXPECT_EQ(second, "5678");
}

TEST_F(BouncedTransferTest, AtTheEndOfTheFileTheRestStaysAsItWas) {
  const os::UniqueFd file = File("0123456789");
  std::string first(3, '.');
  std::string second(4, '.');
  const std::array<iovec, 2> vectors{Vector(first), Vector(second)};
  EXPECT_EQ(BouncedRead(file.get(), vectors.data(), 2, 6), 4);
  EXPECT_EQ(first + second, "6789...");
  EXPECT_EQ(BouncedRead(file.get(), vectors.data(), 2, 10), 0);
  EXPECT_EQ(first + second, "6789...");
}

TEST_F(BouncedTransferTest, ReadsNoMoreThanAMebibyteAtATime) {
  const os::UniqueFd file = File(std::string(kMost, 'a') + std::string(kBlock, 'b'));
  std::string destination(kMost + kBlock, '.');
  const iovec vector = Vector(destination);
  EXPECT_EQ(BouncedRead(file.get(), &vector, 1, 0), static_cast<ssize_t>(kMost));
  EXPECT_EQ(destination, std::string(kMost, 'a') + std::string(kBlock, '.'));
}

// The destination of an O_DIRECT read must be aligned, where the file system asks for it; ours is.
TEST_F(BouncedTransferTest, ADirectReadNeedsNoAlignedDestination) {
  const os::UniqueFd file = File(std::string(2 * kBlock, 'd'), O_DIRECT);
  std::string destination(1 + kBlock, '.');
  const iovec vector{.iov_base = destination.data() + 1, .iov_len = kBlock};
  EXPECT_EQ(BouncedRead(file.get(), &vector, 1, kBlock), static_cast<ssize_t>(kBlock));
  EXPECT_EQ(destination, "." + std::string(kBlock, 'd'));
}

TEST_F(BouncedTransferTest, FailsAsTheReadDoesAndTouchesNothing) {
  const os::UniqueFd write_only(::open(directory_.path().c_str(), O_TMPFILE | O_WRONLY, 0600));
  std::string destination(4, '.');
  const iovec vector = Vector(destination);
  EXPECT_EQ(BouncedRead(write_only.get(), &vector, 1, 0), -1);
  EXPECT_EQ(errno, EBADF);
  EXPECT_EQ(destination, "....");
}

TEST_F(BouncedTransferTest, WritesASplitSourceInOrder) {
  const os::UniqueFd file(::open(directory_.path().c_str(), O_TMPFILE | O_RDWR, 0600));
  std::string first = "234";
  std::string none;
  std::string second = "5678";
  const std::array<iovec, 3> vectors{Vector(first), Vector(none), Vector(second)};
  EXPECT_EQ(BouncedWrite(file.get(), vectors.data(), 3, 2, 0), 7);
  std::string contents(16, '.');
  EXPECT_EQ(::pread(file.get(), contents.data(), contents.size(), 0), 9);
  EXPECT_EQ(contents, std::string(2, '\0') + "2345678.......");
}

TEST_F(BouncedTransferTest, AppendsIfAsked) {
  const os::UniqueFd file(::open(directory_.path().c_str(), O_TMPFILE | O_RDWR, 0600));
  std::string bytes = "ab";
  const iovec vector = Vector(bytes);
  EXPECT_EQ(BouncedWrite(file.get(), &vector, 1, 0, 0), 2);
  EXPECT_EQ(BouncedWrite(file.get(), &vector, 1, 0, RWF_APPEND), 2);
  std::string contents(4, '.');
  EXPECT_EQ(::pread(file.get(), contents.data(), contents.size(), 0), 4);
  EXPECT_EQ(contents, "abab");
}

TEST_F(BouncedTransferTest, WritesNoMoreThanAMebibyteAtATime) {
  const os::UniqueFd file(::open(directory_.path().c_str(), O_TMPFILE | O_RDWR, 0600));
  std::string source(kMost + kBlock, 'a');
  const iovec vector = Vector(source);
  EXPECT_EQ(BouncedWrite(file.get(), &vector, 1, 0, 0), static_cast<ssize_t>(kMost));
}

TEST_F(BouncedTransferTest, ADirectWriteNeedsNoAlignedSource) {
  const os::UniqueFd file(::open(directory_.path().c_str(), O_TMPFILE | O_RDWR | O_DIRECT, 0600));
  std::string source(1 + kBlock, 'd');
  const iovec vector{.iov_base = source.data() + 1, .iov_len = kBlock};
  EXPECT_EQ(BouncedWrite(file.get(), &vector, 1, 0, 0), static_cast<ssize_t>(kBlock));
}

TEST(MayPin, NotOnFileSystemsOfTheHostItself) {
  EXPECT_FALSE(MayPin(os::UniqueFd(::open("/tmp", O_PATH)).get()));
  EXPECT_FALSE(MayPin(os::UniqueFd(::open("/proc", O_PATH)).get()));
}

TEST(MayPin, WhereItCannotBeTold) { EXPECT_TRUE(MayPin(-1)); }

}  // namespace
}  // namespace fsd::passthrough
