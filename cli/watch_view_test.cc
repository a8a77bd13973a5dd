#include "cli/watch_view.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace fsd::cli {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using Response = v1::WatchExportsResponse;

Response Of(Response::Kind kind, const std::string& name, const std::string& uid = "1",
            v1::ExportStatus::State state = v1::ExportStatus::LISTENING) {
  Response response;
  response.set_kind(kind);
  if (kind == Response::BOOKMARK) return response;
  response.mutable_export_()->set_name(name);
  response.mutable_export_()->set_uid(uid);
  response.mutable_export_()->mutable_status()->set_state(state);
  return response;
}

const Response kBookmark = Of(Response::BOOKMARK, "");

std::vector<std::string> Take(WatchView& view, const Response& response) {
  std::vector<std::string> events;
  for (const Response& event : view.Take(response)) {
    events.push_back(Response::Kind_Name(event.kind()) + " " + event.export_().name());
  }
  return events;
}

// After a snapshot with a and b.
WatchView OfTwo() {
  WatchView view;
  view.BeginSnapshot();
  EXPECT_THAT(Take(view, Of(Response::ADDED, "a")), ElementsAre("ADDED a"));
  EXPECT_THAT(Take(view, Of(Response::ADDED, "b")), ElementsAre("ADDED b"));
  EXPECT_THAT(Take(view, kBookmark), ElementsAre("BOOKMARK "));
  return view;
}

TEST(WatchView, ALaterSnapshotOfTheSameIsNoNews) {
  WatchView view = OfTwo();
  Response b = Of(Response::ADDED, "b");
  b.mutable_export_()->mutable_status()->set_inodes(7);

  view.BeginSnapshot();

  EXPECT_THAT(Take(view, Of(Response::ADDED, "a")), IsEmpty());
  EXPECT_THAT(Take(view, b), IsEmpty());
  EXPECT_THAT(Take(view, kBookmark), ElementsAre("BOOKMARK "));
}

TEST(WatchView, ALaterSnapshotTellsWhatHasChangedAndWhatIsGone) {
  WatchView view = OfTwo();

  view.BeginSnapshot();

  EXPECT_THAT(Take(view, Of(Response::ADDED, "a", "1", v1::ExportStatus::FAILED)),
              ElementsAre("MODIFIED a"));
  EXPECT_THAT(Take(view, Of(Response::ADDED, "c")), ElementsAre("ADDED c"));
  EXPECT_THAT(Take(view, kBookmark), ElementsAre("REMOVED b", "BOOKMARK "));
}

TEST(WatchView, AnExportMadeAnewIsAnother) {
  WatchView view = OfTwo();

  view.BeginSnapshot();

  EXPECT_THAT(Take(view, Of(Response::ADDED, "a", "2")), ElementsAre("REMOVED a", "ADDED a"));
}

TEST(WatchView, ChangesAfterTheSnapshotAreRemembered) {
  WatchView view = OfTwo();
  EXPECT_THAT(Take(view, Of(Response::REMOVED, "a")), ElementsAre("REMOVED a"));
  EXPECT_THAT(Take(view, Of(Response::MODIFIED, "b", "1", v1::ExportStatus::FAILED)),
              ElementsAre("MODIFIED b"));

  view.BeginSnapshot();

  EXPECT_THAT(Take(view, Of(Response::ADDED, "b", "1", v1::ExportStatus::FAILED)), IsEmpty());
  EXPECT_THAT(Take(view, kBookmark), ElementsAre("BOOKMARK "));
}

}  // namespace
}  // namespace fsd::cli
