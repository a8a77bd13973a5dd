#include "server/supervisor/paths.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>

#include "absl/strings/str_cat.h"
#include "server/errors/status_macros.h"

namespace fsd::supervisor {
namespace {

constexpr int kDirectoryFlags = O_PATH | O_DIRECTORY | O_CLOEXEC;

ErrnoOr<os::UniqueFd> OpenBeneath(const std::string& directory, const std::string& rest) {
  os::UniqueFd root(::open(directory.c_str(), kDirectoryFlags));
  if (!root.valid()) return Errno::Last();
  if (rest.empty()) return root;
  open_how how{};
  how.flags = kDirectoryFlags;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  // EAGAIN: something was renamed meanwhile, and the kernel could not rule out an escape.
  constexpr int kAttempts = 16;
  for (int attempt = 1;; ++attempt) {
    os::UniqueFd fd(
        static_cast<int>(::syscall(SYS_openat2, root.get(), rest.c_str(), &how, sizeof how)));
    if (fd.valid()) return fd;
    if (errno != EAGAIN || attempt == kAttempts) return Errno::Last();
  }
}

}  // namespace

std::optional<std::string> NormalPath(std::string_view path) {
  if (path.empty() || path[0] != '/' || path.size() >= PATH_MAX) return std::nullopt;
  if (path.find('\0') != std::string_view::npos) return std::nullopt;
  std::string normal;
  while (!path.empty()) {
    path.remove_prefix(1);
    const std::string_view component = path.substr(0, path.find('/'));
    path.remove_prefix(component.size());
    if (component == "." || component == "..") return std::nullopt;
    if (!component.empty()) normal.append("/").append(component);
  }
  return normal.empty() ? "/" : normal;
}

bool IsSameOrBelow(std::string_view path, std::string_view directory) {
  if (directory == "/") return path.starts_with('/');
  return path.starts_with(directory) &&
         (path.size() == directory.size() || path[directory.size()] == '/');
}

std::string JoinPath(std::string_view directory, std::string_view name) {
  while (directory.ends_with('/')) directory.remove_suffix(1);
  return absl::StrCat(Absl(directory), "/", Absl(name));
}

ErrnoOr<os::UniqueFd> OpenAllowedDirectory(const std::vector<std::string>& allowed,
                                           const std::string& path) {
  Errno error(EPERM);
  for (const std::string& directory : allowed) {
    const std::optional<std::string> prefix = NormalPath(directory);
    if (!prefix.has_value() || !IsSameOrBelow(path, *prefix)) continue;
    std::string rest = path.substr(prefix->size());
    if (rest.starts_with('/')) rest.erase(0, 1);
    auto opened = OpenBeneath(*prefix, rest);
    if (opened.ok()) return opened;
    error = opened.error();
  }
  return error;
}

absl::Status EnsureDirectory(const std::string& path, mode_t mode, bool exact) {
  const std::optional<std::string> normal = NormalPath(path);
  if (!normal.has_value()) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": not an absolute, plain path"));
  }
  bool made = false;
  for (size_t end = 0; end != std::string::npos;) {
    end = normal->find('/', end + 1);
    const std::string directory = normal->substr(0, end);
    made = ::mkdir(directory.c_str(), 0755) == 0;
    if (!made && errno != EEXIST) {
      return ErrnoStatus(Errno::Last(), absl::StrCat("make directory ", directory));
    }
  }
  const os::UniqueFd fd(::open(normal->c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return ErrnoStatus(Errno::Last(), absl::StrCat("open directory ", *normal));
  // The umask has cut the mode of a new one.
  if ((made || exact) && ::fchmod(fd.get(), mode) != 0) {
    return ErrnoStatus(Errno::Last(), absl::StrCat("set the mode of ", *normal));
  }
  return absl::OkStatus();
}

}  // namespace fsd::supervisor
