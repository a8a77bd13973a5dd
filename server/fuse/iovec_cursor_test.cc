#include "server/fuse/iovec_cursor.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace fsd::fuse {
namespace {

// The alphabet in three buffers with an empty one between: "abcdefgh", "", "ijklmnopqrst",
// "uvwxyz".
class Alphabet {
 public:
  std::span<const iovec> iovecs() const { return iovecs_; }
  const std::string& text() const { return text_; }

 private:
  std::string text_ = "abcdefghijklmnopqrstuvwxyz";
  std::vector<iovec> iovecs_ = {
      {text_.data(), 8}, {nullptr, 0}, {text_.data() + 8, 12}, {text_.data() + 20, 6}};
};

std::string Text(std::span<const iovec> iovecs) {
  std::string text;
  for (const iovec& piece : iovecs) {
    text.append(static_cast<const char*>(piece.iov_base), piece.iov_len);
  }
  return text;
}

std::string CopyOut(IovecCursor& cursor, size_t bytes) {
  std::string text(bytes, '?');
  text.resize(cursor.CopyOut(text.data(), bytes));
  return text;
}

TEST(IovecCursor, BeginsAnew) {
  const Alphabet alphabet;
  IovecCursor cursor(alphabet.iovecs());
  cursor.Skip(10);
  cursor.Limit(3);

  cursor.Begin(alphabet.iovecs().subspan(2));

  EXPECT_EQ(cursor.remaining(), 18u);
  EXPECT_EQ(CopyOut(cursor, 4), "ijkl");
}

TEST(IovecCursor, CopiesEveryRangeAcrossBuffers) {
  const Alphabet alphabet;
  for (size_t skip = 0; skip <= 26; ++skip) {
    for (size_t bytes = 0; bytes <= 30; ++bytes) {
      IovecCursor cursor(alphabet.iovecs());
      EXPECT_EQ(cursor.Skip(skip), skip);

      EXPECT_EQ(CopyOut(cursor, bytes), alphabet.text().substr(skip, bytes));

      EXPECT_EQ(cursor.remaining(), 26 - std::min<size_t>(26, skip + bytes));
    }
  }
}

TEST(IovecCursor, LendsEveryRangeAcrossBuffers) {
  const Alphabet alphabet;
  for (size_t skip = 0; skip <= 26; ++skip) {
    for (size_t bytes = 0; bytes <= 30; ++bytes) {
      IovecCursor cursor(alphabet.iovecs());
      cursor.Skip(skip);
      IovecStorage storage;

      EXPECT_EQ(Text(cursor.Lend(bytes, storage)), alphabet.text().substr(skip, bytes));

      EXPECT_EQ(cursor.remaining(), 26 - skip);
    }
  }
}

TEST(IovecCursor, LendsTheBuffersThemselvesWhereTheyFit) {
  const Alphabet alphabet;
  IovecCursor cursor(alphabet.iovecs());
  cursor.Skip(20);
  IovecStorage storage;

  const std::span<const iovec> lent = cursor.Lend(6, storage);

  EXPECT_EQ(lent.data(), &alphabet.iovecs()[3]);
  EXPECT_EQ(lent.size(), 1u);
}

TEST(IovecCursor, LendsManyCutBuffers) {
  std::string text(1000, 'x');
  std::vector<iovec> bytes;
  for (char& byte : text) bytes.push_back({&byte, 1});
  bytes.front().iov_len = 2;
  bytes.erase(bytes.begin() + 1);
  IovecCursor cursor(bytes);
  cursor.Skip(1);
  IovecStorage storage;

  const std::span<const iovec> lent = cursor.Lend(900, storage);

  EXPECT_EQ(lent.size(), 900u);
  EXPECT_EQ(Text(lent), std::string(900, 'x'));
}

TEST(IovecCursor, CopiesInAcrossBuffers) {
  const Alphabet alphabet;
  IovecCursor cursor(alphabet.iovecs());
  cursor.Skip(6);

  EXPECT_EQ(cursor.CopyIn("0123456789ABCDEF", 16), 16u);

  EXPECT_EQ(alphabet.text(), "abcdef0123456789ABCDEFwxyz");
}

TEST(IovecCursor, NeverPassesItsLimit) {
  const Alphabet alphabet;
  IovecCursor cursor(alphabet.iovecs());
  cursor.Limit(10);
  cursor.Limit(20);
  IovecStorage storage;

  EXPECT_EQ(Text(cursor.Lend(100, storage)), "abcdefghij");
  EXPECT_EQ(cursor.CopyIn("0123456789ABCDEF", 16), 10u);
  EXPECT_EQ(cursor.Skip(1), 0u);

  EXPECT_EQ(alphabet.text(), "0123456789klmnopqrstuvwxyz");
}

TEST(IovecCursor, OfNothingHasNothing) {
  IovecCursor cursor;
  IovecStorage storage;

  EXPECT_EQ(cursor.remaining(), 0u);
  EXPECT_EQ(CopyOut(cursor, 5), "");
  EXPECT_TRUE(cursor.Lend(5, storage).empty());
}

}  // namespace
}  // namespace fsd::fuse
