#include "tests/harness/hostile_guest.h"

#include <linux/fuse.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <optional>

#include "absl/strings/str_cat.h"
#include "server/errors/check.h"
#include "server/errors/status_macros.h"

namespace fsd::harness {
namespace {

constexpr size_t kRequestBytes = MalformedRequests::kMaxBytes;
constexpr size_t kTableEntries = 128;
constexpr size_t kReplyBytes = MalformedRequests::kMaxReplyBytes;
constexpr size_t kRoomBytes = kRequestBytes + kTableEntries * sizeof(vring_desc) + kReplyBytes;

}  // namespace

HostileGuest::HostileGuest(FrontEnd& front_end, uint64_t seed)
    : front_end_(front_end),
      random_(seed),
      requests_(seed),
      // Over the border between the two regions, so that some buffers straddle it.
      zone_([&front_end] {
        GuestArena& arena = front_end.arena();
        const size_t before = arena.size() / 2 - kMaxInFlight * kRoomBytes / 2;
        FSD_CHECK(arena.mark() < before);
        arena.Allocate(before - arena.mark(), 1);
        return arena.Allocate(kMaxInFlight * kRoomBytes, 16);
      }()),
      in_place_(kQueueSize) {}

HostileGuest::Room HostileGuest::RoomOf(uint16_t head) const {
  const uint64_t room = zone_ + head * kRoomBytes;
  return {.request = room,
          .table = room + kRequestBytes,
          .reply = room + kRequestBytes + kTableEntries * sizeof(vring_desc)};
}

uint64_t HostileGuest::AnyAddress() {
  constexpr std::array<uint64_t, 6> kOutside = {0,
                                                ~uint64_t{0},
                                                ~uint64_t{0} - 4095,
                                                GuestArena::kGuestBase - 1,
                                                GuestArena::kUserBase,
                                                uint64_t{1} << 63};
  if (Chance(50)) return kOutside[Random(kOutside.size())];
  const uint64_t end = GuestArena::kGuestBase + front_end_.arena().size();
  return wild_ && Chance(50) ? zone_ + Random(kMaxInFlight * kRoomBytes) : end - Random(32);
}

// In up to five pieces, some of them empty.
void HostileGuest::Cut(std::vector<Buffer>& pieces, uint64_t address, size_t bytes) {
  for (size_t left = Random(5); left > 0 && bytes > 0; --left) {
    const auto piece = static_cast<uint32_t>(Random(bytes + 1));
    pieces.push_back({address, piece});
    address += piece;
    bytes -= piece;
  }
  pieces.push_back({address, static_cast<uint32_t>(bytes)});
}

// One thing that no driver does to a chain's buffers. Whether it did one.
bool HostileGuest::CorruptShape(Shape& shape) {
  std::vector<Buffer>& part = Chance(50) ? shape.readable : shape.writable;
  if (part.empty()) return false;
  Buffer& buffer = part[Random(part.size())];
  const bool is_writable = &part == &shape.writable;
  switch (Random(4)) {
    case 0:
      buffer.guest_address = AnyAddress();
      break;
    case 1:
      buffer.size = wild_ && Chance(50) ? static_cast<uint32_t>(random_()) : ~uint32_t{0};
      break;
    case 2:
      part.insert(part.begin(), 1 + Random(20), Buffer{AnyAddress(), 0});
      return true;
    default:
      std::swap(shape.readable, shape.writable);
      shape.replies_in_place = false;
      return true;
  }
  if (is_writable) shape.replies_in_place = false;
  return true;
}

void HostileGuest::CorruptTable(std::span<vring_desc> table) {
  vring_desc& descriptor = table[Random(table.size())];
  switch (Random(6)) {
    case 0:
      descriptor.next = static_cast<uint16_t>(Random(table.size()));  // as a rule a loop
      descriptor.flags |= VRING_DESC_F_NEXT;
      break;
    case 1:
      descriptor.next = static_cast<uint16_t>(random_());
      descriptor.flags |= VRING_DESC_F_NEXT;
      break;
    case 2:
      descriptor.flags ^= VRING_DESC_F_WRITE;
      break;
    case 3:
      descriptor.flags |= VRING_DESC_F_INDIRECT;
      break;
    case 4:
      descriptor.flags = static_cast<uint16_t>(random_());
      break;
    default:
      descriptor.addr = AnyAddress();
  }
}

// As CorruptTable, but of the ring's own table; and it makes no table of a request, whose bytes
// could look like the rings' addresses.
void HostileGuest::CorruptLink(vring_desc& descriptor) {
  switch (Random(5)) {
    case 0:
      descriptor.next = static_cast<uint16_t>(Random(kQueueSize));  // another's, or its own
      descriptor.flags |= VRING_DESC_F_NEXT;
      break;
    case 1:
      descriptor.next = static_cast<uint16_t>(random_());
      descriptor.flags |= VRING_DESC_F_NEXT;
      break;
    case 2:
      descriptor.flags ^= VRING_DESC_F_WRITE;
      break;
    case 3:
      descriptor.flags |= static_cast<uint16_t>(random_() & ~uint64_t{7});
      descriptor.len = ~uint32_t{0};
      break;
    default:
      descriptor.addr = AnyAddress();
  }
}

void HostileGuest::LinkIndirect(DriverQueue& queue, uint16_t head, const Shape& shape, int fault) {
  const uint64_t address = RoomOf(head).table;
  const size_t count = std::min(shape.readable.size() + shape.writable.size(), kTableEntries);
  const std::span table(front_end_.arena().At<vring_desc>(address), kTableEntries);
  for (size_t i = 0; i < count; ++i) {
    const bool is_writable = i >= shape.readable.size();
    const Buffer& buffer =
        is_writable ? shape.writable[i - shape.readable.size()] : shape.readable[i];
    const int flags =
        (is_writable ? VRING_DESC_F_WRITE : 0) | (i + 1 < count ? VRING_DESC_F_NEXT : 0);
    table[i] = {.addr = buffer.guest_address,
                .len = buffer.size,
                .flags = static_cast<uint16_t>(flags),
                .next = static_cast<uint16_t>(i + 1)};
  }
  vring_desc outer{.addr = address,
                   .len = static_cast<uint32_t>(count * sizeof(vring_desc)),
                   .flags = VRING_DESC_F_INDIRECT,
                   .next = 0};
  switch (fault) {
    case 1:
      outer.len += static_cast<uint32_t>(1 + Random(15));
      break;
    case 2: {
      const std::array<uint32_t, 4> lengths = {0, 16 * 1025, ~uint32_t{15}, ~uint32_t{0}};
      outer.len = lengths[Random(lengths.size())];
      break;
    }
    case 3:
      outer.addr = AnyAddress();
      break;
    case 4:
      outer.flags |= static_cast<uint16_t>(Chance(50) ? VRING_DESC_F_NEXT : VRING_DESC_F_WRITE);
      outer.next = static_cast<uint16_t>(random_());
      break;
    case 5:
      CorruptTable(table.first(std::max<size_t>(count, 1)));
      break;
    default:
      break;
  }
  queue.descriptors()[head] = outer;
}

// The chain's descriptors: the head itself, the others among those that are no heads.
void HostileGuest::Link(DriverQueue& queue, uint16_t head, const Shape& shape) {
  vring_desc* const table = queue.descriptors();
  const size_t count = shape.readable.size() + shape.writable.size();
  uint16_t at = head;
  for (size_t i = 0; i < count; ++i) {
    const bool is_writable = i >= shape.readable.size();
    const Buffer& buffer =
        is_writable ? shape.writable[i - shape.readable.size()] : shape.readable[i];
    const auto next =
        static_cast<uint16_t>(kMaxInFlight + (head * 3 + i) % (kQueueSize - kMaxInFlight));
    const int flags =
        (is_writable ? VRING_DESC_F_WRITE : 0) | (i + 1 < count ? VRING_DESC_F_NEXT : 0);
    table[at] = {.addr = buffer.guest_address,
                 .len = buffer.size,
                 .flags = static_cast<uint16_t>(flags),
                 .next = next};
    at = next;
  }
}

// Writes the request and its chain. Whether its reply, if it has one, is in its room.
bool HostileGuest::Prepare(DriverQueue& queue, uint16_t head) {
  const Room place = RoomOf(head);
  const uint64_t where = Random(wild_ ? 10 : 8);
  const MalformedRequests::Request request = where < 6 ? requests_.Make() : requests_.MakeSound();
  Shape shape;
  std::memcpy(front_end_.arena().At(place.request), request.bytes.data(), request.bytes.size());
  std::memset(front_end_.arena().At(place.reply), 0, sizeof(fuse_out_header));
  if (!request.bytes.empty() || Chance(50)) {
    Cut(shape.readable, place.request, request.bytes.size());
  }
  if (request.reply_bytes > 0) Cut(shape.writable, place.reply, request.reply_bytes);
  if (shape.readable.empty() && shape.writable.empty()) {
    shape.readable.push_back({place.request, 0});
  }
  if (where == 6 || where == 7) CorruptShape(shape);
  // Chains in the ring's own table share descriptors if they are long.
  const bool is_long = shape.readable.size() + shape.writable.size() > 3;
  const bool breaks_links = where >= 8;
  if (is_long || Chance(50)) {
    LinkIndirect(queue, head, shape, breaks_links ? 1 + static_cast<int>(Random(5)) : 0);
  } else {
    Link(queue, head, shape);
    if (breaks_links) CorruptLink(queue.descriptors()[head]);
  }
  return shape.replies_in_place && !breaks_links;
}

absl::Status HostileGuest::CheckReply(uint16_t head, uint32_t written) {
  const Room place = RoomOf(head);
  fuse_out_header reply;
  fuse_in_header request;
  std::memcpy(&reply, front_end_.arena().At(place.reply), sizeof reply);
  std::memcpy(&request, front_end_.arena().At(place.request), sizeof request);
  if (written == 0) return absl::OkStatus();
  if (written < sizeof reply || written > kReplyBytes || reply.len != written || reply.error > 0 ||
      reply.error < -511) {
    return absl::InternalError(absl::StrCat("opcode ", request.opcode, " was answered by ", written,
                                            " bytes that say len=", reply.len,
                                            " error=", reply.error));
  }
  if (reply.error == 0) {
    ++granted_;
    requests_.Remember(request.opcode,
                       {front_end_.arena().At(place.reply + sizeof reply), written - sizeof reply});
  }
  return absl::OkStatus();
}

absl::Status HostileGuest::Send(size_t index, size_t count) {
  FSD_CHECK(count <= kMaxInFlight);
  DriverQueue& queue = front_end_.queue(index);
  for (size_t i = 0; i < count; ++i) {
    const auto head = static_cast<uint16_t>(i);
    in_place_[head] = Prepare(queue, head);
  }
  for (size_t i = 0; i < count; ++i) queue.Publish(static_cast<uint16_t>(i));
  front_end_.Kick(index);
  std::vector<bool> answered(count);
  for (size_t left = count; left > 0;) {
    FSD_RETURN_IF_ERROR(front_end_.WaitUsed(index));
    while (const std::optional<DriverQueue::Used> used = queue.PopUsed()) {
      if (used->head >= count || answered[used->head]) {
        return absl::InternalError(absl::StrCat("head ", used->head, " was completed twice"));
      }
      answered[used->head] = true;
      --left;
      if (!wild_ && in_place_[used->head]) {
        FSD_RETURN_IF_ERROR(CheckReply(used->head, used->written));
      }
    }
  }
  return absl::OkStatus();
}

absl::Status HostileGuest::Attack(size_t queue, size_t count) {
  wild_ = false;
  return Send(queue, count);
}

absl::Status HostileGuest::AttackWildly(size_t queue, size_t count) {
  wild_ = true;
  return Send(queue, count);
}

void HostileGuest::Scribble(std::mt19937_64& random) {
  // Never an address of the rings: over those the guest would lose count of its requests.
  if (random() % 2 == 0) {
    vring_desc& descriptor = front_end_.queue(1).descriptors()[random() % kQueueSize];
    switch (random() % 4) {
      case 0:
        std::atomic_ref(descriptor.flags).store(static_cast<uint16_t>(random() % 8));
        break;
      case 1:
        std::atomic_ref(descriptor.next).store(static_cast<uint16_t>(random() % 1200));
        break;
      case 2:
        std::atomic_ref(descriptor.len).store(static_cast<uint32_t>(random() % 5000));
        break;
      default:
        std::atomic_ref(descriptor.addr)
            .store(static_cast<uint64_t>(zone_ + random() % (kMaxInFlight * kRoomBytes)));
    }
    return;
  }
  // An address's upper half, or flags and a successor; an address's lower half could make it the
  // rings'.
  const uint64_t at = zone_ + random() % (kMaxInFlight * kRoomBytes / 8) * 8 + 4;
  std::atomic_ref(*front_end_.arena().At<uint32_t>(at)).store(static_cast<uint32_t>(random() % 64));
}

void HostileGuest::BreakRing(size_t index) {
  DriverQueue& queue = front_end_.queue(index);
  switch (Random(5)) {
    case 0:
      queue.Publish(static_cast<uint16_t>(kQueueSize + Random(64000)));
      break;
    case 1:
      for (int i = 0; i < 200; ++i) queue.Publish(static_cast<uint16_t>(Random(4)));
      break;
    case 2:
      queue.available()->idx = static_cast<uint16_t>(random_());
      break;
    case 3:
      // Its replies go over the rings.
      queue.descriptors()[0] = {.addr = queue.used_address() - Random(64),
                                .len = static_cast<uint32_t>(Random(4096)),
                                .flags = VRING_DESC_F_WRITE,
                                .next = 0};
      for (int i = 0; i < 3; ++i) queue.Publish(0);
      break;
    default:
      for (int i = 0; i < 4000; ++i) {
        reinterpret_cast<volatile uint8_t*>(queue.descriptors())[Random(20000)] =
            static_cast<uint8_t>(random_());
      }
      queue.Publish(static_cast<uint16_t>(Random(kQueueSize)));
  }
  front_end_.Kick(index);
}

}  // namespace fsd::harness
