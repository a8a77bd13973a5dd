// The process's log: lines to stderr, which the host's service manager collects. If that is
// systemd's journal, a line begins with its priority and leaves the time to the journal.
//
// A message is lower case without a full stop; the export's name stands in every line that concerns
// one. Newlines and control characters in the text are escaped, so foreign bytes cannot forge a
// line. Any thread may log. Arguments are formatted only when the level is enabled:
//
//   FSD_LOG(kInfo, "web", "front-end connected, %d queues", queues);
#ifndef FSD_SERVER_TELEMETRY_LOG_H_
#define FSD_SERVER_TELEMETRY_LOG_H_

#include <atomic>
#include <optional>
#include <string_view>

#include "absl/strings/str_format.h"

namespace fsd::telemetry {

enum class LogLevel : int { kDebug = 0, kInfo = 1, kWarning = 2, kError = 3 };

// "debug", "info", "warning" or "error"; nothing for any other text.
std::optional<LogLevel> ParseLogLevel(std::string_view text);

// How much a process may write that does what somebody hostile tells it to: stderr and what reads
// it are everybody's. `burst` lines at once, `per_second` in the long run; then a line that says
// how many are missing. Lines of level debug, which an operator has asked for, do not count.
struct LogLimit {
  int burst = 0;
  int per_second = 0;
};

// Opens the log. `program` stands in every line. Call once, before other threads exist; before it
// (and in tests) lines go to stderr at level info, without a limit.
void StartLog(std::string_view program, LogLevel level,
              std::optional<LogLimit> limit = std::nullopt);
void SetLogLevel(LogLevel level);
LogLevel CurrentLogLevel();

namespace internal {
extern std::atomic<int> log_level;
void WriteLine(LogLevel level, std::string_view export_name, std::string_view message);
}  // namespace internal

inline bool LogEnabled(LogLevel level) {
  return static_cast<int>(level) >= internal::log_level.load(std::memory_order_relaxed);
}

}  // namespace fsd::telemetry

// `level` is an enumerator of LogLevel; `export_name` a string_view, empty for none; the rest as
// absl::StrFormat takes it.
#define FSD_LOG(level, export_name, ...)                                                    \
  do {                                                                                      \
    if (::fsd::telemetry::LogEnabled(::fsd::telemetry::LogLevel::level)) {                  \
      ::fsd::telemetry::internal::WriteLine(::fsd::telemetry::LogLevel::level, export_name, \
                                            ::absl::StrFormat(__VA_ARGS__));                \
    }                                                                                       \
  } while (false)

// For what is to be on record, as who has changed something: written whatever the log's level is.
#define FSD_LOG_ALWAYS(level, export_name, ...)                                         \
  ::fsd::telemetry::internal::WriteLine(::fsd::telemetry::LogLevel::level, export_name, \
                                        ::absl::StrFormat(__VA_ARGS__))

#endif  // FSD_SERVER_TELEMETRY_LOG_H_
