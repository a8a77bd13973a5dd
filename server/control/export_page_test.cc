#include "server/control/export_page.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace fsd::control {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<supervisor::ExportView> Views(const std::vector<std::string>& ids) {
  std::vector<supervisor::ExportView> views;
  for (const std::string& id : ids) {
    views.emplace_back().record.mutable_spec()->set_id(id);
  }
  return views;
}

std::vector<std::string> Names(const v1::ListExportsResponse& page) {
  std::vector<std::string> names;
  for (const v1::Export& resource : page.exports()) names.push_back(resource.name());
  return names;
}

ExportQuery Query(int32_t page_size, const std::string& token = "", const std::string& filter = "",
                  const std::string& order_by = "") {
  v1::ListExportsRequest request;
  request.set_page_size(page_size);
  request.set_page_token(token);
  request.set_filter(filter);
  request.set_order_by(order_by);
  FieldViolations violations;
  ExportQuery query = ReadQuery(request, violations);
  EXPECT_THAT(violations, IsEmpty());
  return query;
}

// Whether a page's token is refused for a query.
bool IsRefused(const std::string& token, const std::string& filter, const std::string& order_by) {
  v1::ListExportsRequest request;
  request.set_page_token(token);
  request.set_filter(filter);
  request.set_order_by(order_by);
  FieldViolations violations;
  ReadQuery(request, violations);
  return violations.size() == 1 && violations[0].reason == v1::PAGE_TOKEN_INVALID;
}

TEST(ExportPage, ALastPageHasNoToken) {
  const auto page = MakePage(Views({"a", "b"}), Query(2));

  EXPECT_THAT(Names(page), ElementsAre("exports/a", "exports/b"));
  EXPECT_EQ(page.next_page_token(), "");
}

TEST(ExportPage, PagesStayStableWhileExportsComeAndGo) {
  const auto first = MakePage(Views({"b", "c", "e"}), Query(2));
  EXPECT_THAT(Names(first), ElementsAre("exports/b", "exports/c"));

  // c, where the first page ended, is deleted; a and d are new.
  const auto second = MakePage(Views({"a", "b", "d", "e"}), Query(2, first.next_page_token()));

  EXPECT_THAT(Names(second), ElementsAre("exports/d", "exports/e"));
  EXPECT_EQ(second.next_page_token(), "");
}

TEST(ExportPage, HasWhatTheFilterMatches) {
  auto views = Views({"a", "b", "c"});
  views[1].state = supervisor::ExportState::kFailed;

  EXPECT_THAT(Names(MakePage(views, Query(0, "", "status.state = FAILED"))),
              ElementsAre("exports/b"));
  EXPECT_THAT(Names(MakePage(views, Query(0, "", "status.state != FAILED"))),
              ElementsAre("exports/a", "exports/c"));
}

TEST(ExportPage, IsInTheOrderThatIsWanted) {
  auto views = Views({"a", "b", "c"});
  views[0].record.set_create_time_unix_nanos(2'000'000'000);
  views[1].record.set_create_time_unix_nanos(11'000'000'000);
  views[2].record.set_create_time_unix_nanos(2'000'000'000);

  EXPECT_THAT(Names(MakePage(views, Query(0, "", "", "create_time"))),
              ElementsAre("exports/a", "exports/c", "exports/b"));
  EXPECT_THAT(Names(MakePage(views, Query(0, "", "", "create_time desc"))),
              ElementsAre("exports/b", "exports/a", "exports/c"));
  EXPECT_THAT(Names(MakePage(views, Query(0, "", "", "create_time desc, name desc"))),
              ElementsAre("exports/b", "exports/c", "exports/a"));
}

TEST(ExportPage, PagesOfAnOtherOrderAreStableToo) {
  auto views = Views({"a", "b", "c", "d"});
  for (size_t i = 0; i < views.size(); ++i) {
    views[i].record.set_create_time_unix_nanos(static_cast<int64_t>(i / 2 + 1));
  }
  const auto first = MakePage(views, Query(1, "", "", "create_time desc"));
  EXPECT_THAT(Names(first), ElementsAre("exports/c"));
  views.erase(views.begin() + 2);

  const auto rest = MakePage(views, Query(5, first.next_page_token(), "", "create_time desc"));

  EXPECT_THAT(Names(rest), ElementsAre("exports/d", "exports/a", "exports/b"));
}

TEST(ExportPage, SizeHasADefaultAndALimit) {
  std::vector<std::string> ids;
  for (int i = 0; i < 1200; ++i) ids.push_back("e" + std::to_string(10000 + i));

  EXPECT_EQ(MakePage(Views(ids), Query(0)).exports_size(), 100);
  EXPECT_EQ(MakePage(Views(ids), Query(5000)).exports_size(), 1000);
}

TEST(ExportPage, EndsBeforeItIsTooLargeToReceive) {
  std::vector<supervisor::ExportView> views = Views({"a", "b", "c", "d", "e"});
  for (auto& view : views) {
    view.record.mutable_spec()->set_source_path("/" + std::string(900'000, 'x'));
  }

  const auto page = MakePage(views, Query(0));

  EXPECT_THAT(Names(page), ElementsAre("exports/a", "exports/b"));
  EXPECT_EQ(ReadPageToken(Query(0), page.next_page_token())->id, "b");
}

TEST(PageToken, OnlyOursAreRead) {
  EXPECT_FALSE(IsRefused(MakePageToken(Query(0), {.keys = {}, .id = "web"}), "", ""));
  EXPECT_TRUE(IsRefused("!", "", ""));
  EXPECT_TRUE(IsRefused("d2Vi", "", ""));  // "web", no version
  EXPECT_TRUE(IsRefused(MakePageToken(Query(0), {.keys = {}, .id = "../"}), "", ""));
  EXPECT_TRUE(IsRefused(MakePageToken(Query(0), {.keys = {"more"}, .id = "web"}), "", ""));
}

TEST(PageToken, IsForOneFilterAndOrder) {
  const std::string token =
      MakePageToken(Query(0, "", "tag = a", "name"), {{"exports/web"}, "web"});
  EXPECT_FALSE(IsRefused(token, "tag = a", "name"));
  EXPECT_TRUE(IsRefused(token, "tag = b", "name"));
  EXPECT_TRUE(IsRefused(token, "tag = a", "status.state"));
  EXPECT_TRUE(IsRefused(token, "tag = a", ""));
}

TEST(ReadQuery, NamesAllThatIsWrong) {
  v1::ListExportsRequest request;
  request.set_filter("tag");
  request.set_order_by("tag");
  FieldViolations violations;
  ReadQuery(request, violations);
  ASSERT_EQ(violations.size(), 2u);
  EXPECT_EQ(violations[0].reason, v1::FILTER_INVALID);
  EXPECT_EQ(violations[1].field, "order_by");
}

class BadOrder : public testing::TestWithParam<const char*> {};

TEST_P(BadOrder, IsRefused) { EXPECT_FALSE(ExportOrder::Parse(GetParam()).ok()); }

// What is shown of it ends between two characters; here is none.
TEST(BadOrderOfNoCharacters, IsRefused) {
  EXPECT_FALSE(ExportOrder::Parse(std::string(100, '\x94')).ok());
}

INSTANTIATE_TEST_SUITE_P(All, BadOrder,
                         testing::Values("tag", "name asc", "name,", ",", "name desc desc",
                                         "name, name desc"));

}  // namespace
}  // namespace fsd::control
