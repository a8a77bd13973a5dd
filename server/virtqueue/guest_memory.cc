#include "server/virtqueue/guest_memory.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "server/errors/status_macros.h"
#include "server/virtqueue/mappable_file.h"

namespace fsd::virtqueue {
namespace {

bool Wraps(uint64_t address, uint64_t size) {
  uint64_t end;
  return __builtin_add_overflow(address, size, &end);
}

bool Overlap(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size) {
  return a < b + b_size && b < a + a_size;
}

}  // namespace

absl::StatusOr<std::shared_ptr<const GuestMemory>> GuestMemory::With(
    const RegionDescription& region, int fd) const {
  if (Wraps(region.guest_address, region.size) || Wraps(region.user_address, region.size)) {
    return absl::InvalidArgumentError("memory region wraps around");
  }
  for (const Region& other : regions_) {
    const RegionDescription& there = other.description;
    if (Overlap(region.guest_address, region.size, there.guest_address, there.size) ||
        Overlap(region.user_address, region.size, there.user_address, there.size)) {
      return absl::InvalidArgumentError("memory region overlaps another");
    }
  }
  if (regions_.size() >= kMaxRegions) {
    return absl::ResourceExhaustedError("too many memory regions");
  }
  FSD_ASSIGN_OR_RETURN(Region added, Map(region, fd));
  FSD_ASSIGN_OR_RETURN(std::shared_ptr<GuestMemory> memory, Copy());
  const auto place =
      std::ranges::upper_bound(memory->regions_, region.guest_address, {},
                               [](const Region& other) { return other.description.guest_address; });
  memory->regions_.insert(place, std::move(added));
  return memory;
}

absl::StatusOr<GuestMemory::Region> GuestMemory::Map(const RegionDescription& description, int fd) {
  FSD_ASSIGN_OR_RETURN(const uint64_t alignment,
                       MappingAlignment(fd, description.mmap_offset, description.size));
  const uint64_t slack = description.mmap_offset & (alignment - 1);
  const uint64_t mapped = (slack + description.size + alignment - 1) & ~(alignment - 1);
  auto mapping = std::make_shared<Mapping>();
  mapping->offset = description.mmap_offset - slack;
  mapping->huge_pages = alignment > static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  mapping->file.reset(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
  if (!mapping->file.valid()) {
    return absl::ResourceExhaustedError(
        ErrnoStatus(Errno::Last(), "keep a memory region's file").message());
  }
  auto memory = os::MappedMemory::MapShared(fd, mapping->offset, mapped);
  if (!memory.ok()) {
    return absl::ResourceExhaustedError(
        absl::StrCat("mapping a memory region: ", ErrnoStatus(memory.error(), "mmap").message()));
  }
  mapping->memory = *std::move(memory);
  std::byte* const host = mapping->memory.data() + slack;
  return Region{.description = description, .mapping = std::move(mapping), .host = host};
}

absl::StatusOr<std::shared_ptr<GuestMemory>> GuestMemory::Copy() const {
  auto memory = std::make_shared<GuestMemory>(*this);
  for (Region& region : memory->regions_) {
    if (!region.mapping->revoked.load(std::memory_order_relaxed)) continue;
    FSD_ASSIGN_OR_RETURN(region, Map(region.description, region.mapping->file.get()));
  }
  return memory;
}

absl::StatusOr<std::shared_ptr<const GuestMemory>> GuestMemory::MappedAgain() const {
  auto memory = std::make_shared<GuestMemory>(*this);
  for (Region& region : memory->regions_) {
    FSD_ASSIGN_OR_RETURN(region, Map(region.description, region.mapping->file.get()));
  }
  return memory;
}

absl::StatusOr<std::shared_ptr<const GuestMemory>> GuestMemory::MappedAgain(
    std::span<const uint64_t> user_addresses) const {
  GuestMemory some(*this);
  std::erase_if(some.regions_, [user_addresses](const Region& region) {
    return std::ranges::none_of(user_addresses, [&region](uint64_t address) {
      return Holds(region.description.user_address, region.description.size, address, 0);
    });
  });
  return some.MappedAgain();
}

ErrnoOr<void> GuestMemory::Revoke(const GuestMemory& kept) const {
  for (const Region& region : regions_) {
    if (std::ranges::find(kept.regions_, region.mapping, &Region::mapping) != kept.regions_.end()) {
      continue;
    }
    Mapping& mapping = *region.mapping;
    if (mapping.huge_pages) return Errno(EOPNOTSUPP);
    // Before: who writes to the private copy finds it set afterwards.
    if (mapping.revoked.exchange(true, std::memory_order_seq_cst)) continue;
    if (const auto made = mapping.memory.MakePrivate(mapping.file.get(), mapping.offset);
        !made.ok()) {
      mapping.revoked.store(false);
      return made.error();
    }
  }
  return {};
}

bool GuestMemory::revoked() const {
  return std::ranges::any_of(regions_, [](const Region& region) {
    return region.mapping->revoked.load(std::memory_order_seq_cst);
  });
}

bool GuestMemory::Write(uint64_t guest_address, std::span<const std::byte> bytes) const {
  while (!bytes.empty()) {
    const Region* region = Find(guest_address);
    if (region == nullptr) return false;
    const uint64_t offset = guest_address - region->description.guest_address;
    const size_t piece = std::min<uint64_t>(bytes.size(), region->description.size - offset);
    std::memcpy(region->host + offset, bytes.data(), piece);
    guest_address += piece;
    bytes = bytes.subspan(piece);
  }
  return true;
}

absl::StatusOr<std::shared_ptr<const GuestMemory>> GuestMemory::Without(
    const RegionDescription& region) const {
  FSD_ASSIGN_OR_RETURN(std::shared_ptr<GuestMemory> memory, Copy());
  const size_t removed = std::erase_if(memory->regions_, [&region](const Region& other) {
    return other.description.guest_address == region.guest_address &&
           other.description.user_address == region.user_address &&
           other.description.size == region.size;
  });
  if (removed == 0) return absl::NotFoundError("no such memory region");
  return memory;
}

bool GuestMemory::Includes(const GuestMemory& other) const {
  return std::ranges::all_of(other.regions_, [this](const Region& region) {
    return std::ranges::find(regions_, region.mapping, &Region::mapping) != regions_.end();
  });
}

const GuestMemory::Region* GuestMemory::Find(uint64_t guest_address) const {
  const auto after = std::ranges::upper_bound(
      regions_, guest_address, {},
      [](const Region& region) { return region.description.guest_address; });
  if (after == regions_.begin()) return nullptr;
  const Region& region = *std::prev(after);
  return Holds(region, guest_address, 0) ? &region : nullptr;
}

GuestMemory::Placed GuestMemory::TranslatePieces(uint64_t guest_address, uint64_t length,
                                                 std::span<iovec> out, size_t count) const {
  const Region* region = Find(guest_address);
  if (region == nullptr) return {};
  const Region* const end = regions_.data() + regions_.size();
  while (true) {
    const uint64_t offset = guest_address - region->description.guest_address;
    const uint64_t piece = std::min(length, region->description.size - offset);
    if (!Append(*region, guest_address, piece, out, count)) return {};
    guest_address += piece;
    length -= piece;
    if (length == 0) return {.count = count, .region = region};
    // What runs over a region's end goes on in the next one, or nowhere.
    if (++region == end || guest_address != region->description.guest_address) return {};
  }
}

const GuestMemory::Region* GuestMemory::FindAll(uint64_t guest_address, uint64_t length) const {
  const Region* const region = Find(guest_address);
  return region != nullptr && Holds(*region, guest_address, length) ? region : nullptr;
}

void* GuestMemory::At(uint64_t guest_address, uint64_t length) const {
  Nearby nearby(*this);
  return At(guest_address, length, nearby);
}

void* GuestMemory::AtUserAddress(uint64_t user_address, uint64_t length) const {
  for (const Region& region : regions_) {
    const RegionDescription& description = region.description;
    if (Holds(description.user_address, description.size, user_address, length)) {
      return region.host + (user_address - description.user_address);
    }
  }
  return nullptr;
}

bool GuestMemory::GuestAddressOf(uint64_t user_address, uint64_t& guest_address) const {
  for (const Region& region : regions_) {
    const RegionDescription& description = region.description;
    if (Holds(description.user_address, description.size, user_address, 0)) {
      guest_address = description.guest_address + (user_address - description.user_address);
      return true;
    }
  }
  return false;
}

bool GuestMemory::GuestAddressOf(const void* host, uint64_t& guest_address) const {
  const auto* byte = static_cast<const std::byte*>(host);
  const std::less<const std::byte*> before;  // a total order, also between mappings
  for (const Region& region : regions_) {
    if (before(byte, region.host) || !before(byte, region.host + region.description.size)) continue;
    guest_address = region.description.guest_address + static_cast<uint64_t>(byte - region.host);
    return true;
  }
  return false;
}

}  // namespace fsd::virtqueue
