#include "tests/security/climb.h"

#include <algorithm>
#include <cstdio>
#include <map>

#include "gtest/gtest.h"

namespace fsd::security {
namespace {

// One run of the prison: its attempts and what is expected of them.
struct Shift {
  std::vector<Attempt> attempts;
  std::vector<const Climb*> climbs;
  std::vector<std::string> expected;
};

constexpr Walls kModes[] = {kEveryWall, kEveryWallOfChroot, kEveryWallOfNone};

std::vector<Behind> OutcomesOf(const Climb& climb) {
  std::vector<Behind> outcomes;
  for (const Behind& behind : climb.outcomes) {
    if (behind.walls == kEveryMode) {
      for (const Walls mode : kModes) outcomes.push_back({mode, behind.outcome});
    } else {
      outcomes.push_back(behind);
    }
  }
  return outcomes;
}

bool Covers(const std::vector<Behind>& outcomes, Walls mode) {
  return std::any_of(outcomes.begin(), outcomes.end(), [mode](const Behind& behind) {
    return (behind.walls & ~kDeviceWall) == mode;
  });
}

std::map<Walls, Shift> ShiftsOf(const std::vector<Climb>& climbs) {
  std::map<Walls, Shift> shifts;
  for (const Climb& climb : climbs) {
    for (const Behind& behind : OutcomesOf(climb)) {
      Shift& shift = shifts[behind.walls];
      shift.attempts.push_back(climb.attempt);
      shift.climbs.push_back(&climb);
      shift.expected.push_back(behind.outcome);
    }
  }
  return shifts;
}

}  // namespace

void ExpectTheyHold(Prison& prison, const std::string& wall, const std::vector<Climb>& climbs) {
  for (const Climb& climb : climbs) {
    const std::vector<Behind> outcomes = OutcomesOf(climb);
    ASSERT_GE(outcomes.size(), 2u) << climb.name;
    for (const Walls mode : kModes) {
      if (mode != kEveryWall && climb.of_namespaces_only) continue;
      EXPECT_TRUE(Covers(outcomes, mode)) << climb.name << ": nothing is said of mode " << mode;
    }
  }
  int climbed = 0;
  for (const auto& [walls, shift] : ShiftsOf(climbs)) {
    const std::vector<std::string> outcomes = prison.Run(walls, shift.attempts);
    for (size_t i = 0; i < outcomes.size(); ++i) {
      EXPECT_EQ(outcomes[i], shift.expected[i])
          << shift.climbs[i]->name << ", behind walls " << walls;
      if (!IsWholeJail(walls) || outcomes[i] != shift.climbs[i]->outcomes.back().outcome) continue;
      ++climbed;
      ADD_FAILURE() << shift.climbs[i]->name << ": climbed, or no success without the walls";
    }
  }
  std::printf("[   WALL   ] %s: %zu attempts, %d climbed\n", wall.c_str(), climbs.size(), climbed);
}

}  // namespace fsd::security
