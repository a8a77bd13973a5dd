// Memory maps of files as checks make them.
#ifndef TESTS_SEMANTICS_MAPPING_H_
#define TESTS_SEMANTICS_MAPPING_H_

#include <sys/mman.h>
#include <sys/types.h>

#include <string>

#include "tests/semantics/check.h"

namespace posix_check {

// The smallest page there is. Constants, because tables of other files are made of them; where
// pages are larger, AddMappingCheck's checks are unsupported.
inline constexpr size_t kPage = 4096;
inline constexpr size_t kFileSize = 4 * kPage;
inline constexpr int kReadWrite = PROT_READ | PROT_WRITE;

// A map, unmapped at the end. Not ok() when mmap failed; errno is then mmap's.
class FileMap {
 public:
  FileMap(int fd, size_t size, int protection, int flags, off_t offset = 0)
      : bytes_(mmap(nullptr, size, protection, flags, fd, offset)), size_(size) {}
  FileMap(const FileMap&) = delete;
  FileMap& operator=(const FileMap&) = delete;
  ~FileMap() {
    if (ok()) munmap(bytes_, size_);
  }

  bool ok() const { return bytes_ != MAP_FAILED; }
  char* at(size_t offset) const { return static_cast<char*>(bytes_) + offset; }
  std::string Text(size_t offset, size_t size) const { return std::string(at(offset), size); }
  int Sync(int flags = MS_SYNC) const { return msync(bytes_, size_, flags); }

 private:
  void* const bytes_;
  const size_t size_;
};

// Adds the check "mapping/NAME". `body` finds the file `file` with Pattern(kFileSize); it is not
// run where files cannot be mapped shared, as in a guest's mount without a page cache.
void AddMappingCheck(Registry& registry, const std::string& name, const Body& body);

}  // namespace posix_check

#endif  // TESTS_SEMANTICS_MAPPING_H_
