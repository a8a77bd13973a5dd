#include "server/worker/fake_guest.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <utility>

#include "server/errors/check.h"
#include "server/os/event_fd.h"
#include "server/os/memory_file.h"

#if defined(__SANITIZE_THREAD__)
// The device maps the rings once more, at addresses of its own, so ThreadSanitizer cannot see that
// an index which one side stores publishes what the other side reads.
extern "C" const char* __tsan_default_suppressions() { return "race:fsd::worker::FakeRing::\n"; }
#endif

namespace fsd::worker {
namespace {

constexpr int kPatienceMs = 60'000;
constexpr uint64_t kRingBytes = 2 << 20;

}  // namespace

bool AwaitReadable(int fd) {
  pollfd entry{.fd = fd, .events = POLLIN, .revents = 0};
  return ::poll(&entry, 1, kPatienceMs) == 1;
}

FakeGuest::FakeGuest() {
  ErrnoOr<os::UniqueFd> file = os::CreateMemoryFile("guest", kMemoryBytes);
  FSD_CHECK(file.ok());
  file_ = *std::move(file);
  memory_ = MapAgain();
}

std::shared_ptr<const virtqueue::GuestMemory> FakeGuest::MapAgain() const {
  auto memory = virtqueue::GuestMemory().With({.guest_address = kGuestBase,
                                               .size = kMemoryBytes,
                                               .user_address = kUserBase,
                                               .mmap_offset = 0},
                                              file_.get());
  FSD_CHECK(memory.ok());
  return *std::move(memory);
}

FakeRing::FakeRing(FakeGuest& guest, size_t number, uint16_t size)
    : guest_(guest),
      base_(FakeGuest::kGuestBase + number * kRingBytes),
      size_(size),
      kick_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      call_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  FSD_CHECK(kick_.valid() && call_.valid());
  FSD_CHECK(kDataOffset + size * kDataBytesPerHead / 2 <= kRingBytes);
  for (const uint64_t area : {base_ + kAvailableOffset, used_address()}) {
    std::atomic_ref(*guest_.At<uint16_t>(area + virtqueue::kRingIndexOffset)).store(0);
  }
}

virtqueue::VirtqueueSetup FakeRing::setup() const {
  const uint64_t user = base_ - FakeGuest::kGuestBase + FakeGuest::kUserBase;
  return {.size = size_,
          .descriptor_address = user,
          .available_address = user + kAvailableOffset,
          .used_address = user + kUsedOffset,
          .used_log_address = used_address()};
}

os::UniqueFd FakeRing::GiveKick() const { return os::UniqueFd(::dup(kick_.get())); }
os::UniqueFd FakeRing::GiveCall() const { return os::UniqueFd(::dup(call_.get())); }

uint64_t FakeRing::request_address(uint16_t head) const {
  return base_ + kDataOffset + head / 2 * kDataBytesPerHead;
}

uint64_t FakeRing::reply_address(uint16_t head) const {
  return request_address(head) + kDataBytesPerHead / 2;
}

// Puts the header at the start of the request's half and each argument byte `stride` bytes from the
// one before.
fuse_in_header FakeRing::WriteRequest(uint16_t head, uint32_t opcode, uint64_t node,
                                      std::span<const std::byte> arguments, size_t stride) {
  fuse_in_header header{};
  header.len = static_cast<uint32_t>(sizeof header + arguments.size());
  header.opcode = opcode;
  header.unique = 1000U + head;
  header.nodeid = node;
  uint64_t address = request_address(head);
  *guest_.At<fuse_in_header>(address) = header;
  address += sizeof header;
  for (const std::byte byte : arguments) {
    *guest_.At<std::byte>(address) = byte;
    address += stride;
  }
  return header;
}

void FakeRing::Offer(uint16_t head, uint32_t opcode, uint64_t node,
                     std::span<const std::byte> arguments, size_t reply_bytes) {
  const fuse_in_header header = WriteRequest(head, opcode, node, arguments, 1);
  SetDescriptor(head, {.address = request_address(head),
                       .length = header.len,
                       .flags = virtqueue::kDescriptorNext,
                       .next = static_cast<uint16_t>(head + 1)});
  SetDescriptor(static_cast<uint16_t>(head + 1),
                {.address = reply_address(head),
                 .length = static_cast<uint32_t>(sizeof(fuse_out_header) + reply_bytes),
                 .flags = virtqueue::kDescriptorWrite});
  Publish(head);
}

void FakeRing::OfferInPieces(uint16_t head, uint32_t opcode, uint64_t node,
                             std::span<const std::byte> arguments, size_t reply_bytes) {
  constexpr size_t kStride = 2;  // apart, so that no two pieces are joined
  WriteRequest(head, opcode, node, arguments, kStride);
  uint64_t address = request_address(head);
  uint16_t index = head;
  for (size_t piece = 0; piece <= arguments.size(); ++piece) {
    const auto next = static_cast<uint16_t>(index + 1);
    SetDescriptor(index, {.address = address,
                          .length = piece == 0 ? uint32_t{sizeof(fuse_in_header)} : 1,
                          .flags = virtqueue::kDescriptorNext,
                          .next = next});
    address += piece == 0 ? sizeof(fuse_in_header) : kStride;
    index = next;
  }
  SetDescriptor(index, {.address = reply_address(head),
                        .length = static_cast<uint32_t>(sizeof(fuse_out_header) + reply_bytes),
                        .flags = virtqueue::kDescriptorWrite});
  Publish(head);
}

void FakeRing::OfferInit(uint16_t head) {
  fuse_init_in init{};
  init.major = fuse::kProtocolMajor;
  init.minor = fuse::kProtocolMinor;
  Offer(head, FUSE_INIT, 0, init, sizeof(fuse_init_out));
}

void FakeRing::OfferGetAttributes(uint16_t head, uint64_t node) {
  Offer(head, FUSE_GETATTR, node, fuse_getattr_in{}, sizeof(fuse_attr_out));
}

void FakeRing::SetDescriptor(uint16_t index, const virtqueue::Descriptor& descriptor) {
  *guest_.At<virtqueue::Descriptor>(base_ + index * sizeof descriptor) = descriptor;
}

void FakeRing::Publish(uint16_t head) {
  const uint64_t available = base_ + kAvailableOffset;
  const uint64_t entry =
      available + virtqueue::kRingEntriesOffset + available_index_ % size_ * sizeof(uint16_t);
  std::atomic_ref(*guest_.At<uint16_t>(entry)).store(head, std::memory_order_relaxed);
  std::atomic_ref(*guest_.At<uint16_t>(available + virtqueue::kRingIndexOffset))
      .store(++available_index_);
}

void FakeRing::Kick() const { os::EventFd::SignalFd(kick_.get()); }

uint16_t FakeRing::UsedIndex() const {
  return std::atomic_ref(*guest_.At<uint16_t>(used_address() + virtqueue::kRingIndexOffset)).load();
}

virtqueue::UsedElement FakeRing::UsedAt(uint16_t index) const {
  auto* element = guest_.At<virtqueue::UsedElement>(used_address() + virtqueue::kRingEntriesOffset +
                                                    index % size_ * sizeof(virtqueue::UsedElement));
  return {.id = std::atomic_ref(element->id).load(std::memory_order_relaxed),
          .length = std::atomic_ref(element->length).load(std::memory_order_relaxed)};
}

bool FakeRing::AwaitUsed(uint16_t count) const {
  while (static_cast<int16_t>(UsedIndex() - count) < 0) {
    if (!AwaitReadable(call_.get())) return false;
    os::EventFd::DrainFd(call_.get());
  }
  return true;
}

bool FakeRing::AwaitUsedWithoutCall(uint16_t count) const {
  for (int waited_ms = 0; waited_ms < kPatienceMs; ++waited_ms) {
    if (static_cast<int16_t>(UsedIndex() - count) >= 0) return true;
    ::poll(nullptr, 0, 1);
  }
  return false;
}

fuse_out_header FakeRing::ReplyAt(uint16_t head) const {
  return *guest_.At<fuse_out_header>(reply_address(head));
}

}  // namespace fsd::worker
