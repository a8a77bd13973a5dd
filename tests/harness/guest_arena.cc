#include "tests/harness/guest_arena.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <utility>

#include "server/errors/check.h"
#include "server/errors/status_macros.h"
#include "server/os/memory_file.h"

namespace fsd::harness {
namespace {

ErrnoOr<os::UniqueFd> CreateUnsealedFile(size_t size) {
  os::UniqueFd file(::memfd_create("guest", MFD_CLOEXEC));
  if (!file.valid() || ::ftruncate(file.get(), static_cast<off_t>(size)) != 0) {
    return Errno::Last();
  }
  return file;
}

}  // namespace

GuestArena::GuestArena(os::UniqueFd file, os::MappedMemory memory, std::vector<Region> regions)
    : file_(std::move(file)), memory_(std::move(memory)), regions_(std::move(regions)) {}

absl::StatusOr<GuestArena> GuestArena::Create(size_t size, int regions, bool may_shrink) {
  FSD_CHECK(size % (2 * 4096) == 0);
  FSD_CHECK(regions == 1 || regions == 2);
  ErrnoOr<os::UniqueFd> file =
      may_shrink ? CreateUnsealedFile(size) : os::CreateMemoryFile("guest", size);
  if (!file.ok()) return ErrnoStatus(file.error(), "memfd_create");
  ErrnoOr<os::MappedMemory> memory = os::MappedMemory::MapShared(file->get(), 0, size);
  if (!memory.ok()) return ErrnoStatus(memory.error(), "mmap");
  std::vector<Region> table;
  const uint64_t each = size / static_cast<uint64_t>(regions);
  for (uint64_t offset = 0; offset < size; offset += each) {
    table.push_back({.guest_address = kGuestBase + offset,
                     .size = each,
                     .user_address = kUserBase + offset,
                     .file_offset = offset});
  }
  return GuestArena(*std::move(file), *std::move(memory), std::move(table));
}

uint64_t GuestArena::Allocate(size_t size, size_t alignment) {
  const size_t start = (used_ + alignment - 1) / alignment * alignment;
  FSD_CHECK(start + size <= memory_.size());
  used_ = start + size;
  std::memset(memory_.data() + start, 0, size);
  return kGuestBase + start;
}

}  // namespace fsd::harness
