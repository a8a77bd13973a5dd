#include "server/control/cache_validation.h"

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
  v1::Export resource;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &resource)) << text;
  FieldChecks checks;
  CheckCache(resource, checks);
  return checks.Take();
}

class GoodCache : public testing::TestWithParam<const char*> {};

TEST_P(GoodCache, Passes) { EXPECT_THAT(Check(GetParam()), IsEmpty()); }

INSTANTIATE_TEST_SUITE_P(
    Caches, GoodCache,
    testing::Values("", "cache { attr_timeout {} entry_timeout {} negative_timeout {} }",
                    "cache { attr_timeout { seconds: 2147483647 } }",
                    "cache { policy: NEVER entry_timeout { nanos: 999999999 } mmap: true }",
                    "cache { writeback: true }", "cache { policy: AUTO writeback: true }",
                    "cache { policy: ALWAYS writeback: true mmap: true direct_io: true }",
                    "cache { policy: METADATA symlinks: true readdirplus: READDIRPLUS_NEVER }",
                    "cache { policy: ALWAYS zero_message_open: true } semantics { locks: NONE }"));

struct Case {
  const char* text;
  const char* field;
  const char* says;
};

class BadCache : public testing::TestWithParam<Case> {};

TEST_P(BadCache, IsNamedWithWhatIsWrong) {
  EXPECT_THAT(Check(GetParam().text),
              ElementsAre(AllOf(Field(&FieldViolation::field, GetParam().field),
                                Field(&FieldViolation::reason, v1::FIELD_INVALID),
                                Field(&FieldViolation::description, HasSubstr(GetParam().says)))));
}

INSTANTIATE_TEST_SUITE_P(
    Caches, BadCache,
    testing::Values(
        Case{"cache { attr_timeout { seconds: -1 } }", "export.cache.attr_timeout", "negative"},
        Case{"cache { entry_timeout { nanos: -1 } }", "export.cache.entry_timeout", "negative"},
        Case{"cache { negative_timeout { seconds: 1 nanos: -1 } }", "export.cache.negative_timeout",
             "nanoseconds"},
        Case{"cache { attr_timeout { nanos: 1000000000 } }", "export.cache.attr_timeout",
             "nanoseconds"},
        Case{"cache { attr_timeout { seconds: 2147483648 } }", "export.cache.attr_timeout",
             "at most 2147483647 seconds"},
        Case{"cache { attr_timeout { seconds: 2147483647 nanos: 1 } }", "export.cache.attr_timeout",
             "at most"},
        Case{"cache { attr_timeout { seconds: 9223372036854775807 nanos: 999999999 } }",
             "export.cache.attr_timeout", "at most"},
        Case{"cache { policy: NEVER writeback: true }", "export.cache.writeback", "NEVER"},
        Case{"cache { policy: METADATA writeback: true }", "export.cache.writeback", "METADATA"},
        Case{"cache { zero_message_open: true }", "export.cache.zero_message_open", "ALWAYS"},
        Case{"cache { policy: METADATA zero_message_open: true }", "export.cache.zero_message_open",
             "ALWAYS"},
        Case{"cache { policy: ALWAYS zero_message_open: true } semantics { locks: SHARED }",
             "export.cache.zero_message_open", "SHARED"},
        Case{"cache { policy: ALWAYS zero_message_open: true direct_io: true }",
             "export.cache.direct_io", "zero_message_open"},
        Case{"cache { policy: ALWAYS zero_message_open: true } "
             "semantics { preserve_noatime: true }",
             "export.semantics.preserve_noatime", "zero_message_open"}));

}  // namespace
}  // namespace fsd::control
