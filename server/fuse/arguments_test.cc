#include "server/fuse/arguments.h"

#include <cstdint>
#include <string>

#include "gtest/gtest.h"
#include "server/fuse/abi.h"

namespace fsd::fuse {
namespace {

using std::string_literals::operator""s;

int ErrorOfName(const std::string& bytes, NameUse use = NameUse::kLookup) {
  const ErrnoOr<std::string_view> name = Arguments(bytes).TakeName(use);
  return name.ok() ? 0 : name.error().value();
}

TEST(Arguments, AStructThenNamesAreTakenInOrder) {
  const std::string bytes = "\x01\x02\x03\x04"s + "old\0new\0rest"s;
  Arguments arguments(bytes);

  EXPECT_EQ(arguments.Take<uint32_t>(), 0x04030201u);
  EXPECT_EQ(*arguments.TakeName(NameUse::kRename), "old");
  EXPECT_EQ(*arguments.TakeName(NameUse::kRename), "new");
  EXPECT_FALSE(arguments.TakeName(NameUse::kRename).ok());
}

TEST(Arguments, WhatAStructLacksIsZero) {
  const std::string bytes = "\x01\x02"s;
  Arguments arguments(bytes);

  EXPECT_EQ(arguments.Take<uint32_t>(), 0x0201u);
  EXPECT_EQ(arguments.Take<uint32_t>(), 0u);
}

TEST(Arguments, ANameMustEndWithinTheRequest) {
  EXPECT_EQ(ErrorOfName(""s), EINVAL);
  EXPECT_EQ(ErrorOfName("name"s), EINVAL);
  EXPECT_EQ(ErrorOfName(std::string(1000, 'n')), EINVAL);
}

TEST(Arguments, ANameMustBeOneComponent) {
  EXPECT_EQ(ErrorOfName("\0"s), EINVAL);
  EXPECT_EQ(ErrorOfName("/\0"s), EINVAL);
  EXPECT_EQ(ErrorOfName("a/b\0"s), EINVAL);
  EXPECT_EQ(ErrorOfName("../b\0"s), EINVAL);
}

TEST(Arguments, ANameMayHave255Bytes) {
  EXPECT_EQ(ErrorOfName(std::string(255, 'n') + "\0"s), 0);
  EXPECT_EQ(ErrorOfName(std::string(256, 'n') + "\0"s), ENAMETOOLONG);
}

TEST(Arguments, OnlyExactDotsAreSpecial) {
  EXPECT_EQ(ErrorOfName(".\0"s, NameUse::kUnlink), EISDIR);
  EXPECT_EQ(ErrorOfName("..\0"s, NameUse::kUnlink), EISDIR);
  EXPECT_EQ(ErrorOfName("...\0"s, NameUse::kUnlink), 0);
  EXPECT_EQ(ErrorOfName(".a\0"s, NameUse::kUnlink), 0);
  EXPECT_EQ(ErrorOfName("..\0"s, NameUse::kCreateFile), EISDIR);
}

}  // namespace
}  // namespace fsd::fuse
