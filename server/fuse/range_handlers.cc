#include "server/fuse/range_handlers.h"

#include <unistd.h>

#include <algorithm>
#include <cstdint>

#include "server/fuse/abi.h"
#include "server/fuse/offsets.h"
#include "server/fuse/operation.h"

namespace fsd::fuse {
namespace {

using backends::Call;
using backends::FileHandle;
using backends::NodeId;

constexpr uint64_t kMaxCopyOf32Bits = 0xfffff000;

void ReplySought(Request& request, uint64_t offset) {
  request.Reply([&] { return fuse_lseek_out{.offset = offset}; });
}

void ReplyCopied32(Request& request, uint64_t bytes) {
  if (bytes > kMaxCopyOf32Bits) return request.ReplyError(Errno(EIO));
  request.NoteContents(bytes);
  request.Reply([&] { return fuse_write_out{.size = static_cast<uint32_t>(bytes), .padding = 0}; });
}

void ReplyCopied64(Request& request, uint64_t bytes) {
  request.NoteContents(bytes);
  request.Reply([&] { return CopyFileRangeOut{.bytes_copied = bytes}; });
}

template <auto kReply>
void Copy(Request& request, uint64_t max_bytes) {
  const auto in = request.arguments().Take<fuse_copy_file_range_in>();
  if (!RangeValid(in.off_in, 0) || !RangeValid(in.off_out, 0) || in.flags > UINT32_MAX) {
    return request.ReplyError(Errno(EINVAL));
  }
  const uint64_t length =
      std::min({in.len, kMaxOffset - std::max(in.off_in, in.off_out), max_bytes});
  RunOperation<uint64_t, kReply>(request, [&](Call<uint64_t> call) {
    return request.filesystem().CopyRange(
        call, {.node = request.node(), .handle = FileHandle{in.fh_in}, .offset = in.off_in},
        {.node = NodeId{in.nodeid_out}, .handle = FileHandle{in.fh_out}, .offset = in.off_out},
        length, static_cast<uint32_t>(in.flags));
  });
}

}  // namespace

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

void HandleCopyFileRange(Request& request) { Copy<ReplyCopied32>(request, kMaxCopyOf32Bits); }

void HandleCopyFileRange64(Request& request) { Copy<ReplyCopied64>(request, kMaxOffset); }

}  // namespace fsd::fuse
