// MappedMemory: the owner of one mmap(2).
#ifndef FSD_SERVER_OS_MAPPED_MEMORY_H_
#define FSD_SERVER_OS_MAPPED_MEMORY_H_

#include <cstddef>
#include <cstdint>
#include <utility>

#include "server/errors/errno_or.h"

namespace fsd::os {

class MappedMemory {
 public:
  MappedMemory() = default;
  // Maps `size` bytes of `fd` from `offset` (page-aligned) on, shared, for reading and writing.
  static ErrnoOr<MappedMemory> MapShared(int fd, uint64_t offset, size_t size);
  // Maps `size` zeroed private bytes; pages cost nothing until they are touched.
  static ErrnoOr<MappedMemory> Anonymous(size_t size);

  // Puts a private view of the same bytes of `fd` in the place of the mapping: what is written from
  // then on is seen through this mapping only. In one step for whoever is using it, the kernel's
  // copies included, but not for pages that it has pinned (O_DIRECT).
  ErrnoOr<void> MakePrivate(int fd, uint64_t offset) const;

  MappedMemory(MappedMemory&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  MappedMemory& operator=(MappedMemory&& other) noexcept;
  ~MappedMemory();

  std::byte* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  MappedMemory(void* data, size_t size) : data_(static_cast<std::byte*>(data)), size_(size) {}

  std::byte* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace fsd::os

#endif  // FSD_SERVER_OS_MAPPED_MEMORY_H_
