#include "server/fuse/dirent_packer.h"

#include <cstring>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "server/fuse/abi.h"

namespace fsd::fuse {
namespace {

TEST(DirentPacker, PadsWithZerosToEightBytes) {
  std::string space(64, '.');
  const iovec iovecs[] = {{space.data(), space.size()}};
  DirentPacker packer = DirentPacker::Plain(IovecCursor(iovecs));

  packer.Add({.name = "file", .ino = 1, .next_offset = 2, .type = 8}, nullptr);

  EXPECT_EQ(packer.bytes_packed(), 32u);
  fuse_dirent dirent{};
  std::memcpy(&dirent, space.data(), sizeof(dirent));
  EXPECT_EQ(dirent.ino, 1u);
  EXPECT_EQ(dirent.off, 2u);
  EXPECT_EQ(dirent.namelen, 4u);
  EXPECT_EQ(dirent.type, 8u);
  EXPECT_EQ(space.substr(24), std::string("file\0\0\0\0", 8) + std::string(32, '.'));
}

TEST(DirentPacker, CountsThePaddingWhenItFits) {
  std::string space(31, '.');
  const iovec iovecs[] = {{space.data(), space.size()}};
  const DirentPacker packer = DirentPacker::Plain(IovecCursor(iovecs));

  EXPECT_FALSE(packer.Fits("a"));
  EXPECT_FALSE(DirentPacker().Fits("a"));
}

TEST(DirentPacker, FillsToTheLastByte) {
  std::string space(320, '.');
  const iovec iovecs[] = {{space.data(), space.size()}};
  DirentPacker packer = DirentPacker::Plus(IovecCursor(iovecs), {});

  ASSERT_TRUE(packer.Fits("one"));
  packer.Add({.name = "one", .ino = 1, .next_offset = 1, .type = 8}, nullptr);
  ASSERT_TRUE(packer.Fits("two"));
  packer.Add({.name = "two", .ino = 2, .next_offset = 2, .type = 8}, nullptr);

  EXPECT_FALSE(packer.Fits(""));
  EXPECT_EQ(packer.bytes_packed(), 320u);
}

TEST(DirentPacker, PlusCarriesTheEntryInFront) {
  std::string space(160, '.');
  const iovec iovecs[] = {{space.data(), space.size()}};
  DirentPacker packer = DirentPacker::Plus(
      IovecCursor(iovecs), {.attributes = {.seconds = 9}, .entries = {.seconds = 9}});
  backends::Entry entry;
  entry.node = backends::NodeId{0x200000007};

  packer.Add({.name = "file", .ino = 1, .next_offset = 2, .type = 8}, &entry);

  fuse_entry_out out{};
  std::memcpy(&out, space.data(), sizeof(out));
  EXPECT_EQ(out.nodeid, 0x200000007u);
  EXPECT_EQ(out.generation, 2u);
  EXPECT_EQ(out.entry_valid, 9u);
  EXPECT_EQ(space.substr(152, 4), "file");
}

TEST(DirentPacker, PacksTheSameAcrossAnyCut) {
  const auto pack = [](size_t cut) {
    std::string space(192, '.');
    const iovec iovecs[] = {{space.data(), cut}, {space.data() + cut, space.size() - cut}};
    DirentPacker packer = DirentPacker::Plus(IovecCursor(iovecs), {});
    packer.Add({.name = "a-longer-name", .ino = 1, .next_offset = 2, .type = 8}, nullptr);
    return space;
  };

  const std::string whole = pack(0);
  for (size_t cut = 1; cut <= 192; ++cut) EXPECT_EQ(pack(cut), whole);
}

TEST(DirentPackerDeathTest, WhatDoesNotFitIsTheBackendsBug) {
  DirentPacker packer;
  EXPECT_DEATH(packer.Add({.name = "file"}, nullptr), "check failed");
}

}  // namespace
}  // namespace fsd::fuse
