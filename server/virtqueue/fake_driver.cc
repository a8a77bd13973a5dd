#include "server/virtqueue/fake_driver.h"

#include <utility>

#include "server/errors/check.h"
#include "server/os/memory_file.h"
#include "server/virtqueue/guest_word.h"

namespace fsd::virtqueue {

FakeDriver::FakeDriver(const FakeDriverOptions& options)
    : options_(options), available_index_(options.start_index) {
  const auto file = os::CreateMemoryFile("guest", 2 * kRegionBytes);
  FSD_CHECK(file.ok());
  // The second region lies first in the file.
  auto one = GuestMemory().With({.guest_address = kLow,
                                 .size = kRegionBytes,
                                 .user_address = kLow + kUserOffset,
                                 .mmap_offset = kRegionBytes},
                                file->get());
  FSD_CHECK(one.ok());
  auto both = (*one)->With({.guest_address = kBorder,
                            .size = kRegionBytes,
                            .user_address = kBorder + kUserOffset,
                            .mmap_offset = 0},
                           file->get());
  FSD_CHECK(both.ok());
  memory_ = *std::move(both);
  Store(At<uint16_t>(kAvailable + kRingIndexOffset), options.start_index);
  Store(At<uint16_t>(kUsed + kRingIndexOffset), options.start_index);
}

VirtqueueSetup FakeDriver::setup() const {
  return {.size = options_.size,
          .descriptor_address = kDescriptors + kUserOffset,
          .available_address = kAvailable + kUserOffset,
          .used_address = kUsed + kUserOffset,
          .next_available = options_.start_index,
          .event_index = options_.event_index,
          .indirect = options_.indirect};
}

std::unique_ptr<Virtqueue> FakeDriver::MakeQueue() const {
  auto queue = Virtqueue::Create(setup(), memory_);
  FSD_CHECK(queue.ok());
  return *std::move(queue);
}

void FakeDriver::Write(uint64_t guest_address, std::span<const std::byte> bytes) const {
  for (const std::byte byte : bytes) *At<std::byte>(guest_address++) = byte;
}

void FakeDriver::SetDescriptor(uint16_t index, const Descriptor& descriptor) const {
  *At<Descriptor>(kDescriptors + index * sizeof(Descriptor)) = descriptor;
}

void FakeDriver::SetChain(uint16_t first, std::vector<Descriptor> descriptors) const {
  for (size_t i = 0; i < descriptors.size(); ++i) {
    const auto index = static_cast<uint16_t>(first + i);
    if (i + 1 < descriptors.size()) {
      descriptors[i].flags |= kDescriptorNext;
      descriptors[i].next = static_cast<uint16_t>(index + 1);
    }
    SetDescriptor(index, descriptors[i]);
  }
}

void FakeDriver::WriteTable(uint64_t guest_address, std::vector<Descriptor> descriptors) const {
  for (size_t i = 0; i + 1 < descriptors.size(); ++i) {
    descriptors[i].flags |= kDescriptorNext;
    descriptors[i].next = static_cast<uint16_t>(i + 1);
  }
  Write(guest_address, std::as_bytes(std::span(descriptors)));
}

void FakeDriver::Publish(uint16_t head) {
  const size_t slot = available_index_ % options_.size;
  Store(At<uint16_t>(kAvailable + kRingEntriesOffset + slot * sizeof(uint16_t)), head);
  SetAvailableIndex(static_cast<uint16_t>(available_index_ + 1));
}

void FakeDriver::SetAvailableIndex(uint16_t index) {
  available_index_ = index;
  StoreAndFence(At<uint16_t>(kAvailable + kRingIndexOffset), index);
}

void FakeDriver::SetAvailableFlags(uint16_t flags) const {
  StoreAndFence(At<uint16_t>(kAvailable + kRingFlagsOffset), flags);
}

void FakeDriver::SetUsedEvent(uint16_t index) const {
  StoreAndFence(At<uint16_t>(kAvailable + UsedEventOffset(options_.size)), index);
}

uint16_t FakeDriver::UsedIndex() const {
  return Fetch(At<uint16_t>(kUsed + kRingIndexOffset), std::memory_order_seq_cst);
}

UsedElement FakeDriver::UsedAt(uint16_t index) const {
  const auto* element =
      At<UsedElement>(kUsed + kRingEntriesOffset + (index % options_.size) * sizeof(UsedElement));
  return {.id = Fetch(&element->id), .length = Fetch(&element->length)};
}

uint16_t FakeDriver::UsedFlags() const {
  return Fetch(At<uint16_t>(kUsed + kRingFlagsOffset), std::memory_order_seq_cst);
}

uint16_t FakeDriver::AvailEvent() const {
  return Fetch(At<uint16_t>(kUsed + AvailEventOffset(options_.size)), std::memory_order_seq_cst);
}

bool FakeDriver::KickNeeded(uint16_t old) const {
  if (!options_.event_index) return !(UsedFlags() & kUsedNoNotify);
  return static_cast<uint16_t>(available_index_ - AvailEvent() - 1) <
         static_cast<uint16_t>(available_index_ - old);
}

}  // namespace fsd::virtqueue
