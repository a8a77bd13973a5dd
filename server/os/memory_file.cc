#include "server/os/memory_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace fsd::os {

ErrnoOr<UniqueFd> CreateMemoryFile(const char* name, size_t size) {
  UniqueFd fd(::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd.valid() || ::ftruncate(fd.get(), static_cast<off_t>(size)) != 0 ||
      ::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
    return Errno::Last();
  }
  return fd;
}

ErrnoOr<UniqueFd> CreateSealedFile(const char* name, std::span<const std::byte> contents) {
  UniqueFd fd(::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd.valid()) return Errno::Last();
  size_t written = 0;
  while (written < contents.size()) {
    const ssize_t bytes = ::pwrite(fd.get(), contents.data() + written, contents.size() - written,
                                   static_cast<off_t>(written));
    if (bytes < 0) return Errno::Last();
    written += static_cast<size_t>(bytes);
  }
  if (::fcntl(fd.get(), F_ADD_SEALS,
              F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) != 0) {
    return Errno::Last();
  }
  return fd;
}

}  // namespace fsd::os
