// O_DIRECT as checks use it: reads and writes that pass the page cache.
//
// Memory, offsets and sizes are multiples of kBlock, which every file system takes, but where a
// check is about others.
#ifndef TESTS_SEMANTICS_DIRECT_IO_H_
#define TESTS_SEMANTICS_DIRECT_IO_H_

#include <sys/types.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include "tests/semantics/check.h"

namespace posix_check {

inline constexpr size_t kBlock = 4096;

struct FreeMemory {
  void operator()(char* memory) const { free(memory); }
};
using AlignedBuffer = std::unique_ptr<char, FreeMemory>;

// The bytes in aligned memory, or `shift` bytes after its beginning.
AlignedBuffer Aligned(std::string_view bytes, size_t shift = 0);

// As pwrite, from aligned memory.
ssize_t DirectWrite(int fd, std::string_view bytes, off_t offset, size_t shift = 0);
// What is there; "<EINVAL>" and the like when it cannot be read.
std::string DirectRead(int fd, size_t size, off_t offset, size_t shift = 0);

// Adds the check "direct_io/NAME". `body` finds the file `file` of Pattern(kDirectFileSize), whose
// last block is not a whole one; it is not run where there is no O_DIRECT.
inline constexpr size_t kDirectFileSize = 64 * kBlock + 100;
void AddDirectIoCheck(Registry& registry, const std::string& name, const Body& body);

}  // namespace posix_check

#endif  // TESTS_SEMANTICS_DIRECT_IO_H_
