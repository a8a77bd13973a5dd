#include "server/errors/check.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace fsd::internal {

void CheckFailed(const char* file, int line, const char* text) {
  char message[512];
  const int length =
      std::snprintf(message, sizeof message, "%s:%d: check failed: %s\n", file, line, text);
  if (length > 0) {
    const size_t bytes = length < static_cast<int>(sizeof message) ? length : sizeof message - 1;
    // Nothing can be done about a failed write: the process is ending.
    [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, message, bytes);
  }
  std::abort();
}

}  // namespace fsd::internal
