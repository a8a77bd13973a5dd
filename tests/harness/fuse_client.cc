#include "tests/harness/fuse_client.h"

#include <sys/stat.h>

#include <cstring>
#include <optional>

#include "absl/strings/str_cat.h"
#include "server/errors/status_macros.h"
#include "server/fuse/abi.h"

namespace fsd::harness {
namespace {

template <typename T>
std::span<const std::byte> Bytes(const T& value) {
  return std::as_bytes(std::span(&value, 1));
}

std::vector<std::byte> WithData(std::vector<std::byte> arguments, std::span<const std::byte> data) {
  arguments.insert(arguments.end(), data.begin(), data.end());
  return arguments;
}

}  // namespace

std::vector<std::byte> Arguments(std::span<const std::byte> body,
                                 std::initializer_list<std::string_view> names) {
  std::vector<std::byte> arguments(body.begin(), body.end());
  for (const std::string_view name : names) {
    const auto bytes = std::as_bytes(std::span(name));
    arguments.insert(arguments.end(), bytes.begin(), bytes.end());
    arguments.push_back(std::byte{0});
  }
  return arguments;
}

absl::StatusOr<FuseClient::Submitted> FuseClient::Submit(uint32_t opcode, uint64_t node,
                                                         std::span<const std::byte> arguments,
                                                         size_t room) {
  GuestArena& arena = front_end_.arena();
  if (arena.size() - arena.mark() < sizeof(fuse_in_header) + arguments.size() + room + 128) {
    return absl::ResourceExhaustedError("the arena is full");
  }
  Submitted submitted;
  submitted.unique = next_unique_;
  next_unique_ += 2;
  fuse_in_header header{};
  header.len = static_cast<uint32_t>(sizeof header + arguments.size());
  header.opcode = opcode;
  header.unique = submitted.unique;
  header.nodeid = node;
  header.uid = uid_;
  header.gid = gid_;
  header.pid = pid_;
  const uint64_t request = arena.Allocate(header.len);
  std::memcpy(arena.At(request), &header, sizeof header);
  if (!arguments.empty()) {
    std::memcpy(arena.At(request + sizeof header), arguments.data(), arguments.size());
  }
  submitted.reply_address = arena.Allocate(sizeof(fuse_out_header) + room);
  // Linux puts header and arguments into descriptors of their own.
  std::vector<Buffer> readable{{request, sizeof header}};
  if (!arguments.empty()) {
    readable.push_back({request + sizeof header, static_cast<uint32_t>(arguments.size())});
  }
  std::vector<Buffer> writable;
  if (opcode != FUSE_FORGET && opcode != FUSE_BATCH_FORGET) {
    writable.push_back({submitted.reply_address, sizeof(fuse_out_header)});
    if (room > 0) {
      writable.push_back(
          {submitted.reply_address + sizeof(fuse_out_header), static_cast<uint32_t>(room)});
    }
  }
  const std::optional<uint16_t> head = front_end_.queue(queue_).Submit(readable, writable);
  if (!head) return absl::ResourceExhaustedError("the queue is full");
  submitted.head = *head;
  return submitted;
}

absl::StatusOr<FuseReply> FuseClient::ReplyOf(const Submitted& submitted, uint32_t written) {
  fuse_out_header header{};
  const GuestArena& arena = front_end_.arena();
  std::memcpy(&header, arena.At(submitted.reply_address), sizeof header);
  if (written < sizeof header || header.len != written || header.unique != submitted.unique ||
      header.error > 0) {
    return absl::InternalError(absl::StrCat("a reply of ", written, " bytes says len=", header.len,
                                            " unique=", header.unique, " error=", header.error,
                                            "; the request's unique is ", submitted.unique));
  }
  FuseReply reply{.error = -header.error, .body = {}};
  const std::byte* body = arena.At(submitted.reply_address + sizeof header);
  reply.body.assign(body, body + (written - sizeof header));
  return reply;
}

absl::StatusOr<FuseReply> FuseClient::Call(uint32_t opcode, uint64_t node,
                                           std::span<const std::byte> arguments, size_t room) {
  const size_t mark = front_end_.arena().mark();
  FSD_ASSIGN_OR_RETURN(const Submitted submitted, Submit(opcode, node, arguments, room));
  front_end_.Kick(queue_);
  FSD_RETURN_IF_ERROR(front_end_.WaitUsed(queue_));
  const std::optional<DriverQueue::Used> used = front_end_.queue(queue_).PopUsed();
  if (!used || used->head != submitted.head) return absl::InternalError("another chain was used");
  absl::StatusOr<FuseReply> reply = ReplyOf(submitted, used->written);
  front_end_.arena().ReleaseTo(mark);
  return reply;
}

absl::Status FuseClient::CallWithoutReply(uint32_t opcode, uint64_t node,
                                          std::span<const std::byte> arguments) {
  const size_t mark = front_end_.arena().mark();
  FSD_ASSIGN_OR_RETURN(const Submitted submitted, Submit(opcode, node, arguments, 0));
  front_end_.Kick(queue_);
  FSD_RETURN_IF_ERROR(front_end_.WaitUsed(queue_));
  const std::optional<DriverQueue::Used> used = front_end_.queue(queue_).PopUsed();
  front_end_.arena().ReleaseTo(mark);
  if (!used || used->head != submitted.head) return absl::InternalError("another chain was used");
  if (used->written != 0) return absl::InternalError("a reply where there is none");
  return absl::OkStatus();
}

absl::StatusOr<fuse_init_out> FuseClient::Init(uint64_t flags) {
  fuse_init_in in{};
  in.major = FUSE_KERNEL_VERSION;
  in.minor = fuse::kProtocolMinor;
  in.max_readahead = 128 * 1024;
  in.flags = static_cast<uint32_t>(flags);
  in.flags2 = static_cast<uint32_t>(flags >> 32);
  FSD_ASSIGN_OR_RETURN(const FuseReply reply, Call(FUSE_INIT, 0, Bytes(in), sizeof(fuse_init_out)));
  if (reply.error != 0) return ErrnoStatus(Errno(reply.error), "FUSE_INIT");
  const auto out = reply.As<fuse_init_out>();
  agreed_flags_ = out.flags | static_cast<uint64_t>(out.flags2) << 32;
  return out;
}

absl::StatusOr<FuseReply> FuseClient::Destroy() { return Call(FUSE_DESTROY, 0, {}, 0); }

absl::StatusOr<FuseReply> FuseClient::Lookup(uint64_t parent, std::string_view name) {
  return Call(FUSE_LOOKUP, parent, Arguments({}, {name}), sizeof(fuse_entry_out));
}

absl::Status FuseClient::Forget(uint64_t node, uint64_t lookups) {
  return CallWithoutReply(FUSE_FORGET, node, Bytes(fuse_forget_in{.nlookup = lookups}));
}

absl::StatusOr<FuseReply> FuseClient::GetAttributes(uint64_t node) {
  return Call(FUSE_GETATTR, node, Bytes(fuse_getattr_in{}), sizeof(fuse_attr_out));
}

absl::StatusOr<FuseReply> FuseClient::Create(uint64_t parent, std::string_view name, uint32_t mode,
                                             uint32_t flags) {
  fuse_create_in in{};
  in.flags = flags;
  in.mode = mode;
  return Call(FUSE_CREATE, parent, Arguments(Bytes(in), {name}),
              sizeof(fuse_entry_out) + sizeof(fuse_open_out));
}

absl::StatusOr<FuseReply> FuseClient::Open(uint64_t node, uint32_t flags) {
  fuse_open_in in{};
  in.flags = flags;
  return Call(FUSE_OPEN, node, Bytes(in), sizeof(fuse_open_out));
}

absl::StatusOr<FuseReply> FuseClient::Read(uint64_t node, uint64_t handle, uint64_t offset,
                                           uint32_t size) {
  fuse_read_in in{};
  in.fh = handle;
  in.offset = offset;
  in.size = size;
  return Call(FUSE_READ, node, Bytes(in), size);
}

absl::StatusOr<FuseReply> FuseClient::Write(uint64_t node, uint64_t handle, uint64_t offset,
                                            std::string_view data) {
  fuse_write_in in{};
  in.fh = handle;
  in.offset = offset;
  in.size = static_cast<uint32_t>(data.size());
  return Call(FUSE_WRITE, node, WithData(Arguments(Bytes(in)), std::as_bytes(std::span(data))),
              sizeof(fuse_write_out));
}

absl::StatusOr<FuseReply> FuseClient::Release(uint64_t node, uint64_t handle) {
  fuse_release_in in{};
  in.fh = handle;
  return Call(FUSE_RELEASE, node, Bytes(in), 0);
}

absl::StatusOr<FuseReply> FuseClient::Fsync(uint64_t node, uint64_t handle) {
  fuse_fsync_in in{};
  in.fh = handle;
  return Call(FUSE_FSYNC, node, Bytes(in), 0);
}

absl::StatusOr<FuseReply> FuseClient::Unlink(uint64_t parent, std::string_view name) {
  return Call(FUSE_UNLINK, parent, Arguments({}, {name}), 0);
}

absl::StatusOr<FuseReply> FuseClient::MakeDirectory(uint64_t parent, std::string_view name,
                                                    uint32_t mode) {
  const fuse_mkdir_in in{.mode = mode, .umask = 0};
  return Call(FUSE_MKDIR, parent, Arguments(Bytes(in), {name}), sizeof(fuse_entry_out));
}

absl::StatusOr<FuseReply> FuseClient::OpenDirectory(uint64_t node) {
  return Call(FUSE_OPENDIR, node, Bytes(fuse_open_in{}), sizeof(fuse_open_out));
}

absl::StatusOr<FuseReply> FuseClient::ReadDirectoryPlus(uint64_t node, uint64_t handle,
                                                        uint64_t offset, uint32_t size) {
  fuse_read_in in{};
  in.fh = handle;
  in.offset = offset;
  in.size = size;
  return Call(FUSE_READDIRPLUS, node, Bytes(in), size);
}

absl::StatusOr<FuseReply> FuseClient::Statistics() {
  return Call(FUSE_STATFS, 1, {}, sizeof(fuse_statfs_out));
}

absl::StatusOr<FuseReply> FuseClient::SyncFilesystem(uint64_t node) {
  return Call(FUSE_SYNCFS, node, Bytes(fuse_syncfs_in{}), 0);
}

absl::StatusOr<FuseReply> FuseClient::Statx(uint64_t node) {
  fuse::StatxIn in{};
  in.sx_mask = STATX_BASIC_STATS | STATX_BTIME;
  return Call(fuse::kOpcodeStatx, node, Bytes(in), sizeof(fuse::StatxOut));
}

absl::StatusOr<FuseReply> FuseClient::CreateTemporary(uint64_t parent, uint32_t mode,
                                                      uint32_t flags) {
  fuse_create_in in{};
  in.flags = flags;
  in.mode = mode;
  return Call(FUSE_TMPFILE, parent, Arguments(Bytes(in), {"/"}),
              sizeof(fuse_entry_out) + sizeof(fuse_open_out));
}

absl::StatusOr<FuseReply> FuseClient::Flush(uint64_t node, uint64_t handle, uint64_t owner) {
  fuse_flush_in in{};
  in.fh = handle;
  in.lock_owner = owner;
  return Call(FUSE_FLUSH, node, Bytes(in), 0);
}

absl::StatusOr<FuseReply> FuseClient::CopyRange(const FileRange& from, const FileRange& to,
                                                uint64_t length) {
  fuse_copy_file_range_in in{};
  in.fh_in = from.handle;
  in.off_in = from.offset;
  in.nodeid_out = to.node;
  in.fh_out = to.handle;
  in.off_out = to.offset;
  in.len = length;
  return Call(fuse::kOpcodeCopyFileRange64, from.node, Bytes(in), sizeof(fuse::CopyFileRangeOut));
}

absl::StatusOr<FuseReply> FuseClient::Ioctl(uint64_t node, uint64_t handle, uint32_t command,
                                            std::span<const std::byte> input,
                                            uint32_t output_bytes) {
  fuse_ioctl_in in{};
  in.fh = handle;
  in.cmd = command;
  in.in_size = static_cast<uint32_t>(input.size());
  in.out_size = output_bytes;
  return Call(FUSE_IOCTL, node, WithData(Arguments(Bytes(in)), input),
              sizeof(fuse_ioctl_out) + output_bytes);
}

absl::StatusOr<FuseReply> FuseClient::SetXattr(uint64_t node, std::string_view name,
                                               std::string_view value, uint32_t flags) {
  fuse_setxattr_in in{};
  in.size = static_cast<uint32_t>(value.size());
  in.flags = flags;
  const bool extended = (agreed_flags_ & FUSE_SETXATTR_EXT) != 0;
  const auto struct_bytes = Bytes(in).first(extended ? sizeof in : fuse::kShortSetxattrInBytes);
  return Call(FUSE_SETXATTR, node,
              WithData(Arguments(struct_bytes, {name}), std::as_bytes(std::span(value))), 0);
}

absl::StatusOr<FuseReply> FuseClient::GetXattr(uint64_t node, std::string_view name,
                                               uint32_t size) {
  const fuse_getxattr_in in{.size = size, .padding = 0};
  return Call(FUSE_GETXATTR, node, Arguments(Bytes(in), {name}),
              size == 0 ? sizeof(fuse_getxattr_out) : size);
}

absl::StatusOr<FuseReply> FuseClient::ListXattr(uint64_t node, uint32_t size) {
  const fuse_getxattr_in in{.size = size, .padding = 0};
  return Call(FUSE_LISTXATTR, node, Bytes(in), size == 0 ? sizeof(fuse_getxattr_out) : size);
}

absl::StatusOr<FuseReply> FuseClient::RemoveXattr(uint64_t node, std::string_view name) {
  return Call(FUSE_REMOVEXATTR, node, Arguments({}, {name}), 0);
}

absl::StatusOr<FuseReply> FuseClient::GetLock(uint64_t node, const fuse_lk_in& in) {
  return Call(FUSE_GETLK, node, Bytes(in), sizeof(fuse_lk_out));
}

absl::StatusOr<FuseReply> FuseClient::SetLock(uint64_t node, const fuse_lk_in& in, bool wait) {
  return Call(wait ? FUSE_SETLKW : FUSE_SETLK, node, Bytes(in), 0);
}

}  // namespace fsd::harness
