#include "server/control/watch_cursor.h"

#include <string>

#include "gmock/gmock.h"

namespace fsd::control {
namespace {

using supervisor::ExportState;
using supervisor::ExportView;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

ExportView View(const std::string& id, ExportState state = ExportState::kListening) {
  ExportView view;
  view.record.mutable_spec()->set_id(id);
  view.state = state;
  return view;
}

ExportView Gone(const std::string& id) {
  ExportView view = View(id, ExportState::kDeleting);
  view.gone = true;
  return view;
}

// "ADDED web" and so on, of all that there is to be told.
std::vector<std::string> Told(WatchCursor& cursor, const ChangeLog& log) {
  std::vector<std::string> told;
  while (const auto response = cursor.Next(log)) {
    std::string line = v1::WatchExportsResponse::Kind_Name(response->kind());
    if (response->has_export_()) line += " " + response->export_().name().substr(8);
    told.push_back(line);
  }
  return told;
}

std::string LastToken(WatchCursor& cursor, const ChangeLog& log) {
  std::string token;
  while (const auto response = cursor.Next(log)) token = response->resume_token();
  return token;
}

class WatchCursorTest : public testing::Test {
 protected:
  ChangeLog log_{{.changes = 10, .bytes = 1 << 20}};
};

TEST_F(WatchCursorTest, ASnapshotComesFirstAndThenEveryChange) {
  log_.Add(View("web"));
  log_.Add(View("db"));
  WatchCursor cursor({}, log_);

  EXPECT_THAT(Told(cursor, log_), ElementsAre("ADDED db", "ADDED web", "BOOKMARK"));
  log_.Add(View("web", ExportState::kConnected));
  log_.Add(View("new"));
  log_.Add(Gone("db"));
  EXPECT_THAT(Told(cursor, log_), ElementsAre("MODIFIED web", "ADDED new", "REMOVED db"));
  EXPECT_THAT(Told(cursor, log_), IsEmpty());
}

TEST_F(WatchCursorTest, WhatChangesDuringTheSnapshotFollowsIt) {
  log_.Add(View("web"));
  WatchCursor cursor({}, log_);
  log_.Add(View("web", ExportState::kConnected));

  EXPECT_THAT(Told(cursor, log_), ElementsAre("ADDED web", "BOOKMARK", "MODIFIED web"));
}

TEST_F(WatchCursorTest, WhatOnlyCountsIsNoChange) {
  log_.Add(View("web"));
  WatchCursor cursor({}, log_);
  Told(cursor, log_);
  ExportView busier = View("web");
  busier.worker.set_open_files(5);

  log_.Add(busier);

  EXPECT_THAT(Told(cursor, log_), IsEmpty());
}

TEST_F(WatchCursorTest, AFilterSeesExportsComeAndGo) {
  const ExportFilter failed = *ExportFilter::Parse("status.state = FAILED");
  log_.Add(View("web"));
  log_.Add(View("db", ExportState::kFailed));
  WatchCursor cursor(failed, log_);
  EXPECT_THAT(Told(cursor, log_), ElementsAre("ADDED db", "BOOKMARK"));

  log_.Add(View("web", ExportState::kConnected));
  log_.Add(View("web", ExportState::kFailed));
  log_.Add(View("db", ExportState::kRecovering));
  log_.Add(Gone("web"));

  EXPECT_THAT(Told(cursor, log_), ElementsAre("ADDED web", "REMOVED db", "REMOVED web"));
}

TEST_F(WatchCursorTest, ATokenGoesOnWhereItWasGiven) {
  log_.Add(View("web"));
  WatchCursor first({}, log_);
  const std::string token = LastToken(first, log_);
  log_.Add(View("db"));
  log_.Add(Gone("web"));

  const auto number = log_.ReadToken(token);
  ASSERT_TRUE(number.ok()) << number.status();
  WatchCursor second({}, *number);

  EXPECT_THAT(Told(second, log_), ElementsAre("ADDED db", "REMOVED web"));
}

TEST_F(WatchCursorTest, WhoFallsTooFarBehindIsLost) {
  WatchCursor cursor({}, log_);
  const std::string token = LastToken(cursor, log_);
  for (int i = 0; i < 10; ++i) log_.Add(View("e" + std::to_string(i)));
  EXPECT_FALSE(cursor.IsLost(log_));
  EXPECT_TRUE(log_.ReadToken(token).ok());

  log_.Add(View("last"));

  EXPECT_TRUE(cursor.IsLost(log_));
  EXPECT_EQ(log_.ReadToken(token).status().code(), absl::StatusCode::kOutOfRange);
}

TEST_F(WatchCursorTest, ALogOfLargeExportsForgetsByTheirBytes) {
  ChangeLog log({.changes = 1000, .bytes = 100'000});
  WatchCursor cursor({}, log);
  Told(cursor, log);
  for (int i = 0; i < 20; ++i) {
    ExportView large = View("web");
    large.record.mutable_spec()->set_source_path(std::string(10'000, static_cast<char>('a' + i)));
    log.Add(large);
  }
  EXPECT_TRUE(cursor.IsLost(log));
}

TEST_F(WatchCursorTest, ABookmarkTellsAWatcherThatSeesNothingWhereItIs) {
  ChangeLog log({.changes = 100'000, .bytes = 64 << 20});
  WatchCursor cursor(*ExportFilter::Parse("tag = other"), log);
  const std::string before = LastToken(cursor, log);
  for (size_t i = 0; i < WatchCursor::kSkippedUntilBookmark; ++i) {
    log.Add(View("web", i % 2 == 0 ? ExportState::kConnected : ExportState::kListening));
  }
  const std::string after = LastToken(cursor, log);
  EXPECT_NE(after, "");
  EXPECT_NE(after, before);
}

TEST_F(WatchCursorTest, ForeignTokensAreToldFromThoseOfAnEarlierServer) {
  ChangeLog earlier({.changes = 10, .bytes = 1 << 20});
  EXPECT_EQ(log_.ReadToken("!").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(log_.ReadToken("d2Vi").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(log_.ReadToken(earlier.TokenAfter(0)).status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(log_.ReadToken(log_.TokenAfter(1)).status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_TRUE(log_.ReadToken(log_.TokenAfter(0)).ok());
}

}  // namespace
}  // namespace fsd::control
