// The command line of fsd.
#ifndef FSD_SERVER_EXE_SUPERVISOR_FLAGS_H_
#define FSD_SERVER_EXE_SUPERVISOR_FLAGS_H_

#include <string>
#include <variant>

#include "server/supervisor/config.h"

namespace fsd::exe {

enum class SupervisorTask { kServe, kCheckConfig, kCheckHost };

struct SupervisorFlags {
  supervisor::Config config;  // valid: from the file, overridden by the flags
  SupervisorTask task = SupervisorTask::kServe;
};

// What to do instead of serving: print `text` (to stderr if `code` is not 0) and exit with `code`.
struct EarlyExit {
  int code = 0;
  std::string text;
};

inline constexpr int kUsageError = 2;

// A list that is given as flags replaces the file's list of the same name. All that is wrong with
// flags' values and file is told at once, whatever the task.
std::variant<SupervisorFlags, EarlyExit> ParseSupervisorFlags(int argc, const char* const* argv,
                                                              const std::string& version);

}  // namespace fsd::exe

#endif  // FSD_SERVER_EXE_SUPERVISOR_FLAGS_H_
