// A driver that writes anything into its rings: the whole of the shared memory is the input.
#include <sys/uio.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "server/errors/check.h"
#include "server/os/mapped_memory.h"
#include "server/os/memory_file.h"
#include "server/virtqueue/guest_memory.h"
#include "server/virtqueue/virtqueue.h"

namespace {

using fsd::virtqueue::Chain;
using fsd::virtqueue::GuestMemory;

constexpr size_t kMemoryBytes = 64 * 1024;
constexpr uint64_t kGuestBase = 0x10000;
constexpr uint64_t kUserBase = 0x7f0000000000;
constexpr uint16_t kQueueSize = 64;

struct Shared {
  fsd::os::UniqueFd file = *fsd::os::CreateMemoryFile("fuzz", kMemoryBytes);
  fsd::os::MappedMemory mapping = *fsd::os::MappedMemory::MapShared(file.get(), 0, kMemoryBytes);
  // Two regions with a border in the middle of the buffers, and an unshared gap between them.
  std::shared_ptr<const GuestMemory> memory = [this] {
    auto first = GuestMemory().With({kGuestBase, kMemoryBytes / 2, kUserBase, 0}, file.get());
    FSD_CHECK(first.ok());
    auto both = (*first)->With(
        {kGuestBase + kMemoryBytes, kMemoryBytes / 2, kUserBase + kMemoryBytes, kMemoryBytes / 2},
        file.get());
    FSD_CHECK(both.ok());
    return *both;
  }();
};

bool InShared(const Shared& shared, const iovec& piece) {
  uint64_t address;
  return piece.iov_len == 0 ||
         (shared.memory->GuestAddressOf(piece.iov_base, address) &&
          shared.memory->GuestAddressOf(
              static_cast<const std::byte*>(piece.iov_base) + piece.iov_len - 1, address));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const Shared& shared = *new Shared;
  if (size < 1) return 0;
  const bool event_index = (data[0] & 1) != 0;
  const bool indirect = (data[0] & 2) != 0;
  std::memset(shared.mapping.data(), 0, kMemoryBytes);
  std::memcpy(shared.mapping.data(), data + 1, std::min(size - 1, kMemoryBytes));

  auto queue = fsd::virtqueue::Virtqueue::Create({.size = kQueueSize,
                                                  .descriptor_address = kUserBase,
                                                  .available_address = kUserBase + 1024,
                                                  .used_address = kUserBase + 2048,
                                                  .event_index = event_index,
                                                  .indirect = indirect},
                                                 shared.memory);
  FSD_CHECK(queue.ok());
  std::vector<iovec> storage((*queue)->max_chain_iovecs());
  for (int i = 0; i < 2 * kQueueSize; ++i) {
    const auto head = (*queue)->Pop();
    if (!head) break;
    FSD_CHECK(*head < kQueueSize);
    Chain chain;
    if ((*queue)->Gather(*head, *shared.memory, storage, chain).ok()) {
      for (const iovec& piece : chain.readable) FSD_CHECK(InShared(shared, piece));
      for (const iovec& piece : chain.writable) FSD_CHECK(InShared(shared, piece));
    }
    (*queue)->Complete(*head, 0, nullptr);
    (void)(*queue)->CallNeeded();
  }
  (void)(*queue)->RequestKicks();
  return 0;
}
