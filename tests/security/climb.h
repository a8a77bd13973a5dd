// Climbs: attempts in a table, each with what becomes of it behind every wall, behind single ones,
// and without those that stop it.
//
// One thread.
#ifndef FSD_TESTS_SECURITY_CLIMB_H_
#define FSD_TESTS_SECURITY_CLIMB_H_

#include <string>
#include <vector>

#include "tests/security/prison.h"

namespace fsd::security {

struct Behind {
  Walls walls = kNoWalls;
  std::string outcome;
};

struct Climb {
  std::string name;
  Attempt attempt;
  // First behind every wall of each mode, by itself or by kEveryMode; last without what stops it:
  // the success that the walls prevent.
  std::vector<Behind> outcomes;
  // The other modes promise nothing here (server/sandbox/README.md has what they do).
  bool of_namespaces_only = false;
};

// Makes every attempt behind each combination of walls that it names. The test fails for an outcome
// that is another one, and for a climb that has the same outcome with the walls as without. Prints
// one line: `wall`, attempts, climbed.
void ExpectTheyHold(Prison& prison, const std::string& wall, const std::vector<Climb>& climbs);

}  // namespace fsd::security

#endif  // FSD_TESTS_SECURITY_CLIMB_H_
