#include "server/control/export_filter.h"

#include <string>

#include "gmock/gmock.h"

namespace fsd::control {
namespace {

using ::testing::HasSubstr;

v1::Export Web() {
  v1::Export web;
  web.set_name("exports/web");
  web.set_tag("myfs");
  (*web.mutable_labels())["tier"] = "front";
  (*web.mutable_labels())["example.com/zone"] = "eu-1";
  (*web.mutable_labels())["empty"] = "";
  web.mutable_owner()->set_system("libvirt");
  web.mutable_source()->mutable_passthrough()->set_path("/srv/www/site");
  web.mutable_status()->set_state(v1::ExportStatus::LISTENING);
  return web;
}

struct Case {
  const char* filter;
  bool matches;
};

class ExportFilterTest : public testing::TestWithParam<Case> {};

TEST_P(ExportFilterTest, MatchesWhatItSays) {
  const auto filter = ExportFilter::Parse(GetParam().filter);
  ASSERT_TRUE(filter.ok()) << filter.status();
  EXPECT_EQ(filter->Matches(Web()), GetParam().matches) << GetParam().filter;
}

INSTANTIATE_TEST_SUITE_P(
    All, ExportFilterTest,
    testing::Values(
        Case{"", true}, Case{"  \n", true}, Case{"name = exports/web", true},
        Case{"name=\"exports/db\"", false}, Case{"tag != myfs", false}, Case{"tag != other", true},
        Case{"labels.tier = front", true}, Case{"labels.tier = back", false},
        Case{"labels.\"example.com/zone\" = eu-1", true}, Case{"labels.empty = \"\"", true},
        Case{"labels.empty:*", true}, Case{"labels.missing:*", false},
        Case{"labels.missing = \"\"", false}, Case{"labels.missing != x", true},
        Case{"labels:tier", true}, Case{"labels:missing", false}, Case{"labels:*", true},
        Case{"owner.system = lib*", true}, Case{"owner.system = *virt", true},
        Case{"owner.system = *bvi*", true}, Case{"owner.system = *x*", false},
        Case{"owner.system : bvir", true}, Case{"owner.vm_id:*", false},
        Case{"owner.vm_id != 7", true}, Case{"status.state = LISTENING", true},
        Case{"status.state != LISTENING", false}, Case{"status.state = FAILED", false},
        Case{"source.passthrough.path = /srv/www/*", true}, Case{"NOT tag = myfs", false},
        Case{"-tag = myfs", false}, Case{"NOT (tag = myfs AND tag = other)", true},
        // OR binds tighter than AND.
        Case{"tag = other AND tag = other OR tag = myfs", false},
        Case{"(tag = other AND tag = other) OR tag = myfs", true},
        Case{"tag = myfs OR tag = other AND labels.tier = front", true},
        Case{"tag=\"my\\\"fs\"", false}));

struct BadCase {
  const char* filter;
  const char* error;
};

class BadExportFilterTest : public testing::TestWithParam<BadCase> {};

TEST_P(BadExportFilterTest, SaysWhereAndWhy) {
  const absl::Status status = ExportFilter::Parse(GetParam().filter).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr(GetParam().error)) << GetParam().filter;
}

INSTANTIATE_TEST_SUITE_P(
    All, BadExportFilterTest,
    testing::Values(BadCase{"tag", "at character 4: expected =, != or :"},
                    BadCase{"tag =", "at character 6: expected a value"},
                    BadCase{"= x", "at character 1: expected a field"},
                    BadCase{"tag < x", "at character 5: expected =, != or :"},
                    BadCase{"tag = x tag = y", "at character 9: expected AND, OR or the end"},
                    BadCase{"tag = x and tag = y", "at character 9"},
                    BadCase{"tag = x AND", "at character 12: expected a field"},
                    BadCase{"(tag = x", "at character 9: expected AND, OR or ')'"},
                    BadCase{"tag = x)", "at character 8"},
                    BadCase{"tag = \"x", "at character 7: the quote is not closed"},
                    BadCase{"tag = \"a\\b\"", "at character 9"},
                    BadCase{"tag = y AND size = 1", "at character 13: no such field"},
                    BadCase{"labels = x", "at character 1: labels takes : only"},
                    BadCase{"labels.a.b = x", "stands in quotes"},
                    BadCase{"status.state = UP", "at character 16: this is no state"},
                    BadCase{"status.state : FAILED", "takes = and != only"}));

TEST(ExportFilterLimitTest, DeepNestingIsAnErrorAndNoCrash) {
  for (const std::string& opening : {std::string("("), std::string("NOT "), std::string("-")}) {
    std::string text;
    while (text.size() + opening.size() <= 4000) text += opening;
    EXPECT_THAT(std::string(ExportFilter::Parse(text).status().message()),
                HasSubstr("nested too deeply"));
  }
}

TEST(ExportFilterLimitTest, ALongFilterIsRefused) {
  EXPECT_THAT(
      std::string(ExportFilter::Parse("tag = " + std::string(5000, 'x')).status().message()),
      HasSubstr("at most 4096 bytes"));
}

}  // namespace
}  // namespace fsd::control
