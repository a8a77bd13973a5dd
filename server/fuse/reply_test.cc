#include "server/fuse/reply.h"

#include <array>
#include <cstring>
#include <string>

#include "gtest/gtest.h"
#include "server/fuse/abi.h"

namespace fsd::fuse {
namespace {

// Writable space in two buffers, cut within the header.
class Space {
 public:
  explicit Space(size_t bytes) : bytes_(bytes, '.') {}

  IovecCursor cursor() {
    const size_t first = std::min<size_t>(5, bytes_.size());
    iovecs_ = {{{bytes_.data(), first}, {bytes_.data() + first, bytes_.size() - first}}};
    return IovecCursor(iovecs_);
  }
  fuse_out_header header() const {
    fuse_out_header header{};
    std::memcpy(&header, bytes_.data(), sizeof(header));
    return header;
  }
  std::string behind_header() const { return bytes_.substr(sizeof(fuse_out_header)); }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
  std::array<iovec, 2> iovecs_;
};

std::span<const std::byte> Bytes(const std::string& text) { return std::as_bytes(std::span(text)); }

TEST(Reply, ABodyFollowsItsHeader) {
  Space space(24);

  EXPECT_EQ(WriteReply(space.cursor(), 7, Bytes("body")), 20u);

  EXPECT_EQ(space.header().len, 20u);
  EXPECT_EQ(space.header().error, 0);
  EXPECT_EQ(space.header().unique, 7u);
  EXPECT_EQ(space.behind_header(), "body....");
}

TEST(Reply, ABodyThatDoesNotFitBecomesAnError) {
  Space space(19);

  EXPECT_EQ(WriteReply(space.cursor(), 7, Bytes("body")), 16u);

  EXPECT_EQ(space.header().len, 16u);
  EXPECT_EQ(space.header().error, -EINVAL);
  EXPECT_EQ(space.behind_header(), "...");
}

TEST(Reply, NothingIsWrittenWhereNoHeaderFits) {
  Space space(15);

  EXPECT_EQ(WriteReply(space.cursor(), 7, Bytes("body")), 0u);
  EXPECT_EQ(WriteReplyHeader(space.cursor(), 7, 0), 0u);
  EXPECT_EQ(WriteErrorReply(space.cursor(), 7, Errno(ENOENT)), 0u);

  EXPECT_EQ(space.bytes(), std::string(15, '.'));
}

TEST(Reply, AHeaderIsPutInFrontOfABodyInPlace) {
  Space space(24);

  EXPECT_EQ(WriteReplyHeader(space.cursor(), 7, 8), 24u);

  EXPECT_EQ(space.header().len, 24u);
  EXPECT_EQ(space.behind_header(), "........");
}

TEST(Reply, ABodyInPlaceCannotBeLongerThanItsPlace) {
  Space space(24);

  EXPECT_EQ(WriteReplyHeader(space.cursor(), 7, 9), 16u);
  EXPECT_EQ(space.header().error, -EINVAL);

  EXPECT_EQ(WriteReplyHeader(space.cursor(), 7, 0xffffffff), 16u);
  EXPECT_EQ(space.header().error, -EINVAL);
}

TEST(Reply, AnErrorIsNegative) {
  Space space(16);

  EXPECT_EQ(WriteErrorReply(space.cursor(), 7, Errno(ENOENT)), 16u);

  EXPECT_EQ(space.header().len, 16u);
  EXPECT_EQ(space.header().error, -ENOENT);
  EXPECT_EQ(space.header().unique, 7u);
}

TEST(Reply, AnErrnoThatLinuxWouldNotTakeBecomesEIO) {
  EXPECT_EQ(ReplyErrno(Errno(511)), Errno(511));
  EXPECT_EQ(ReplyErrno(Errno(512)), Errno(EIO));
  EXPECT_EQ(ReplyErrno(Errno(0)), Errno(EIO));
  EXPECT_EQ(ReplyErrno(Errno(-5)), Errno(EIO));
}

}  // namespace
}  // namespace fsd::fuse
