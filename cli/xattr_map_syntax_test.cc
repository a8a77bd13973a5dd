#include "cli/xattr_map_syntax.h"

#include <string>

#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "google/protobuf/util/message_differencer.h"
#include "gtest/gtest.h"

namespace fsd::cli {
namespace {

using testing::IsEmpty;

struct Case {
  const char* text;
  const char* rules;  // of a Semantics
  const char* shown;
};

class GoodMap : public testing::TestWithParam<Case> {};

TEST_P(GoodMap, IsReadAndShown) {
  v1::Semantics expected;
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(GetParam().rules, &expected));
  v1::Semantics parsed;

  EXPECT_THAT(ParseXattrMap(GetParam().text, *parsed.mutable_xattr_rules()), IsEmpty());

  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(expected, parsed))
      << parsed.DebugString();
  EXPECT_EQ(XattrMapText(parsed.xattr_rules()), GetParam().shown);
}

INSTANTIATE_TEST_SUITE_P(
    Maps, GoodMap,
    testing::Values(
        Case{":map::user.virtiofs.:", "xattr_rules { type: MAP prepend: 'user.virtiofs.' }",
             ":map::user.virtiofs.:"},
        Case{"/map/security.capability/user.virtiofs./",
             "xattr_rules { type: MAP key: 'security.capability' prepend: 'user.virtiofs.' }",
             ":map:security.capability:user.virtiofs.:"},
        Case{":prefix:all:trusted.:user.virtiofs.: :bad:all::user.virtiofs.: :ok:all:::",
             "xattr_rules { type: PREFIX scope: ALL key: 'trusted.' prepend: 'user.virtiofs.' } "
             "xattr_rules { type: BAD scope: ALL prepend: 'user.virtiofs.' } "
             "xattr_rules { type: OK scope: ALL }",
             ":prefix:all:trusted.:user.virtiofs.: :bad:all::user.virtiofs.: :ok:all:::"},
        // Rules touch each other, begin on lines of their own, and differ in their separators.
        Case{"\n  /unsupported/client/a//|bad|server||b|\n:ok:all:::\n",
             "xattr_rules { type: UNSUPPORTED scope: CLIENT key: 'a' } "
             "xattr_rules { type: BAD scope: SERVER prepend: 'b' } "
             "xattr_rules { type: OK scope: ALL }",
             ":unsupported:client:a:: :bad:server::b: :ok:all:::"},
        Case{"/prefix/all/a:b/c d/",
             "xattr_rules { type: PREFIX scope: ALL key: 'a:b' prepend: 'c d' }",
             "/prefix/all/a:b/c d/"}));

struct BadCase {
  const char* text;
  const char* error;
};

class BadMap : public testing::TestWithParam<BadCase> {};

TEST_P(BadMap, IsRefusedAtItsPlace) {
  XattrRules rules;
  EXPECT_EQ(ParseXattrMap(GetParam().text, rules), GetParam().error);
}

INSTANTIATE_TEST_SUITE_P(
    Maps, BadMap,
    testing::Values(
        BadCase{"", "there is no rule in it"}, BadCase{" \n", "there is no rule in it"},
        BadCase{":", "at character 2, in rule 1: expected ':' after the type"},
        BadCase{"map", "at character 4, in rule 1: expected 'm' after the type"},
        BadCase{":drop:all:::",
                "at character 2, in rule 1: expected prefix, ok, bad, unsupported or map, not "
                "'drop'"},
        BadCase{":prefixes:all:::",
                "at character 2, in rule 1: expected prefix, ok, bad, unsupported or map, not "
                "'prefixes'"},
        BadCase{":ok:all::: :bad:\x1b:a::",
                "at character 17, in rule 2: expected client, server or all, not '\\x1b'"},
        BadCase{":ok:all:::/bad:all:::", "at character 22, in rule 2: expected '/' after the type"},
        BadCase{":bad", "at character 5, in rule 1: expected ':' after the type"},
        BadCase{":bad:all", "at character 9, in rule 1: expected ':' after the scope"},
        BadCase{":bad:all:key", "at character 13, in rule 1: expected ':' after the key"},
        BadCase{":bad:all:key:", "at character 14, in rule 1: expected ':' after what to prepend"},
        BadCase{":map:key:p", "at character 11, in rule 1: expected ':' after what to prepend"},
        BadCase{":map::p: :ok:all:::",
                "at character 10, in rule 1: nothing may follow a map rule"}));

}  // namespace
}  // namespace fsd::cli
