// A guest that sends anything, to a file system in memory.
#include <cstddef>
#include <cstdint>

#include "backends/memory/memory_filesystem.h"
#include "tests/fuzz/request_row.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fsd::memory::MemoryFilesystem filesystem({.pages = 64, .inodes = 64, .handles = 64, .locks = 64});
  fsd::fuzz::ServeRow(filesystem, {data, size});
  return 0;
}
