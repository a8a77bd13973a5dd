// Memory files: memfd_create(2) with seals.
#ifndef FSD_SERVER_OS_MEMORY_FILE_H_
#define FSD_SERVER_OS_MEMORY_FILE_H_

#include <cstddef>
#include <span>

#include "server/errors/errno_or.h"
#include "server/os/unique_fd.h"

namespace fsd::os {

// A memory file of `size` zeroed bytes that can neither grow nor shrink.
ErrnoOr<UniqueFd> CreateMemoryFile(const char* name, size_t size);
// A memory file with these contents that nobody can change, its offset at 0.
ErrnoOr<UniqueFd> CreateSealedFile(const char* name, std::span<const std::byte> contents);

}  // namespace fsd::os

#endif  // FSD_SERVER_OS_MEMORY_FILE_H_
