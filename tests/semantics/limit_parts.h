// The parts of the area limit, each of a file of its own.
#ifndef TESTS_SEMANTICS_LIMIT_PARTS_H_
#define TESTS_SEMANTICS_LIMIT_PARTS_H_

#include "tests/semantics/check.h"

namespace posix_check {

// Full file systems and exhausted quotas, where places for them were given.
void AddSpaceLimitChecks(Registry& registry);
// What a read-only file system and the border to another one refuse, where they were given.
void AddBorderLimitChecks(Registry& registry);
// Running programs.
void AddBusyTextChecks(Registry& registry);

}  // namespace posix_check

#endif  // TESTS_SEMANTICS_LIMIT_PARTS_H_
