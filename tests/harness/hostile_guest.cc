#include "tests/harness/hostile_guest.h"

#include <linux/fuse.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "server/errors/check.h"
#include "server/errors/status_macros.h"
#include "server/fuse/abi.h"

namespace fsd::harness {
namespace {

constexpr size_t kRequestBytes = 4096;
constexpr size_t kTableEntries = 128;
constexpr size_t kReplyBytes = 2048;
constexpr size_t kRoomBytes = kRequestBytes + kTableEntries * sizeof(vring_desc) + kReplyBytes;

// What a guest may ask for: the struct's size, names behind it, and whether data follows them.
struct Kind {
  uint32_t opcode;
  uint16_t struct_bytes;
  uint8_t names;
  bool data;
};
constexpr Kind kKinds[] = {
    {FUSE_LOOKUP, 0, 1, false},
    {FUSE_LOOKUP, 0, 1, false},
    {FUSE_FORGET, sizeof(fuse_forget_in), 0, false},
    {FUSE_GETATTR, sizeof(fuse_getattr_in), 0, false},
    {FUSE_SETATTR, sizeof(fuse_setattr_in), 0, false},
    {FUSE_READLINK, 0, 0, false},
    {FUSE_SYMLINK, 0, 2, false},
    {FUSE_MKNOD, sizeof(fuse_mknod_in), 1, false},
    {FUSE_MKDIR, sizeof(fuse_mkdir_in), 1, false},
    {FUSE_UNLINK, 0, 1, false},
    {FUSE_RMDIR, 0, 1, false},
    {FUSE_RENAME, sizeof(fuse_rename_in), 2, false},
    {FUSE_LINK, sizeof(fuse_link_in), 1, false},
    {FUSE_OPEN, sizeof(fuse_open_in), 0, false},
    {FUSE_READ, sizeof(fuse_read_in), 0, false},
    {FUSE_WRITE, sizeof(fuse_write_in), 0, true},
    {FUSE_STATFS, 0, 0, false},
    {FUSE_RELEASE, sizeof(fuse_release_in), 0, false},
    {FUSE_FSYNC, sizeof(fuse_fsync_in), 0, false},
    {FUSE_SETXATTR, sizeof(fuse_setxattr_in), 1, true},
    {FUSE_GETXATTR, sizeof(fuse_getxattr_in), 1, false},
    {FUSE_LISTXATTR, sizeof(fuse_getxattr_in), 0, false},
    {FUSE_REMOVEXATTR, 0, 1, false},
    {FUSE_FLUSH, sizeof(fuse_flush_in), 0, false},
    {FUSE_INIT, sizeof(fuse_init_in), 0, false},
    {FUSE_OPENDIR, sizeof(fuse_open_in), 0, false},
    {FUSE_READDIR, sizeof(fuse_read_in), 0, false},
    {FUSE_RELEASEDIR, sizeof(fuse_release_in), 0, false},
    {FUSE_FSYNCDIR, sizeof(fuse_fsync_in), 0, false},
    {FUSE_GETLK, sizeof(fuse_lk_in), 0, false},
    {FUSE_SETLK, sizeof(fuse_lk_in), 0, false},
    {FUSE_SETLKW, sizeof(fuse_lk_in), 0, false},
    {FUSE_ACCESS, sizeof(fuse_access_in), 0, false},
    {FUSE_CREATE, sizeof(fuse_create_in), 1, false},
    {FUSE_CREATE, sizeof(fuse_create_in), 1, false},
    {FUSE_INTERRUPT, sizeof(fuse_interrupt_in), 0, false},
    {FUSE_BMAP, sizeof(fuse_bmap_in), 0, false},
    {FUSE_IOCTL, sizeof(fuse_ioctl_in), 0, true},
    {FUSE_POLL, sizeof(fuse_poll_in), 0, false},
    {FUSE_NOTIFY_REPLY, 40, 0, true},
    {FUSE_BATCH_FORGET, sizeof(fuse_batch_forget_in), 0, true},
    {FUSE_FALLOCATE, sizeof(fuse_fallocate_in), 0, false},
    {FUSE_READDIRPLUS, sizeof(fuse_read_in), 0, false},
    {FUSE_RENAME2, sizeof(fuse_rename2_in), 2, false},
    {FUSE_LSEEK, sizeof(fuse_lseek_in), 0, false},
    {FUSE_COPY_FILE_RANGE, sizeof(fuse_copy_file_range_in), 0, false},
    {FUSE_SETUPMAPPING, 40, 0, false},
    {FUSE_SYNCFS, sizeof(fuse_syncfs_in), 0, false},
    {FUSE_TMPFILE, sizeof(fuse_create_in), 1, false},
    {fuse::kOpcodeStatx, sizeof(fuse::StatxIn), 0, false},
    {fuse::kOpcodeCopyFileRange64, sizeof(fuse_copy_file_range_in), 0, false},
};

bool GivesNode(uint32_t opcode) {
  return opcode == FUSE_LOOKUP || opcode == FUSE_CREATE || opcode == FUSE_MKDIR ||
         opcode == FUSE_SYMLINK || opcode == FUSE_MKNOD || opcode == FUSE_TMPFILE;
}
bool GivesHandle(uint32_t opcode) {
  return opcode == FUSE_OPEN || opcode == FUSE_OPENDIR || opcode == FUSE_CREATE ||
         opcode == FUSE_TMPFILE;
}

template <typename T>
void Put(std::vector<std::byte>& bytes, size_t offset, const T& value) {
  if (offset + sizeof value <= bytes.size()) {
    std::memcpy(bytes.data() + offset, &value, sizeof value);
  }
}

void Append(std::vector<std::byte>& bytes, std::string_view text) {
  const auto more = std::as_bytes(std::span(text));
  bytes.insert(bytes.end(), more.begin(), more.end());
}

}  // namespace

HostileGuest::HostileGuest(FrontEnd& front_end, uint64_t seed)
    : front_end_(front_end),
      random_(seed),
      // Over the border between the two regions, so that some buffers straddle it.
      zone_([&front_end] {
        GuestArena& arena = front_end.arena();
        const size_t before = arena.size() / 2 - kMaxInFlight * kRoomBytes / 2;
        FSD_CHECK(arena.mark() < before);
        arena.Allocate(before - arena.mark(), 1);
        return arena.Allocate(kMaxInFlight * kRoomBytes, 16);
      }()),
      nodes_{FUSE_ROOT_ID, FUSE_ROOT_ID},
      handles_{1},
      in_place_(kQueueSize) {}

HostileGuest::Room HostileGuest::RoomOf(uint16_t head) const {
  const uint64_t room = zone_ + head * kRoomBytes;
  return {.request = room,
          .table = room + kRequestBytes,
          .reply = room + kRequestBytes + kTableEntries * sizeof(vring_desc)};
}

uint64_t HostileGuest::AnyNode() {
  switch (Random(8)) {
    case 0:
      return 0;
    case 1:
      return random_();
    case 2:
      return nodes_[Random(nodes_.size())] + (uint64_t{1} << 32);  // of another generation
    default:
      return nodes_[Random(nodes_.size())];
  }
}

uint64_t HostileGuest::AnyNumber() {
  switch (Random(8)) {
    case 0:
      return random_();
    case 1:
      return ~uint64_t{0} - Random(3);
    case 2:
      return uint64_t{1} << Random(64);
    case 3:
      return AnyNode();
    case 4:
      return handles_[Random(handles_.size())];
    default:
      return Random(32);
  }
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
  return Chance(50) ? end - Random(32) : zone_ + Random(kMaxInFlight * kRoomBytes);
}

void HostileGuest::AppendName(std::vector<std::byte>& request) {
  static constexpr std::array<std::string_view, 10> kNames = {
      "a", "b", "c", "file", "", ".", "..", "a/b", "../../etc/passwd", "user.a"};
  if (Chance(5)) {
    Append(request, std::string(Random(2000), 'n'));
  } else {
    Append(request, kNames[Random(Chance(60) ? 4 : kNames.size())]);
  }
  if (!Chance(8)) request.push_back(std::byte{0});
}

std::vector<std::byte> HostileGuest::MakeRequest() {
  const Kind& kind = kKinds[Random(std::size(kKinds))];
  std::vector<std::byte> request(sizeof(fuse_in_header) + kind.struct_bytes);
  for (size_t at = sizeof(fuse_in_header); at < request.size(); at += sizeof(uint32_t)) {
    if (Chance(25)) Put(request, at, static_cast<uint32_t>(AnyNumber()));
    if (Chance(5)) Put(request, at, AnyNumber());
  }
  const size_t body = sizeof(fuse_in_header);
  if (Chance(50)) Put(request, body, handles_[Random(handles_.size())]);
  // More than there is room for makes no worse fault, but a slow one.
  if (kind.opcode == FUSE_FALLOCATE) {
    Put(request, body + offsetof(fuse_fallocate_in, length), Random(65536));
  }
  for (int i = 0; i < kind.names; ++i) AppendName(request);
  if (kind.data) {
    for (size_t i = Random(200); i > 0; --i) request.push_back(static_cast<std::byte>(random_()));
  }
  fuse_in_header header{};
  header.len = static_cast<uint32_t>(request.size());
  header.opcode = kind.opcode;
  header.unique = random_();
  header.nodeid = Chance(70) ? nodes_[Random(nodes_.size())] : AnyNode();
  header.uid = Chance(90) ? 0 : static_cast<uint32_t>(AnyNumber());
  header.gid = Chance(90) ? 0 : static_cast<uint32_t>(AnyNumber());
  Put(request, 0, header);
  return request;
}

// One thing that no driver does to a request. `room` is its reply's.
void HostileGuest::Corrupt(std::vector<std::byte>& request, size_t& room) {
  const size_t body = sizeof(fuse_in_header);
  const auto length = static_cast<uint32_t>(request.size());
  switch (Random(10)) {
    case 0: {
      const std::array<uint32_t, 6> lies = {
          0, 39, length - 1, length + 1, ~uint32_t{0}, static_cast<uint32_t>(random_())};
      return Put(request, 0, lies[Random(lies.size())]);
    }
    case 1:
      return Put(request, offsetof(fuse_in_header, opcode),
                 static_cast<uint32_t>(Chance(50) ? random_() : 50 + Random(20)));
    case 2:
      return Put(request, offsetof(fuse_in_header, nodeid), AnyNode() ^ (1 + Random(1 << 20)));
    case 3:
      return Put(request, offsetof(fuse_in_header, total_extlen),
                 static_cast<uint16_t>(Chance(50) ? 1 + Random(8) : random_()));
    case 4:
      return request.resize(Random(request.size()));
    case 5: {
      const std::array<size_t, 6> rooms = {0, 1, 15, 16, 17, 16 + Random(64)};
      room = rooms[Random(rooms.size())];
      return;
    }
    case 6:  // a handle, a node or a count
      return Put(request, body, AnyNumber());
    case 7:  // an offset, a size or a name
      return Put(request, body + 4 * (1 + Random(12)), AnyNumber());
    case 8:
      for (size_t at = Random(64); at < request.size(); at += 1 + Random(64)) {
        request[at] = static_cast<std::byte>(random_());
      }
      return;
    default:
      // A name without its end, or a payload that is too long.
      request.resize(std::min<size_t>(request.size() + Random(3000), kRequestBytes),
                     std::byte{'x'});
      if (Chance(70)) Put(request, 0, static_cast<uint32_t>(request.size()));
  }
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
      buffer.size = Chance(50) ? ~uint32_t{0} : static_cast<uint32_t>(random_());
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
  std::vector<std::byte> request = MakeRequest();
  size_t room = 16 + Random(kReplyBytes - 16);
  const int faults = 1 + static_cast<int>(Random(2));
  const uint64_t where = Random(10);
  Shape shape;
  if (where < 6) {
    for (int i = 0; i < faults; ++i) Corrupt(request, room);
  }
  request.resize(std::min(request.size(), kRequestBytes));
  std::memcpy(front_end_.arena().At(place.request), request.data(), request.size());
  std::memset(front_end_.arena().At(place.reply), 0, sizeof(fuse_out_header));
  if (!request.empty() || Chance(50)) Cut(shape.readable, place.request, request.size());
  if (room > 0) Cut(shape.writable, place.reply, room);
  if (shape.readable.empty() && shape.writable.empty())
    shape.readable.push_back({place.request, 0});
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

// What a good answer has given, for later requests.
void HostileGuest::Remember(uint32_t opcode, uint64_t reply, uint32_t body_bytes) {
  constexpr size_t kMax = 64;
  const auto keep = [this](std::vector<uint64_t>& values, uint64_t value) {
    if (values.size() < kMax) values.push_back(value);
    values[Random(values.size())] = value;
  };
  uint64_t body = reply + sizeof(fuse_out_header);
  const GuestArena& arena = front_end_.arena();
  if (GivesNode(opcode) && body_bytes >= sizeof(fuse_entry_out)) {
    fuse_entry_out entry;
    std::memcpy(&entry, arena.At(body), sizeof entry);
    keep(nodes_, entry.nodeid);
    body += sizeof(fuse_entry_out);
    body_bytes -= sizeof(fuse_entry_out);
  }
  if (GivesHandle(opcode) && body_bytes >= sizeof(fuse_open_out)) {
    fuse_open_out open;
    std::memcpy(&open, arena.At(body), sizeof open);
    keep(handles_, open.fh);
  }
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
  if (reply.error == 0) Remember(request.opcode, place.reply, written - sizeof reply);
  return absl::OkStatus();
}

absl::Status HostileGuest::Send(size_t index, size_t count, bool check) {
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
      if (check && in_place_[used->head]) {
        FSD_RETURN_IF_ERROR(CheckReply(used->head, used->written));
      }
    }
  }
  return absl::OkStatus();
}

absl::Status HostileGuest::Attack(size_t queue, size_t count) { return Send(queue, count, true); }

absl::Status HostileGuest::AttackScribbled(size_t queue, size_t count) {
  return Send(queue, count, false);
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
