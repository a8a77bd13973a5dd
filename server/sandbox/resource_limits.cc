#include "server/sandbox/resource_limits.h"

#include <sys/resource.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "server/errors/status_macros.h"

namespace fsd::sandbox {

absl::Status LimitOpenFiles(uint64_t most) {
  rlimit limit;
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) {
    return ErrnoStatus(Errno::Last(), "getrlimit(RLIMIT_NOFILE)");
  }
  const rlim_t hard = limit.rlim_max;
  if (most != 0) limit.rlim_max = most;
  limit.rlim_cur = limit.rlim_max;
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) {
    return ErrnoStatus(Errno::Last(),
                       absl::StrCat("setrlimit(RLIMIT_NOFILE) to ", limit.rlim_max,
                                    " (the export's sandbox.limits.open_files; the server's own "
                                    "limit is ",
                                    hard, ")"));
  }
  return absl::OkStatus();
}

absl::Status PreventCoreFiles() {
  constexpr rlimit kNotPiped{1, 1};
  if (::setrlimit(RLIMIT_CORE, &kNotPiped) == 0) return absl::OkStatus();
  const Errno error = Errno::Last();
  rlimit limit;
  const bool is_none = ::getrlimit(RLIMIT_CORE, &limit) == 0 && limit.rlim_max == 0;
  if (error == Errno(EPERM) && is_none) return absl::OkStatus();
  return ErrnoStatus(error, "setrlimit(RLIMIT_CORE)");
}

}  // namespace fsd::sandbox
