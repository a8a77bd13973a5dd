#include "server/control/semantics_validation.h"

#include <string>

#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

namespace fsd::control {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;

v1::Semantics FromText(const std::string& text) {
  v1::Semantics semantics;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &semantics)) << text;
  return semantics;
}

FieldViolations Check(const v1::Semantics& semantics) {
  FieldChecks checks;
  CheckSemantics(semantics, checks);
  return checks.Take();
}

auto Violation(const std::string& field, v1::ErrorReason reason) {
  return AllOf(Field(&FieldViolation::field, field), Field(&FieldViolation::reason, reason));
}

class GoodSemantics : public testing::TestWithParam<const char*> {};

TEST_P(GoodSemantics, Passes) { EXPECT_THAT(Check(FromText(GetParam())), IsEmpty()); }

INSTANTIATE_TEST_SUITE_P(
    Semantics, GoodSemantics,
    testing::Values("", "posix_acl: USE_NEVER security_label: USE_NEVER killpriv: USE_ALWAYS",
                    "xattr: true posix_acl: USE_ALWAYS security_label: USE_AUTO",
                    "xattr: true xattr_rules { type: MAP prepend: 'user.guest.' }",
                    "xattr: true xattr_rules { type: BAD scope: ALL key: 'user.' } "
                    "xattr_rules { type: MAP key: 'trusted.' prepend: 'user.virtiofs.' }",
                    "locks: SHARED lock_wait { nanos: 1 }",
                    "locks: SHARED lock_wait { seconds: 3600 }"));

struct Case {
  const char* text;
  const char* field;
  const char* says;
};

class BadSemantics : public testing::TestWithParam<Case> {};

TEST_P(BadSemantics, AreNamedWithWhatIsWrong) {
  EXPECT_THAT(Check(FromText(GetParam().text)),
              ElementsAre(AllOf(Violation(GetParam().field, v1::FIELD_INVALID),
                                Field(&FieldViolation::description, HasSubstr(GetParam().says)))));
}

INSTANTIATE_TEST_SUITE_P(
    Semantics, BadSemantics,
    testing::Values(
        Case{"posix_acl: USE_AUTO", "export.semantics.posix_acl", "semantics.xattr"},
        Case{"security_label: USE_ALWAYS", "export.semantics.security_label", "semantics.xattr"},
        Case{"xattr_rules { type: OK }", "export.semantics.xattr_rules", "semantics.xattr"},
        Case{"xattr: true xattr_rules { type: OK key: 'a\\000b' }",
             "export.semantics.xattr_rules[0].key", "control characters"},
        Case{"xattr: true xattr_rules { type: OK } "
             "xattr_rules { type: PREFIX prepend: 'user.\\n' }",
             "export.semantics.xattr_rules[1].prepend", "control characters"},
        Case{"xattr: true xattr_rules { type: MAP prepend: 'p.' } xattr_rules { type: OK }",
             "export.semantics.xattr_rules[0].type", "last"},
        Case{"xattr: true xattr_rules { type: MAP scope: ALL prepend: 'p.' }",
             "export.semantics.xattr_rules[0].scope", "unset"},
        Case{"xattr: true xattr_rules { type: MAP key: 'k' }",
             "export.semantics.xattr_rules[0].prepend", "MAP"},
        Case{"locks: SHARED lock_wait {}", "export.semantics.lock_wait", "more than 0"},
        Case{"locks: SHARED lock_wait { seconds: -5 }", "export.semantics.lock_wait", "negative"},
        Case{"locks: SHARED lock_wait { seconds: 3600 nanos: 1 }", "export.semantics.lock_wait",
             "at most 3600 seconds"},
        Case{"locks: NONE lock_wait { seconds: 1 }", "export.semantics.lock_wait", "SHARED"}));

TEST(CheckSemantics, ARuleNeedsAType) {
  EXPECT_THAT(Check(FromText("xattr: true xattr_rules { key: 'user.' }")),
              ElementsAre(Violation("export.semantics.xattr_rules[0].type", v1::FIELD_REQUIRED)));
}

TEST(CheckSemantics, NamesAreNoLongerThanTheKernels) {
  v1::Semantics semantics = FromText("xattr: true xattr_rules { type: PREFIX }");
  semantics.mutable_xattr_rules(0)->set_key(std::string(255, 'k'));
  semantics.mutable_xattr_rules(0)->set_prepend(std::string(255, 'p'));
  EXPECT_THAT(Check(semantics), IsEmpty());

  semantics.mutable_xattr_rules(0)->set_key(std::string(256, 'k'));
  semantics.mutable_xattr_rules(0)->set_prepend(std::string(256, 'p'));
  EXPECT_THAT(Check(semantics),
              ElementsAre(Violation("export.semantics.xattr_rules[0].key", v1::FIELD_INVALID),
                          Violation("export.semantics.xattr_rules[0].prepend", v1::FIELD_INVALID)));
}

TEST(CheckSemantics, RulesAreNotWithoutNumber) {
  v1::Semantics semantics = FromText("xattr: true");
  for (int i = 0; i < 256; ++i) semantics.add_xattr_rules()->set_type(v1::XattrRule::OK);
  EXPECT_THAT(Check(semantics), IsEmpty());

  semantics.add_xattr_rules();
  EXPECT_THAT(Check(semantics),
              ElementsAre(Violation("export.semantics.xattr_rules", v1::FIELD_INVALID)));
}

}  // namespace
}  // namespace fsd::control
