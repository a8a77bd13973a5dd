#include "server/fuse/file_handlers.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdint>
#include <limits>
#include <string_view>

#include "server/fuse/abi.h"
#include "server/fuse/attributes.h"
#include "server/fuse/operation.h"

namespace fsd::fuse {
namespace {

using backends::Call;
using backends::CreatedFile;
using backends::FileHandle;
using backends::OpenFile;

constexpr uint32_t kOpenFlags = O_ACCMODE | O_TRUNC | O_APPEND | O_NONBLOCK | O_DSYNC | O_SYNC |
                                O_DIRECT | O_NOATIME | O_LARGEFILE;
constexpr uint32_t kCreateFlags = kOpenFlags | O_EXCL;

// A file's last byte is below this offset.
bool RangeValid(uint64_t offset, uint64_t length) {
  constexpr uint64_t kMaxOffset = std::numeric_limits<int64_t>::max();
  return offset <= kMaxOffset && length <= kMaxOffset - offset;
}

bool Writes(uint32_t open_flags) {
  return (open_flags & O_ACCMODE) != O_RDONLY || (open_flags & O_TRUNC) != 0;
}

void ReplyOpened(Request& request, const OpenFile& file) {
  request.Reply(fuse_open_out{.fh = static_cast<uint64_t>(file.handle),
                              .open_flags = FileOpenFlags(request.mount().options().cache),
                              .padding = 0});
}

struct CreateOut {
  fuse_entry_out entry;
  fuse_open_out open;
};
static_assert(sizeof(CreateOut) == sizeof(fuse_entry_out) + sizeof(fuse_open_out));

void ReplyCreated(Request& request, const CreatedFile& file) {
  const Mount& mount = request.mount();
  request.Reply(CreateOut{.entry = ToEntryOut(file.entry, mount.entry_terms()),
                          .open = {.fh = static_cast<uint64_t>(file.handle),
                                   .open_flags = FileOpenFlags(mount.options().cache),
                                   .padding = 0}});
}

void ReplyWritten(Request& request, size_t bytes) {
  if (bytes > request.payload_bytes()) return request.ReplyError(Errno(EIO));
  request.Reply(fuse_write_out{.size = static_cast<uint32_t>(bytes), .padding = 0});
}

void ReplySought(Request& request, uint64_t offset) {
  request.Reply(fuse_lseek_out{.offset = offset});
}

}  // namespace

void HandleOpen(Request& request) {
  const auto in = request.arguments().Take<fuse_open_in>();
  if (request.mount().options().read_only && Writes(in.flags)) {
    return request.ReplyError(Errno(EROFS));
  }
  RunOperation<OpenFile, ReplyOpened>(request, [&](Call<OpenFile> call) {
    return request.filesystem().Open(
        call, request.node(),
        {.flags = in.flags & kOpenFlags,
         .kill_suidgid = (in.open_flags & FUSE_OPEN_KILL_SUIDGID) != 0});
  });
}

void HandleCreate(Request& request) {
  Arguments arguments = request.arguments();
  const auto in = arguments.Take<fuse_create_in>();
  const ErrnoOr<std::string_view> name = arguments.TakeName(NameUse::kCreateFile);
  if (!name.ok()) return request.ReplyError(name.error());
  RunOperation<CreatedFile, ReplyCreated>(request, [&](Call<CreatedFile> call) {
    return request.filesystem().Create(
        call, request.node(), *name, in.mode & 07777,
        {.flags = in.flags & kCreateFlags,
         .kill_suidgid = (in.open_flags & FUSE_OPEN_KILL_SUIDGID) != 0},
        {.umask = in.umask & 0777});
  });
}

void HandleRead(Request& request) {
  const auto in = request.arguments().Take<fuse_read_in>();
  if (!RangeValid(in.offset, in.size) || in.size > request.reply_space_bytes()) {
    return request.ReplyError(Errno(EINVAL));
  }
  RunOperation<size_t, ReplyFilled>(request, [&](Call<size_t> call) {
    return request.filesystem().Read(call, request.node(), FileHandle{in.fh}, in.offset,
                                     request.LendReplySpace(in.size));
  });
}

void HandleWrite(Request& request) {
  const auto in = request.arguments().Take<fuse_write_in>();
  if (!RangeValid(in.offset, in.size) || in.size != request.payload_bytes()) {
    return request.ReplyError(Errno(EINVAL));
  }
  RunOperation<size_t, ReplyWritten>(request, [&](Call<size_t> call) {
    return request.filesystem().Write(
        call, request.node(), FileHandle{in.fh}, in.offset, request.LendPayload(),
        {.writeback = (in.write_flags & FUSE_WRITE_CACHE) != 0,
         .kill_suidgid = (in.write_flags & FUSE_WRITE_KILL_SUIDGID) != 0,
         .append = (in.flags & O_APPEND) != 0});
  });
}

void HandleFlush(Request& request) {
  const auto in = request.arguments().Take<fuse_flush_in>();
  RunOperation<void, ReplyEmpty>(request, [&](Call<void> call) {
    return request.filesystem().Flush(call, request.node(), FileHandle{in.fh}, in.lock_owner);
  });
}

void HandleRelease(Request& request) {
  const auto in = request.arguments().Take<fuse_release_in>();
  RunOperation<void, ReplyEmpty>(request, [&](Call<void> call) {
    return request.filesystem().Release(call, request.node(), FileHandle{in.fh});
  });
}

void HandleFsync(Request& request) {
  const auto in = request.arguments().Take<fuse_fsync_in>();
  RunOperation<void, ReplyEmpty>(request, [&](Call<void> call) {
    return request.filesystem().Fsync(call, request.node(), FileHandle{in.fh},
                                      (in.fsync_flags & FUSE_FSYNC_FDATASYNC) != 0);
  });
}

void HandleFallocate(Request& request) {
  const auto in = request.arguments().Take<fuse_fallocate_in>();
  if (!RangeValid(in.offset, in.length)) return request.ReplyError(Errno(EFBIG));
  RunOperation<void, ReplyEmpty>(request, [&](Call<void> call) {
    return request.filesystem().Fallocate(call, request.node(), FileHandle{in.fh}, in.mode,
                                          in.offset, in.length);
  });
}

void HandleSeek(Request& request) {
  const auto in = request.arguments().Take<fuse_lseek_in>();
  if (in.whence != SEEK_DATA && in.whence != SEEK_HOLE) return request.ReplyError(Errno(EINVAL));
  if (!RangeValid(in.offset, 0)) return request.ReplyError(Errno(ENXIO));
  RunOperation<uint64_t, ReplySought>(request, [&](Call<uint64_t> call) {
    return request.filesystem().Seek(call, request.node(), FileHandle{in.fh}, in.offset, in.whence);
  });
}

}  // namespace fsd::fuse
