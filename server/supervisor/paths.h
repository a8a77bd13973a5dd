// Paths of the host that clients and the configuration name, and the directories at their ends.
//
// A normal path is absolute, without "//", "." or ".." components and, but for "/", without a
// trailing slash. What clients may name is bounded by a list of allowed directories; opening goes
// through openat2(2) from the allowed directory on, so that no symbolic link leads out of it.
#ifndef FSD_SERVER_SUPERVISOR_PATHS_H_
#define FSD_SERVER_SUPERVISOR_PATHS_H_

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "server/errors/errno_or.h"
#include "server/os/unique_fd.h"

namespace fsd::supervisor {

// `path` without superfluous slashes. Nothing if it is relative, or holds "." or ".." components, a
// NUL or more than PATH_MAX bytes.
std::optional<std::string> NormalPath(std::string_view path);

// Whether normal `path` is `directory` or lies below it, by its text alone.
bool IsSameOrBelow(std::string_view path, std::string_view directory);

std::string JoinPath(std::string_view directory, std::string_view name);

// Opens normal `path`, a directory that is one of `allowed` or lies below one, as O_PATH.
//   EPERM: below none of them.
//   EXDEV: a symbolic link leads out of the allowed directory.
//   ENOENT, ENOTDIR, EACCES …: of the path itself.
ErrnoOr<os::UniqueFd> OpenAllowedDirectory(const std::vector<std::string>& allowed,
                                           const std::string& path);

// Makes `path` and what is missing above it (0755). With `exact`, `path` also gets `mode` if it was
// there before.
absl::Status EnsureDirectory(const std::string& path, mode_t mode, bool exact);

}  // namespace fsd::supervisor

#endif  // FSD_SERVER_SUPERVISOR_PATHS_H_
