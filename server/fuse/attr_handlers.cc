#include "server/fuse/attr_handlers.h"

#include <unistd.h>

#include <cstdint>
#include <limits>
#include <optional>

#include "server/errors/status_macros.h"
#include "server/fuse/abi.h"
#include "server/fuse/attributes.h"
#include "server/fuse/operation.h"

namespace fsd::fuse {
namespace {

using backends::AttributeChanges;
using backends::Attributes;
using backends::Call;
using backends::FileHandle;

void ReplyAttributes(Request& request, const Attributes& attributes) {
  request.Reply(
      [&] { return ToAttrOut(request.node(), attributes, request.mount().entry_terms()); });
}

void ReplyStatx(Request& request, const Attributes& attributes) {
  request.Reply([&] { return ToStatxOut(attributes, request.mount().entry_terms()); });
}

void ReplyStatistics(Request& request, const struct ::statvfs& statistics) {
  request.Reply([&] {
    return fuse_statfs_out{.st = {.blocks = statistics.f_blocks,
                                  .bfree = statistics.f_bfree,
                                  .bavail = statistics.f_bavail,
                                  .files = statistics.f_files,
                                  .ffree = statistics.f_ffree,
                                  .bsize = static_cast<uint32_t>(statistics.f_bsize),
                                  .namelen = static_cast<uint32_t>(statistics.f_namemax),
                                  .frsize = static_cast<uint32_t>(statistics.f_frsize),
                                  .padding = 0,
                                  .spare = {}}};
  });
}

ErrnoOr<std::optional<AttributeChanges::Time>> DecodeTime(bool set, bool now, uint64_t seconds,
                                                          uint32_t nanoseconds) {
  if (now) return {AttributeChanges::Time{.now = true, .time = {}}};
  if (!set) return {std::nullopt};
  if (nanoseconds >= 1'000'000'000) return Errno(EINVAL);
  return {AttributeChanges::Time{
      .now = false,
      .time = {.tv_sec = static_cast<time_t>(seconds), .tv_nsec = static_cast<long>(nanoseconds)}}};
}

// FATTR_CTIME and FATTR_LOCKOWNER change nothing: the host keeps the change time itself, and there
// are no mandatory locks.
ErrnoOr<AttributeChanges> DecodeChanges(const fuse_setattr_in& in) {
  AttributeChanges changes;
  if ((in.valid & FATTR_MODE) != 0) changes.mode = in.mode & 07777;
  if ((in.valid & FATTR_UID) != 0) changes.uid = in.uid;
  if ((in.valid & FATTR_GID) != 0) changes.gid = in.gid;
  if ((in.valid & FATTR_SIZE) != 0) {
    if (in.size > std::numeric_limits<int64_t>::max()) return Errno(EINVAL);
    changes.size = in.size;
  }
  FSD_ASSIGN_OR_RETURN_ERRNO(changes.access_time,
                             DecodeTime((in.valid & FATTR_ATIME) != 0,
                                        (in.valid & FATTR_ATIME_NOW) != 0, in.atime, in.atimensec));
  FSD_ASSIGN_OR_RETURN_ERRNO(changes.modification_time,
                             DecodeTime((in.valid & FATTR_MTIME) != 0,
                                        (in.valid & FATTR_MTIME_NOW) != 0, in.mtime, in.mtimensec));
  changes.kill_suidgid = (in.valid & FATTR_KILL_SUIDGID) != 0;
  return changes;
}

std::optional<FileHandle> HandleIf(bool given, uint64_t fh) {
  return given ? std::optional(FileHandle{fh}) : std::nullopt;
}

}  // namespace

void HandleGetAttributes(Request& request) {
  const auto in = request.arguments().Take<fuse_getattr_in>();
  RunOperation<Attributes, ReplyAttributes>(request, [&](Call<Attributes> call) {
    return request.filesystem().GetAttributes(
        call, request.node(), HandleIf((in.getattr_flags & FUSE_GETATTR_FH) != 0, in.fh));
  });
}

void HandleStatx(Request& request) {
  const auto in = request.arguments().Take<StatxIn>();
  RunOperation<Attributes, ReplyStatx>(request, [&](Call<Attributes> call) {
    return request.filesystem().GetAttributes(
        call, request.node(), HandleIf((in.getattr_flags & FUSE_GETATTR_FH) != 0, in.fh));
  });
}

void HandleSetAttributes(Request& request) {
  const auto in = request.arguments().Take<fuse_setattr_in>();
  ErrnoOr<AttributeChanges> changes = DecodeChanges(in);
  if (!changes.ok()) return request.ReplyError(changes.error());
  // HANDLE_KILLPRIV, unlike V2, leaves it to us to find out when.
  const bool may_kill =
      changes->size.has_value() || changes->uid.has_value() || changes->gid.has_value();
  if (may_kill && request.mount().agreed(FUSE_HANDLE_KILLPRIV)) changes->kill_suidgid = true;
  RunOperation<Attributes, ReplyAttributes>(request, [&](Call<Attributes> call) {
    return request.filesystem().SetAttributes(
        call, request.node(), HandleIf((in.valid & FATTR_FH) != 0, in.fh), *changes);
  });
}

void HandleAccess(Request& request) {
  const auto in = request.arguments().Take<fuse_access_in>();
  constexpr uint32_t kKnownBits = R_OK | W_OK | X_OK;
  if ((in.mask & ~kKnownBits) != 0) return request.ReplyError(Errno(EINVAL));
  if (!request.caller_known()) return request.ReplyError(Errno(EOVERFLOW));
  RunOperation<void, ReplyEmpty>(request, [&](Call<void> call) {
    return request.filesystem().Access(call, request.node(), in.mask);
  });
}

void HandleStatFilesystem(Request& request) {
  RunOperation<struct ::statvfs, ReplyStatistics>(request, [&](Call<struct ::statvfs> call) {
    return request.filesystem().StatFilesystem(call, request.node());
  });
}

void HandleSyncFilesystem(Request& request) {
  RunOperation<void, ReplyEmpty>(request, [&](Call<void> call) {
    return request.filesystem().SyncFilesystem(call, request.node());
  });
}

}  // namespace fsd::fuse
