#include "server/control/id_mapping_validation.h"

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

FieldViolations Check(const std::string& text) {
  v1::IdMapping ids;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &ids)) << text;
  FieldChecks checks;
  CheckIds(ids, checks);
  return checks.Take();
}

class GoodIds : public testing::TestWithParam<const char*> {};

TEST_P(GoodIds, Pass) { EXPECT_THAT(Check(GetParam()), IsEmpty()); }

INSTANTIATE_TEST_SUITE_P(
    Ids, GoodIds,
    testing::Values(
        "", "uid_translations { kind: MAP count: 4294967295 }",
        "gid_translations { kind: FORBID_GUEST guest_first: 4294967294 count: 1 }",
        // Neighbours, in any order.
        "uid_translations { kind: MAP guest_first: 10 host_first: 10 count: 10 } "
        "uid_translations { kind: MAP count: 10 } "
        "uid_translations { kind: MAP guest_first: 20 host_first: 20 count: 1 }",
        // The same ids in different directions.
        "uid_translations { kind: GUEST guest_first: 5 host_first: 9 count: 5 } "
        "uid_translations { kind: HOST guest_first: 5 host_first: 5 count: 5 } "
        "gid_translations { kind: GUEST guest_first: 5 host_first: 9 count: 5 }",
        // Many guest's ids become one, which needs no room beside it.
        "uid_translations { kind: SQUASH_GUEST host_first: 4294967294 count: 4294967295 } "
        "uid_translations { kind: SQUASH_HOST guest_first: 4294967294 count: 4294967295 }",
        "uid_mount { outside_first: 100000 count: 65536 } gid_mount { count: 1 }",
        "uid_mount { count: 1 } uid_mount { inside_first: 1 outside_first: 1 count: 1 } "
        "gid_mount { count: 1 }",
        // A user namespace may have translations on top.
        "uid_namespace { outside_first: 100000 count: 65536 } gid_namespace { count: 1 } "
        "uid_translations { kind: MAP count: 1 }"));

struct Case {
  const char* text;
  const char* field;
  v1::ErrorReason reason;
  const char* says;
};

class BadIds : public testing::TestWithParam<Case> {};

TEST_P(BadIds, AreNamedWithWhatIsWrong) {
  EXPECT_THAT(Check(GetParam().text),
              ElementsAre(AllOf(Field(&FieldViolation::field, GetParam().field),
                                Field(&FieldViolation::reason, GetParam().reason),
                                Field(&FieldViolation::description, HasSubstr(GetParam().says)))));
}

INSTANTIATE_TEST_SUITE_P(
    Ids, BadIds,
    testing::Values(
        Case{"uid_translations { count: 1 }", "export.ids.uid_translations[0].kind",
             v1::FIELD_REQUIRED, "kind is missing"},
        Case{"gid_translations { kind: MAP }", "export.ids.gid_translations[0].count",
             v1::FIELD_INVALID, "at least 1"},
        Case{"uid_translations { kind: MAP guest_first: 1 count: 4294967295 host_first: 0 }",
             "export.ids.uid_translations[0].guest_first", v1::FIELD_INVALID,
             "4294967295 ids from 1 on would pass 4294967294"},
        Case{"uid_translations { kind: GUEST host_first: 4294967295 count: 1 }",
             "export.ids.uid_translations[0].host_first", v1::FIELD_INVALID,
             "1 id from 4294967295"},
        Case{"uid_translations { kind: HOST guest_first: 4294967294 count: 2 }",
             "export.ids.uid_translations[0].guest_first", v1::FIELD_INVALID, "would pass"},
        Case{"uid_translations { kind: SQUASH_GUEST host_first: 4294967295 count: 5 }",
             "export.ids.uid_translations[0].host_first", v1::FIELD_INVALID, "would pass"},
        Case{"uid_translations { kind: SQUASH_HOST guest_first: 4294967295 count: 5 }",
             "export.ids.uid_translations[0].guest_first", v1::FIELD_INVALID, "would pass"},
        Case{"uid_translations { kind: FORBID_GUEST guest_first: 7 count: 18446744073709551615 }",
             "export.ids.uid_translations[0].guest_first", v1::FIELD_INVALID, "would pass"},
        Case{"uid_translations { kind: FORBID_GUEST host_first: 7 count: 1 }",
             "export.ids.uid_translations[0].host_first", v1::FIELD_INVALID, "unset"},
        Case{"uid_translations { kind: MAP host_first: 1000 count: 100 } "
             "uid_translations { kind: FORBID_GUEST guest_first: 99 count: 1 }",
             "export.ids.uid_translations[1].guest_first", v1::FIELD_INVALID,
             "ids 99 to 99 overlap 0 to 99 of export.ids.uid_translations[0]"},
        Case{"gid_translations { kind: SQUASH_HOST host_first: 50 count: 2 } "
             "gid_translations { kind: HOST host_first: 0 count: 51 }",
             "export.ids.gid_translations[0].host_first", v1::FIELD_INVALID, "overlap 0 to 50"},
        // Not only neighbours are compared: the first reaches over the second.
        Case{"uid_translations { kind: GUEST count: 100 } "
             "uid_translations { kind: HOST guest_first: 10 count: 1 } "
             "uid_translations { kind: GUEST guest_first: 90 count: 1 }",
             "export.ids.uid_translations[2].guest_first", v1::FIELD_INVALID, "overlap 0 to 99"},
        Case{"uid_mount { count: 1 }", "export.ids.gid_mount", v1::FIELD_REQUIRED, "both"},
        Case{"gid_mount { count: 1 }", "export.ids.uid_mount", v1::FIELD_REQUIRED, "both"},
        Case{"uid_mount { count: 1 } gid_mount { count: 1 } "
             "gid_translations { kind: MAP count: 1 }",
             "export.ids.uid_mount", v1::FIELD_INVALID, "not together"},
        Case{"uid_namespace { count: 1 }", "export.ids.gid_namespace", v1::FIELD_REQUIRED, "both"},
        Case{"uid_namespace { count: 1 } gid_namespace { inside_first: 1 count: 9 }",
             "export.ids.gid_namespace", v1::FIELD_INVALID, "must begin with 0 inside"},
        Case{"gid_namespace { count: 1 }", "export.ids.uid_namespace", v1::FIELD_REQUIRED, "both"},
        Case{"uid_namespace { count: 1 } gid_namespace { count: 5 } "
             "gid_namespace { inside_first: 4 outside_first: 20 count: 5 }",
             "export.ids.gid_namespace[1].inside_first", v1::FIELD_INVALID, "overlap"},
        Case{"uid_namespace { count: 1 } gid_namespace { count: 1 } uid_mount { count: 1 } "
             "gid_mount { count: 1 }",
             "export.ids.uid_mount", v1::FIELD_INVALID, "from within a user namespace"},
        Case{"uid_mount { count: 1 } gid_mount {}", "export.ids.gid_mount[0].count",
             v1::FIELD_INVALID, "at least 1"},
        Case{"uid_mount { outside_first: 4294967290 count: 6 } gid_mount { count: 1 }",
             "export.ids.uid_mount[0].outside_first", v1::FIELD_INVALID, "would pass"},
        Case{"uid_mount { count: 1 } gid_mount { outside_first: 5 count: 5 } "
             "gid_mount { inside_first: 4 outside_first: 20 count: 5 }",
             "export.ids.gid_mount[1].inside_first", v1::FIELD_INVALID, "overlap"},
        Case{"uid_mount { count: 1 } gid_mount { outside_first: 5 count: 5 } "
             "gid_mount { inside_first: 10 outside_first: 9 count: 5 }",
             "export.ids.gid_mount[1].outside_first", v1::FIELD_INVALID, "overlap"}));

TEST(CheckIds, EachOfSeveralOverlapsIsNamed) {
  EXPECT_THAT(
      Check("uid_translations { kind: GUEST count: 100 } "
            "uid_translations { kind: GUEST guest_first: 10 count: 1 } "
            "uid_translations { kind: GUEST guest_first: 50 count: 1 }"),
      ElementsAre(Field(&FieldViolation::field, "export.ids.uid_translations[1].guest_first"),
                  Field(&FieldViolation::field, "export.ids.uid_translations[2].guest_first")));
}

TEST(CheckIds, RangesAreAtMostAsManyAsTheKernelTakes) {
  const auto with_ranges = [](int count) {
    v1::IdMapping ids;
    for (int i = 0; i < count; ++i) {
      v1::IdNamespaceRange& range = *ids.add_uid_mount();
      range.set_inside_first(static_cast<uint32_t>(i));
      range.set_outside_first(static_cast<uint32_t>(i));
      range.set_count(1);
    }
    ids.add_gid_mount()->set_count(1);
    return ids.DebugString();
  };

  EXPECT_THAT(Check(with_ranges(340)), IsEmpty());
  EXPECT_THAT(Check(with_ranges(341)),
              ElementsAre(Field(&FieldViolation::field, "export.ids.uid_mount")));
}

}  // namespace
}  // namespace fsd::control
