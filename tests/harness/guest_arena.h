// GuestArena: the memory of a guest that is not there.
//
// A memfd, given to the back-end as one or two memory regions, handed out piece by piece and never
// taken back but all at once. Three address spaces, as with a real VMM: the guest's, the VMM's
// ("user"), and where this process has it mapped.
#ifndef FSD_TESTS_HARNESS_GUEST_ARENA_H_
#define FSD_TESTS_HARNESS_GUEST_ARENA_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "server/os/mapped_memory.h"
#include "server/os/unique_fd.h"

namespace fsd::harness {

class GuestArena {
 public:
  // A part of the arena that is shared with the back-end.
  struct Region {
    uint64_t guest_address = 0;
    uint64_t size = 0;
    uint64_t user_address = 0;
    uint64_t file_offset = 0;
  };

  static constexpr uint64_t kGuestBase = 0x1'0000'0000;
  static constexpr uint64_t kUserBase = 0x7e00'0000'0000;

  // `regions` 1 or 2: two adjacent regions make buffers that straddle them. `may_shrink`: the file
  // is not sealed against it.
  static absl::StatusOr<GuestArena> Create(size_t size, int regions = 1, bool may_shrink = false);

  int fd() const { return file_.get(); }
  const std::vector<Region>& regions() const { return regions_; }
  size_t size() const { return memory_.size(); }

  // A zeroed piece; its guest address. Aborts the test when the arena is used up.
  uint64_t Allocate(size_t size, size_t alignment = 16);
  // Everything handed out after `mark` is free again.
  size_t mark() const { return used_; }
  void ReleaseTo(size_t mark) { used_ = mark; }

  // Where this process has a guest address mapped.
  template <typename T = std::byte>
  T* At(uint64_t guest_address) const {
    return reinterpret_cast<T*>(memory_.data() + (guest_address - kGuestBase));
  }
  static uint64_t UserAddress(uint64_t guest_address) {
    return guest_address - kGuestBase + kUserBase;
  }

 private:
  GuestArena(os::UniqueFd file, os::MappedMemory memory, std::vector<Region> regions);

  os::UniqueFd file_;
  os::MappedMemory memory_;
  std::vector<Region> regions_;
  size_t used_ = 0;
};

}  // namespace fsd::harness

#endif  // FSD_TESTS_HARNESS_GUEST_ARENA_H_
