#include "server/vhost_user/vring.h"

#include <bit>
#include <limits>
#include <tuple>

#include "absl/strings/str_format.h"
#include "server/vhost_user/features.h"

namespace fsd::vhost_user {
namespace {

constexpr uint32_t kMaxVringSize = 32768;  // virtio 1.2 §2.7

auto AddressesOf(const Vring& vring) {
  return std::tuple(vring.addressed, vring.descriptor, vring.used, vring.available, vring.logged,
                    vring.logged ? vring.log : 0);
}

}  // namespace

absl::Status SetSize(Vring& vring, uint32_t size) {
  if (size > kMaxVringSize || !std::has_single_bit(size)) {
    return absl::InvalidArgumentError(
        absl::StrFormat("a size of %u, which is no power of two up to %u", size, kMaxVringSize));
  }
  vring.size = static_cast<uint16_t>(size);
  return absl::OkStatus();
}

absl::Status SetBase(Vring& vring, uint32_t base) {
  if (base > std::numeric_limits<uint16_t>::max()) {
    return absl::InvalidArgumentError(absl::StrFormat("base 0x%x has more than 16 bits", base));
  }
  vring.base = static_cast<uint16_t>(base);
  return absl::OkStatus();
}

bool SetAddresses(Vring& vring, const VringAddress& address) {
  const Vring before = vring;
  vring.addressed = true;
  vring.descriptor = address.descriptor;
  vring.used = address.used;
  vring.available = address.available;
  vring.logged = (address.flags & kVringLogFlag) != 0;
  vring.log = address.log;
  return AddressesOf(vring) != AddressesOf(before);
}

bool Complete(const Vring& vring) { return vring.kicked && vring.addressed && vring.size != 0; }

virtqueue::VirtqueueSetup SetupOf(const Vring& vring, uint64_t virtio_features) {
  virtqueue::VirtqueueSetup setup;
  setup.size = vring.size;
  setup.descriptor_address = vring.descriptor;
  setup.available_address = vring.available;
  setup.used_address = vring.used;
  setup.next_available = vring.base;
  setup.event_index = (virtio_features & kRingEventIndex) != 0;
  setup.indirect = (virtio_features & kRingIndirectDesc) != 0;
  if (vring.logged) setup.used_log_address = vring.log;
  return setup;
}

void MarkStopped(Vring& vring, uint16_t next_available) {
  vring.running = false;
  vring.kicked = false;
  vring.base = next_available;
}

}  // namespace fsd::vhost_user
