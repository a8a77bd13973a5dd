#include "server/os/mapped_memory.h"

#include <sys/mman.h>

namespace fsd::os {

ErrnoOr<MappedMemory> MappedMemory::MapShared(int fd, uint64_t offset, size_t size) {
  void* data = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd,
                      static_cast<off_t>(offset));
  if (data == MAP_FAILED) return Errno::Last();
  return MappedMemory(data, size);
}

ErrnoOr<MappedMemory> MappedMemory::Anonymous(size_t size) {
  void* data = ::mmap(nullptr, size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (data == MAP_FAILED) return Errno::Last();
  return MappedMemory(data, size);
}

ErrnoOr<void> MappedMemory::MakePrivate(int fd, uint64_t offset) const {
  void* data = ::mmap(data_, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE,
                      fd, static_cast<off_t>(offset));
  if (data == MAP_FAILED) return Errno::Last();
  return {};
}

MappedMemory& MappedMemory::operator=(MappedMemory&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

MappedMemory::~MappedMemory() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

}  // namespace fsd::os
