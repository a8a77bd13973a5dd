#include "server/telemetry/journal.h"

#include <sys/stat.h>

#include <string>

namespace fsd::telemetry {

bool IsJournal(int fd, const char* journal_stream) {
  struct stat found;
  if (journal_stream == nullptr || ::fstat(fd, &found) != 0) return false;
  return std::to_string(found.st_dev) + ":" + std::to_string(found.st_ino) == journal_stream;
}

std::string_view JournalPrefix(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "<7>";
    case LogLevel::kInfo:
      return "<6>";
    case LogLevel::kWarning:
      return "<4>";
    case LogLevel::kError:
      return "<3>";
  }
  return "<3>";
}

}  // namespace fsd::telemetry
