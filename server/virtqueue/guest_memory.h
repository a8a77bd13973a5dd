// GuestMemory: the parts of a guest's memory that its VMM shares with us.
//
// An immutable table of regions, shared by whoever is reading or writing the guest. A change of the
// memory layout makes a new table; a region's mapping lives until the last table that holds it is
// gone, so a request in flight never loses its buffers.
//
// A table can be revoked while requests that do not end still use it: its mappings become private
// copies, so that nothing which is written there reaches the guest. (Pages that the kernel has
// pinned are out of reach: nobody lends guest memory to a transfer that pins.)
#ifndef FSD_SERVER_VIRTQUEUE_GUEST_MEMORY_H_
#define FSD_SERVER_VIRTQUEUE_GUEST_MEMORY_H_

#include <sys/uio.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "server/errors/errno_or.h"
#include "server/os/mapped_memory.h"
#include "server/os/unique_fd.h"

namespace fsd::virtqueue {

// A region as vhost-user describes it (vhost-user, "Memory regions description").
struct RegionDescription {
  uint64_t guest_address = 0;  // where the guest sees it
  uint64_t size = 0;           // bytes
  uint64_t user_address = 0;   // where the VMM sees it; ring addresses come in these
  uint64_t mmap_offset = 0;    // bytes into the fd
};

class GuestMemory {
 public:
  // A table without regions.
  GuestMemory() = default;

  // This table with one more region, mapped from `fd` (which may be closed afterwards).
  // INVALID_ARGUMENT: empty, wraps around, overlaps another in guest or user addresses, or larger
  // than its file. RESOURCE_EXHAUSTED: more than kMaxRegions, or mmap(2) failed.
  absl::StatusOr<std::shared_ptr<const GuestMemory>> With(const RegionDescription& region,
                                                          int fd) const;
  // This table without the region of these addresses and size. NOT_FOUND if there is none.
  absl::StatusOr<std::shared_ptr<const GuestMemory>> Without(const RegionDescription& region) const;

  // The same table by mappings of its own; with `user_addresses`, only the regions that hold one of
  // them. RESOURCE_EXHAUSTED.
  absl::StatusOr<std::shared_ptr<const GuestMemory>> MappedAgain() const;
  absl::StatusOr<std::shared_ptr<const GuestMemory>> MappedAgain(
      std::span<const uint64_t> user_addresses) const;

  // Revokes every region that `kept` does not use too. EOPNOTSUPP if one consists of huge pages (a
  // private copy may find none left); else as mmap(2), with some of them revoked.
  ErrnoOr<void> Revoke(const GuestMemory& kept) const;
  // Whether any region is. Never false once a write by its mapping can have missed the guest.
  bool revoked() const;
  // Copies to guest memory. False, with nothing promised, if not all of it is shared with us.
  bool Write(uint64_t guest_address, std::span<const std::byte> bytes) const;

  // Where the buffer before was found: most of a request's are neighbours. Outlived by the table.
  class Nearby;
  // Appends the host's view of guest [address, address + length) to `out`, split where it crosses
  // regions even if their mappings are neighbours: a piece's guest addresses must be contiguous
  // too, or the dirty log would mark the wrong pages. Writes from `out[count]` on and advances
  // `count`. False, with nothing promised of `out`, if any byte is not shared with us or `out` is
  // full.
  bool Translate(uint64_t guest_address, uint64_t length, std::span<iovec> out, size_t& count,
                 Nearby& nearby) const;

  // The host's view of one contiguous piece; nullptr if it is not wholly within one region.
  void* At(uint64_t guest_address, uint64_t length, Nearby& nearby) const;
  void* At(uint64_t guest_address, uint64_t length) const;
  void* AtUserAddress(uint64_t user_address, uint64_t length) const;

  // The guest address of a byte in the VMM's addresses (the dirty log counts in guest pages).
  // False if it is in no region.
  bool GuestAddressOf(uint64_t user_address, uint64_t& guest_address) const;
  // The guest address of a host pointer that Translate or At gave. False if it is in no region.
  bool GuestAddressOf(const void* host, uint64_t& guest_address) const;

  size_t region_count() const { return regions_.size(); }
  // Whether every region of `other` is one of this table's, by the same mapping: whoever uses
  // `other` uses nothing that this table lacks.
  bool Includes(const GuestMemory& other) const;

  // GET_MAX_MEM_SLOTS. QEMU refuses fewer than it has DIMM slots.
  static constexpr size_t kMaxRegions = 509;

 private:
  struct Mapping {
    os::MappedMemory memory;
    os::UniqueFd file;
    uint64_t offset = 0;  // bytes into the file
    bool huge_pages = false;
    std::atomic<bool> revoked = false;
  };
  struct Region {
    RegionDescription description;
    std::shared_ptr<Mapping> mapping;
    std::byte* host = nullptr;  // the region's first byte
  };

  // Whether [address, address + length) is in [start, start + size), and address not its end.
  static bool Holds(uint64_t start, uint64_t size, uint64_t address, uint64_t length) {
    const uint64_t offset = address - start;
    return offset < size && length <= size - offset;
  }
  static bool Holds(const Region& region, uint64_t guest_address, uint64_t length) {
    return Holds(region.description.guest_address, region.description.size, guest_address, length);
  }
  // False if `out` is full.
  static bool Append(const Region& region, uint64_t guest_address, uint64_t length,
                     std::span<iovec> out, size_t& count) {
    if (count >= out.size()) return false;
    out[count++] = {.iov_base = region.host + (guest_address - region.description.guest_address),
                    .iov_len = length};
    return true;
  }
  // How Translate ends that has to search: `count` as there, and where it found the last piece;
  // nullptr for a failure. By value: what a caller keeps in registers stays there.
  struct Placed {
    size_t count = 0;
    const Region* region = nullptr;
  };
  Placed TranslatePieces(uint64_t guest_address, uint64_t length, std::span<iovec> out,
                         size_t count) const;

  static absl::StatusOr<Region> Map(const RegionDescription& description, int fd);
  // A copy with the revoked regions mapped again.
  absl::StatusOr<std::shared_ptr<GuestMemory>> Copy() const;
  // The region that holds a guest address; nullptr if none does.
  const Region* Find(uint64_t guest_address) const;
  // The region that holds all of [guest_address, guest_address + length).
  const Region* FindAll(uint64_t guest_address, uint64_t length) const;

  std::vector<Region> regions_;  // sorted by guest address
};

class GuestMemory::Nearby {
 public:
  // Begins in the last region, which is most guests' largest.
  explicit Nearby(const GuestMemory& memory)
      : region_(memory.regions_.empty() ? nullptr : &memory.regions_.back()) {}

 private:
  friend class GuestMemory;
  const Region* region_;  // nullptr if there is none
};

// Inline, with the search only at a change of regions: a quarter of the time of a chain of pages.
[[gnu::always_inline]] inline bool GuestMemory::Translate(uint64_t guest_address, uint64_t length,
                                                          std::span<iovec> out, size_t& count,
                                                          Nearby& nearby) const {
  if (length == 0) return true;
  const Region* const region = nearby.region_;
  if (region != nullptr && Holds(*region, guest_address, length)) {
    return Append(*region, guest_address, length, out, count);
  }
  const Placed placed = TranslatePieces(guest_address, length, out, count);
  if (placed.region == nullptr) return false;
  count = placed.count;
  nearby.region_ = placed.region;
  return true;
}

[[gnu::always_inline]] inline void* GuestMemory::At(uint64_t guest_address, uint64_t length,
                                                    Nearby& nearby) const {
  const Region* region = nearby.region_;
  if (region == nullptr || !Holds(*region, guest_address, length)) {
    region = FindAll(guest_address, length);
    if (region == nullptr) return nullptr;
    nearby.region_ = region;
  }
  return region->host + (guest_address - region->description.guest_address);
}

}  // namespace fsd::virtqueue

#endif  // FSD_SERVER_VIRTQUEUE_GUEST_MEMORY_H_
