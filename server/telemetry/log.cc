#include "server/telemetry/log.h"

#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "server/telemetry/journal.h"
#include "server/telemetry/rate_limit.h"
#include "spdlog/sinks/stdout_sinks.h"
#include "spdlog/spdlog.h"

namespace fsd::telemetry {
namespace {

constexpr char kPattern[] = "%Y-%m-%dT%H:%M:%S.%e%z %l %n[%P]: %v";
constexpr char kJournalPattern[] = "%v";

spdlog::logger& Logger() {
  // Leaked: lines may still be written while statics are destroyed.
  static spdlog::logger& logger = *[] {
    auto* made = new spdlog::logger("fsd", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_pattern(kPattern);
    made->set_level(spdlog::level::trace);  // internal::log_level decides
    made->flush_on(spdlog::level::trace);
    return made;
  }();
  return logger;
}

std::shared_ptr<spdlog::logger>& Named() {
  static auto& named = *new std::shared_ptr<spdlog::logger>();
  return named;
}

spdlog::level::level_enum SpdlogLevel(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

// What a LogLimit lets through.
class Gate {
 public:
  explicit Gate(LogLimit limit)
      : limit_(limit.burst,
               RateLimit::Clock::duration(std::chrono::seconds(1)) / limit.per_second) {}

  // Whether a line may be written now; `left_out` is how many before it were not.
  bool Pass(uint64_t& left_out) {
    const std::lock_guard lock(mutex_);
    if (!limit_.Take(RateLimit::Clock::now())) {
      ++left_out_;
      return false;
    }
    left_out = std::exchange(left_out_, 0);
    return true;
  }

 private:
  std::mutex mutex_;
  RateLimit limit_;
  uint64_t left_out_ = 0;
};

std::unique_ptr<Gate>& Limited() {
  static auto& limited = *new std::unique_ptr<Gate>();
  return limited;
}

// The journal knows time and process of each line by itself.
bool to_journal = false;

void AppendEscaped(std::string& out, std::string_view text) {
  constexpr char kHex[] = "0123456789abcdef";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte != 0x7f) {
      out += c;
    } else {
      out += "\\x";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    }
  }
}

}  // namespace

namespace internal {

std::atomic<int> log_level{static_cast<int>(LogLevel::kInfo)};

void WriteLine(LogLevel level, std::string_view export_name, std::string_view message) {
  uint64_t left_out = 0;
  if (level > LogLevel::kDebug && Limited() != nullptr && !Limited()->Pass(left_out)) return;
  std::string line;
  line.reserve(export_name.size() + message.size() + 16);
  if (to_journal) line += JournalPrefix(level);
  if (!export_name.empty()) {
    line += "export ";
    AppendEscaped(line, export_name);
    line += ": ";
  }
  AppendEscaped(line, message);
  spdlog::logger& logger = Named() ? *Named() : Logger();
  if (left_out > 0) {
    logger.log(spdlog::level::warn, "{}{} lines were left out, as they were too many",
               to_journal ? JournalPrefix(LogLevel::kWarning) : "", left_out);
  }
  logger.log(SpdlogLevel(level), line);
}

}  // namespace internal

std::optional<LogLevel> ParseLogLevel(std::string_view text) {
  if (text == "debug") return LogLevel::kDebug;
  if (text == "info") return LogLevel::kInfo;
  if (text == "warning") return LogLevel::kWarning;
  if (text == "error") return LogLevel::kError;
  return std::nullopt;
}

void StartLog(std::string_view program, LogLevel level, std::optional<LogLimit> limit) {
  to_journal = IsJournal(STDERR_FILENO, std::getenv(kJournalStream));
  Named() = Logger().clone(std::string(program));
  // The clone shares its sink with Logger.
  Named()->set_pattern(to_journal ? kJournalPattern : kPattern);
  if (limit) Limited() = std::make_unique<Gate>(*limit);
  SetLogLevel(level);
}

void SetLogLevel(LogLevel level) {
  internal::log_level.store(static_cast<int>(level), std::memory_order_relaxed);
}

LogLevel CurrentLogLevel() {
  return static_cast<LogLevel>(internal::log_level.load(std::memory_order_relaxed));
}

}  // namespace fsd::telemetry
