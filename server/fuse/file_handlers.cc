#include "server/fuse/file_handlers.h"

#include <fcntl.h>

#include <cstdint>
#include <string_view>

#include "server/fuse/abi.h"
#include "server/fuse/attributes.h"
#include "server/fuse/creation.h"
#include "server/fuse/offsets.h"
#include "server/fuse/operation.h"

namespace fsd::fuse {
namespace {

using backends::Call;
using backends::CreatedFile;
using backends::Creation;
using backends::FileHandle;
using backends::OpenFile;
using backends::OpenOptions;

constexpr uint32_t kOpenFlags = O_ACCMODE | O_TRUNC | O_APPEND | O_NONBLOCK | O_DSYNC | O_SYNC |
                                O_DIRECT | O_NOATIME | O_LARGEFILE;
constexpr uint32_t kCreateFlags = kOpenFlags | O_EXCL;
constexpr uint32_t kPermissionBits = 07777;

bool OpensNothing(const Request& request) { return request.mount().agreed(FUSE_NO_OPEN_SUPPORT); }

// HANDLE_KILLPRIV, unlike V2, leaves it to us to find out when; the caller's rights are unknown.
bool Kills(const Request& request, bool asked) {
  return asked || request.mount().agreed(FUSE_HANDLE_KILLPRIV);
}

// With write-back caching the guest knows where a file's end is, and sends pages to their places.
uint32_t MeantFlags(const Request& request, uint32_t flags) {
  return request.mount().agreed(FUSE_WRITEBACK_CACHE) ? flags & ~static_cast<uint32_t>(O_APPEND)
                                                      : flags;
}

OpenOptions OptionsOfCreate(const Request& request, const fuse_create_in& in) {
  return {.flags = MeantFlags(request, in.flags & kCreateFlags),
          .kill_suidgid = Kills(request, (in.open_flags & FUSE_OPEN_KILL_SUIDGID) != 0),
          .keep_open = !OpensNothing(request)};
}

bool Writes(uint32_t open_flags) {
  return (open_flags & O_ACCMODE) != O_RDONLY || (open_flags & O_TRUNC) != 0;
}

void ReplyOpened(Request& request, const OpenFile& file) {
  request.Reply([&] {
    return fuse_open_out{.fh = static_cast<uint64_t>(file.handle),
                         .open_flags = FileOpenFlags(request.mount().options().cache),
                         .padding = 0};
  });
}

struct CreateOut {
  fuse_entry_out entry;
  fuse_open_out open;
};
static_assert(sizeof(CreateOut) == sizeof(fuse_entry_out) + sizeof(fuse_open_out));

void ReplyCreated(Request& request, const CreatedFile& file) {
  const Mount& mount = request.mount();
  request.Reply([&] {
    return CreateOut{.entry = ToEntryOut(file.entry, mount.entry_terms()),
                     .open = {.fh = static_cast<uint64_t>(file.handle),
                              .open_flags = FileOpenFlags(mount.options().cache),
                              .padding = 0}};
  });
}

void ReplyRead(Request& request, size_t bytes) {
  request.NoteContents(bytes);
  ReplyFilled(request, bytes);
}

void ReplyWritten(Request& request, size_t bytes) {
  if (bytes > request.payload_bytes()) return request.ReplyError(Errno(EIO));
  request.NoteContents(bytes);
  request.Reply([&] { return fuse_write_out{.size = static_cast<uint32_t>(bytes), .padding = 0}; });
}

}  // namespace

void HandleOpen(Request& request) {
  if (OpensNothing(request)) return request.ReplyError(Errno(ENOSYS));
  const auto in = request.arguments().Take<fuse_open_in>();
  if (request.mount().options().read_only && Writes(in.flags)) {
    return request.ReplyError(Errno(EROFS));
  }
  RunOperation<OpenFile, ReplyOpened>(request, [&](Call<OpenFile> call) {
    return request.filesystem().Open(
        call, request.node(),
        {.flags = MeantFlags(request, in.flags & kOpenFlags),
         .kill_suidgid = Kills(request, (in.open_flags & FUSE_OPEN_KILL_SUIDGID) != 0)});
  });
}

void HandleCreate(Request& request) {
  Arguments arguments = request.arguments();
  const auto in = arguments.Take<fuse_create_in>();
  const ErrnoOr<std::string_view> name = arguments.TakeName(NameUse::kCreateFile);
  if (!name.ok()) return request.ReplyError(name.error());
  const ErrnoOr<Creation> creation = DecodeCreation(request, arguments.rest(), in.umask);
  if (!creation.ok()) return request.ReplyError(creation.error());
  RunOperation<CreatedFile, ReplyCreated>(request, [&](Call<CreatedFile> call) {
    return request.filesystem().Create(call, request.node(), *name, in.mode & kPermissionBits,
                                       OptionsOfCreate(request, in), *creation);
  });
}

void HandleCreateTemporary(Request& request) {
  Arguments arguments = request.arguments();
  const auto in = arguments.Take<fuse_create_in>();
  const ErrnoOr<std::string_view> name = arguments.TakeText();
  if (!name.ok()) return request.ReplyError(name.error());
  const ErrnoOr<Creation> creation = DecodeCreation(request, arguments.rest(), in.umask);
  if (!creation.ok()) return request.ReplyError(creation.error());
  RunOperation<CreatedFile, ReplyCreated>(request, [&](Call<CreatedFile> call) {
    return request.filesystem().CreateTemporary(call, request.node(), in.mode & kPermissionBits,
                                                OptionsOfCreate(request, in), *creation);
  });
}

void HandleRead(Request& request) {
  const auto in = request.arguments().Take<fuse_read_in>();
  if (!RangeValid(in.offset, in.size) || in.size > request.reply_space_bytes()) {
    return request.ReplyError(Errno(EINVAL));
  }
  RunOperation<size_t, ReplyRead>(request, [&](Call<size_t> call) {
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
         .kill_suidgid = Kills(request, (in.write_flags & FUSE_WRITE_KILL_SUIDGID) != 0),
         .append = (MeantFlags(request, in.flags) & O_APPEND) != 0});
  });
}

void HandleFlush(Request& request) {
  const auto in = request.arguments().Take<fuse_flush_in>();
  // Nobody holds a lock or a handle that a close could end: the guest need not tell of any.
  if (in.fh == 0 && OpensNothing(request)) return request.ReplyError(Errno(ENOSYS));
  RunOperation<void, ReplyEmpty>(request, [&](Call<void> call) {
    return request.filesystem().Flush(call, request.node(), FileHandle{in.fh}, in.lock_owner);
  });
}

void HandleRelease(Request& request) {
  const auto in = request.arguments().Take<fuse_release_in>();
  if (in.fh == 0 && OpensNothing(request)) return request.ReplyEmpty();
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

}  // namespace fsd::fuse
