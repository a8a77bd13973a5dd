#include "tests/security/climb.h"

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

std::map<Walls, Shift> ShiftsOf(const std::vector<Climb>& climbs) {
  std::map<Walls, Shift> shifts;
  for (const Climb& climb : climbs) {
    for (const Behind& behind : climb.outcomes) {
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
    ASSERT_GE(climb.outcomes.size(), 2u) << climb.name;
    EXPECT_TRUE(IsWholeJail(climb.outcomes.front().walls)) << climb.name;
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
