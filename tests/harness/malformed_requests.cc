#include "tests/harness/malformed_requests.h"

#include <linux/fuse.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include "server/fuse/abi.h"

namespace fsd::harness {
namespace {

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

MalformedRequests::MalformedRequests(uint64_t seed) : random_(seed) { Forget(); }

void MalformedRequests::Forget() {
  nodes_ = {FUSE_ROOT_ID, FUSE_ROOT_ID};
  handles_ = {1};
}

uint64_t MalformedRequests::AnyNode() {
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

uint64_t MalformedRequests::AnyNumber() {
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

void MalformedRequests::AppendName(std::vector<std::byte>& request) {
  static constexpr std::array<std::string_view, 10> kNames = {
      "a", "b", "c", "file", "", ".", "..", "a/b", "../../etc/passwd", "user.a"};
  if (Chance(5)) {
    Append(request, std::string(Random(2000), 'n'));
  } else {
    Append(request, kNames[Random(Chance(60) ? 4 : kNames.size())]);
  }
  if (!Chance(8)) request.push_back(std::byte{0});
}

MalformedRequests::Request MalformedRequests::MakeSound() {
  // A session that has just begun, or has not, serves little: INIT is for one in some thousands.
  const Kind& any = kKinds[Random(std::size(kKinds))];
  const Kind& kind = any.opcode == FUSE_INIT && !Chance(1) ? kKinds[0] : any;
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
  request.resize(std::min(request.size(), kMaxBytes));
  return {.bytes = std::move(request), .reply_bytes = 16 + Random(kMaxReplyBytes - 16)};
}

MalformedRequests::Request MalformedRequests::Make() {
  Request request = MakeSound();
  for (uint64_t faults = 1 + Random(2); faults > 0; --faults) Corrupt(request);
  request.bytes.resize(std::min(request.bytes.size(), kMaxBytes));
  return request;
}

// One thing that no driver does.
void MalformedRequests::Corrupt(Request& malformed) {
  std::vector<std::byte>& request = malformed.bytes;
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
      malformed.reply_bytes = rooms[Random(rooms.size())];
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
      request.resize(std::min<size_t>(request.size() + Random(3000), kMaxBytes), std::byte{'x'});
      if (Chance(70)) Put(request, 0, static_cast<uint32_t>(request.size()));
  }
}

void MalformedRequests::Remember(uint32_t opcode, std::span<const std::byte> body) {
  constexpr size_t kMax = 64;
  const auto keep = [this](std::vector<uint64_t>& values, uint64_t value) {
    if (values.size() < kMax) values.push_back(value);
    values[Random(values.size())] = value;
  };
  if (GivesNode(opcode) && body.size() >= sizeof(fuse_entry_out)) {
    fuse_entry_out entry;
    std::memcpy(&entry, body.data(), sizeof entry);
    keep(nodes_, entry.nodeid);
    body = body.subspan(sizeof entry);
  }
  if (GivesHandle(opcode) && body.size() >= sizeof(fuse_open_out)) {
    fuse_open_out open;
    std::memcpy(&open, body.data(), sizeof open);
    keep(handles_, open.fh);
  }
}

}  // namespace fsd::harness
