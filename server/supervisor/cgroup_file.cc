#include "server/supervisor/cgroup_file.h"

#include <fcntl.h>
#include <unistd.h>

#include "server/os/unique_fd.h"

namespace fsd::supervisor {

ErrnoOr<std::string> ReadCgroupFile(int directory, const std::string& name) {
  const os::UniqueFd fd(::openat(directory, name.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd.valid()) return Errno::Last();
  std::string text(4096, '\0');
  const ssize_t size = ::read(fd.get(), text.data(), text.size());
  if (size < 0) return Errno::Last();
  text.resize(static_cast<size_t>(size));
  return text;
}

ErrnoOr<void> WriteCgroupFile(int directory, const std::string& name, std::string_view text) {
  const os::UniqueFd fd(::openat(directory, name.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC | O_NOFOLLOW));
  if (!fd.valid()) return Errno::Last();
  const ssize_t written = ::write(fd.get(), text.data(), text.size());
  if (written < 0) return Errno::Last();
  if (static_cast<size_t>(written) != text.size()) return Errno(EIO);
  return {};
}

}  // namespace fsd::supervisor
