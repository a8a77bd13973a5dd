#include "server/control/export_page.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace fsd::control {
namespace {

using testing::ElementsAre;

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

TEST(ExportPage, ALastPageHasNoToken) {
  const auto page = MakePage(Views({"a", "b"}), "", 2);

  EXPECT_THAT(Names(page), ElementsAre("exports/a", "exports/b"));
  EXPECT_EQ(page.next_page_token(), "");
}

TEST(ExportPage, PagesStayStableWhileExportsComeAndGo) {
  const auto first = MakePage(Views({"b", "c", "e"}), "", 2);
  EXPECT_THAT(Names(first), ElementsAre("exports/b", "exports/c"));

  // c, where the first page ended, is deleted; a and d are new.
  const auto after = ReadPageToken(first.next_page_token());
  ASSERT_TRUE(after);
  const auto second = MakePage(Views({"a", "b", "d", "e"}), *after, 2);

  EXPECT_THAT(Names(second), ElementsAre("exports/d", "exports/e"));
  EXPECT_EQ(second.next_page_token(), "");
}

TEST(ExportPage, SizeHasADefaultAndALimit) {
  std::vector<std::string> ids;
  for (int i = 0; i < 1200; ++i) ids.push_back("e" + std::to_string(10000 + i));

  EXPECT_EQ(MakePage(Views(ids), "", 0).exports_size(), 100);
  EXPECT_EQ(MakePage(Views(ids), "", 5000).exports_size(), 1000);
}

TEST(ExportPage, EndsBeforeItIsTooLargeToReceive) {
  std::vector<supervisor::ExportView> views = Views({"a", "b", "c", "d", "e"});
  for (auto& view : views) {
    view.record.mutable_spec()->set_source_path("/" + std::string(900'000, 'x'));
  }

  const auto page = MakePage(views, "", 0);

  EXPECT_THAT(Names(page), ElementsAre("exports/a", "exports/b"));
  EXPECT_EQ(ReadPageToken(page.next_page_token()), "b");
}

TEST(PageToken, OnlyOursAreRead) {
  EXPECT_EQ(ReadPageToken(""), "");
  EXPECT_EQ(ReadPageToken(MakePageToken("web")), "web");
  EXPECT_FALSE(ReadPageToken("!"));
  EXPECT_FALSE(ReadPageToken("d2Vi"));                // "web", no version
  EXPECT_FALSE(ReadPageToken(MakePageToken("../")));  // no id
}

}  // namespace
}  // namespace fsd::control
