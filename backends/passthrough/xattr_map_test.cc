#include "backends/passthrough/xattr_map.h"

#include <optional>
#include <string>
#include <string_view>

#include "backends/passthrough/passthrough_fixture.h"
#include "gtest/gtest.h"

namespace fsd::passthrough {
namespace {

using Scope = XattrRule::Scope;
using Type = XattrRule::Type;

constexpr std::nullopt_t kHidden = std::nullopt;

std::string ToHost(const XattrMap& map, std::string_view guest) {
  return Must(map.ToHost(guest)).c_str();
}

TEST(XattrMapTest, WithoutRulesNamesPass) {
  const XattrMap map;
  EXPECT_EQ(ToHost(map, "user.a"), "user.a");
  EXPECT_EQ(map.ToGuest("user.a"), "user.a");
}

TEST(XattrMapTest, PrefixIsPutBeforeAndTakenOff) {
  const XattrMap map({{Type::kPrefix, Scope::kAll, "trusted.", "user.virtiofs."}});
  EXPECT_EQ(ToHost(map, "trusted.a"), "user.virtiofs.trusted.a");
  EXPECT_EQ(map.ToGuest("user.virtiofs.trusted.a"), "trusted.a");
  EXPECT_EQ(map.ToGuest("user.virtiofs."), kHidden);
}

TEST(XattrMapTest, ANameThatNoRuleMatchesIsRefusedAndHidden) {
  const XattrMap map({{Type::kPrefix, Scope::kAll, "trusted.", "user.virtiofs."}});
  EXPECT_ERRNO(map.ToHost("user.a"), EPERM);
  EXPECT_EQ(map.ToGuest("user.a"), kHidden);
}

TEST(XattrMapTest, TheFirstRuleThatMatchesDecides) {
  const XattrMap map({{Type::kBad, Scope::kAll, "user.no", "user.no"},
                      {Type::kUnsupported, Scope::kAll, "user.un", "user.un"},
                      {Type::kOk, Scope::kAll, "", ""},
                      {Type::kBad, Scope::kAll, "", ""}});
  EXPECT_ERRNO(map.ToHost("user.not"), EPERM);
  EXPECT_ERRNO(map.ToHost("user.unknown"), EOPNOTSUPP);
  EXPECT_EQ(ToHost(map, "user.yes"), "user.yes");
  EXPECT_EQ(map.ToGuest("user.not"), kHidden);
  EXPECT_EQ(map.ToGuest("user.unknown"), kHidden);
  EXPECT_EQ(map.ToGuest("user.yes"), "user.yes");
}

TEST(XattrMapTest, ARuleOfOneSideSaysNothingOfTheOther) {
  const XattrMap map({{Type::kBad, Scope::kClient, "user.c", ""},
                      {Type::kBad, Scope::kServer, "", "user.s"},
                      {Type::kOk, Scope::kAll, "", ""}});
  EXPECT_ERRNO(map.ToHost("user.c"), EPERM);
  EXPECT_EQ(map.ToGuest("user.c"), "user.c");
  EXPECT_EQ(ToHost(map, "user.s"), "user.s");
  EXPECT_EQ(map.ToGuest("user.s"), kHidden);
}

TEST(XattrMapTest, MapWithoutAKeyPutsEveryNameAside) {
  const XattrMap map({{Type::kMap, Scope::kAll, "", "user.virtiofs."}});
  EXPECT_EQ(ToHost(map, "security.capability"), "user.virtiofs.security.capability");
  EXPECT_EQ(map.ToGuest("user.virtiofs.security.capability"), "security.capability");
  EXPECT_EQ(map.ToGuest("security.capability"), kHidden);
}

TEST(XattrMapTest, MapWithAKeyPutsTheseAsideAndHidesWhatStandsInTheWay) {
  const XattrMap map({{Type::kMap, Scope::kAll, "trusted.", "user.virtiofs."}});
  EXPECT_EQ(ToHost(map, "trusted.a"), "user.virtiofs.trusted.a");
  EXPECT_EQ(map.ToGuest("user.virtiofs.trusted.a"), "trusted.a");
  EXPECT_EQ(map.ToGuest("trusted.hosts"), kHidden);
  EXPECT_ERRNO(map.ToHost("user.virtiofs.trusted.a"), EPERM);
  EXPECT_EQ(ToHost(map, "user.a"), "user.a");
  EXPECT_EQ(map.ToGuest("user.a"), "user.a");
}

TEST(XattrMapTest, NamesThatGrowTooLongAreErange) {
  const XattrMap map({{Type::kPrefix, Scope::kAll, "", "user."}});
  EXPECT_EQ(ToHost(map, std::string(250, 'x')), "user." + std::string(250, 'x'));
  EXPECT_ERRNO(map.ToHost(std::string(251, 'x')), ERANGE);
  EXPECT_ERRNO(XattrMap().ToHost(std::string(256, 'x')), ERANGE);
  EXPECT_ERRNO(XattrMap().ToHost(""), ERANGE);
  EXPECT_ERRNO(map.ToHost(""), ERANGE);
}

TEST(XattrMapTest, ANulInANameIsRefused) {
  EXPECT_ERRNO(XattrMap().ToHost(std::string_view("user.a\0b", 8)), EINVAL);
}

}  // namespace
}  // namespace fsd::passthrough
