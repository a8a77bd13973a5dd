#include "server/fuse/dir_handlers.h"

#include <fcntl.h>

#include "server/fuse/abi.h"
#include "server/fuse/operation.h"

namespace fsd::fuse {
namespace {

using backends::Call;
using backends::FileHandle;
using backends::OpenFile;

constexpr uint32_t kOpenDirectoryFlags = O_NOATIME | O_LARGEFILE;

void ReplyOpened(Request& request, const OpenFile& directory) {
  request.Reply([&] {
    return fuse_open_out{.fh = static_cast<uint64_t>(directory.handle),
                         .open_flags = DirectoryOpenFlags(request.mount().options().cache),
                         .padding = 0};
  });
}

bool OpensNothing(const Request& request) {
  return request.mount().agreed(FUSE_NO_OPENDIR_SUPPORT);
}

void FinishReading(backends::CallState& state, ErrnoOr<void>&& result) {
  auto& request = static_cast<Request&>(state);
  if (!result.ok() && request.packed_bytes() == 0) return request.ReplyError(result.error());
  request.ReplyInPlace(request.packed_bytes());
}

}  // namespace

void HandleOpenDirectory(Request& request) {
  if (OpensNothing(request)) return request.ReplyError(Errno(ENOSYS));
  const auto in = request.arguments().Take<fuse_open_in>();
  RunOperation<OpenFile, ReplyOpened>(request, [&](Call<OpenFile> call) {
    return request.filesystem().OpenDirectory(call, request.node(), in.flags & kOpenDirectoryFlags);
  });
}

void HandleReadDirectory(Request& request) {
  const auto in = request.arguments().Take<fuse_read_in>();
  RunOperationThen<void>(request, FinishReading, [&](Call<void> call) {
    return request.filesystem().ReadDirectory(call, request.node(), FileHandle{in.fh}, in.offset,
                                              request.PackEntries(in.size));
  });
}

void HandleReadDirectoryPlus(Request& request) {
  const auto in = request.arguments().Take<fuse_read_in>();
  RunOperationThen<void>(request, FinishReading, [&](Call<void> call) {
    return request.filesystem().ReadDirectoryPlus(call, request.node(), FileHandle{in.fh},
                                                  in.offset, request.PackEntriesPlus(in.size));
  });
}

void HandleReleaseDirectory(Request& request) {
  const auto in = request.arguments().Take<fuse_release_in>();
  if (in.fh == 0 && OpensNothing(request)) return request.ReplyEmpty();
  RunOperation<void, ReplyEmpty>(request, [&](Call<void> call) {
    return request.filesystem().ReleaseDirectory(call, request.node(), FileHandle{in.fh});
  });
}

void HandleFsyncDirectory(Request& request) {
  const auto in = request.arguments().Take<fuse_fsync_in>();
  RunOperation<void, ReplyEmpty>(request, [&](Call<void> call) {
    return request.filesystem().FsyncDirectory(call, request.node(), FileHandle{in.fh},
                                               (in.fsync_flags & FUSE_FSYNC_FDATASYNC) != 0);
  });
}

}  // namespace fsd::fuse
