#include "tests/bench/report.h"

#include <sstream>

#include "gtest/gtest.h"

namespace fsd::bench {
namespace {

constexpr Workload kMetadata{"GETATTR", Target::kHalfOfPeers, false, false, nullptr, nullptr};
constexpr Workload kPages{"READ 4K", Target::kMostOfPeers, false, false, nullptr, nullptr};
constexpr Workload kLarge{"READ 1M", Target::kBare, false, false, nullptr, nullptr};

Row RowOf(const Workload& workload, Manner manner, double ours, double peer, double other_peer,
          double bare) {
  const auto sample = [](double value) {
    return std::vector<Sample>{{.p50_us = value, .cpu_us = value}};
  };
  return {.workload = &workload,
          .manner = manner,
          .samples = {sample(ours), sample(peer), sample(other_peer)},
          .bare_us = {bare}};
}

TEST(Judge, MetadataIsHeldAgainstHalfOfTheBetterPeer) {
  const auto verdict = Judge(RowOf(kMetadata, {}, 1.1, 2, 6, 0.1), {});
  ASSERT_TRUE(verdict.has_value());
  EXPECT_DOUBLE_EQ(verdict->target_us, 1);
  EXPECT_FALSE(verdict->met());
}

TEST(Judge, TheSystemCallsThemselvesAreConceded) {
  const auto verdict = Judge(RowOf(kMetadata, {}, 1.4, 2, 6, 1), {});
  ASSERT_TRUE(verdict.has_value());
  EXPECT_DOUBLE_EQ(verdict->target_us, 1.5);
  EXPECT_TRUE(verdict->met());
}

TEST(Judge, SmallDataIsHeldAgainstMostOfThePeersAndLargeAgainstTheBareCall) {
  EXPECT_DOUBLE_EQ(Judge(RowOf(kPages, {}, 1, 2, 3, 0.1), {})->target_us, 1.4);
  EXPECT_DOUBLE_EQ(Judge(RowOf(kLarge, {}, 1, 2, 3, 100), {})->target_us, 110);
}

TEST(Judge, OneRequestInFlightIsHeldAgainstTheBetterPeersLatency) {
  const auto verdict = Judge(RowOf(kMetadata, {.depth = 1}, 20, 25, 21, 0.1), {});
  ASSERT_TRUE(verdict.has_value());
  EXPECT_STREQ(verdict->of, "p50");
  EXPECT_DOUBLE_EQ(verdict->target_us, 21);
  EXPECT_TRUE(verdict->met());
}

TEST(Judge, SeveralVringsAreHeldAgainstOne) {
  const std::vector<Row> rows = {RowOf(kMetadata, {}, 1, 2, 3, 0.1),
                                 RowOf(kMetadata, {.vrings = 4}, 1.2, 2, 3, 0.1)};
  const auto verdict = Judge(rows[1], rows);
  ASSERT_TRUE(verdict.has_value());
  EXPECT_DOUBLE_EQ(verdict->target_us, 1.1);
  EXPECT_FALSE(verdict->met());
}

TEST(Judge, EachRoundHasItsOwnTargetAndTheMedianDecides) {
  // The machine was slower in the second round, and disturbed fsd in the third.
  Row row = RowOf(kLarge, {}, 1.0, 9, 9, 1.0);
  row.samples[0] = {{.cpu_us = 1.0}, {.cpu_us = 2.1}, {.cpu_us = 3.0}};
  row.samples[1] = row.samples[2] = {{.cpu_us = 9}, {.cpu_us = 9}, {.cpu_us = 9}};
  row.bare_us = {1.0, 2.0, 1.0};
  const auto verdict = Judge(row, {});
  ASSERT_TRUE(verdict.has_value());
  EXPECT_DOUBLE_EQ(verdict->target_us, 1.1);
  EXPECT_DOUBLE_EQ(verdict->of_target, 2.1 / 2.2);
  EXPECT_TRUE(verdict->met());
}

TEST(Judge, TwoPeersThatAreAsFastAreNotHeldAgainstItTogether) {
  // Each peer is even with it, but the better of the two in each round is faster twice.
  Row row = RowOf(kMetadata, {.depth = 1}, 0, 0, 0, 0.1);
  row.samples = {{{.p50_us = 20}, {.p50_us = 20}, {.p50_us = 20}},
                 {{.p50_us = 40}, {.p50_us = 20}, {.p50_us = 10}},
                 {{.p50_us = 40}, {.p50_us = 10}, {.p50_us = 20}}};
  const auto verdict = Judge(row, {});
  ASSERT_TRUE(verdict.has_value());
  EXPECT_DOUBLE_EQ(verdict->of_target, 1);
  EXPECT_DOUBLE_EQ(verdict->target_us, 20);
}

TEST(Judge, WithoutAPeerThereIsNothingToBeHeldAgainst) {
  Row row = RowOf(kMetadata, {}, 1, 2, 3, 0.1);
  row.samples.resize(1);
  EXPECT_FALSE(Judge(row, {}).has_value());
}

TEST(Report, WhatIsMissingIsADashInTheTableAndNullInJson) {
  Report report{
      .about = {{"command", "a \"quoted\" word"}}, .subjects = {"fsd", "peer"}, .rows = {}};
  report.rows.push_back({.workload = &kMetadata,
                         .manner = {},
                         .samples = {{Sample{.cpu_us = 1}}, {}},
                         .bare_us = {}});
  std::ostringstream table;
  std::ostringstream json;
  PrintMarkdown(report, table);
  PrintJson(report, json);
  EXPECT_NE(table.str().find("1.00 · –"), std::string::npos) << table.str();
  EXPECT_NE(json.str().find("\"peer\": null"), std::string::npos) << json.str();
  EXPECT_NE(json.str().find("a \\\"quoted\\\" word"), std::string::npos) << json.str();
}

}  // namespace
}  // namespace fsd::bench
