#include "server/fuse/iovec_cursor.h"

#include <algorithm>
#include <cstring>

namespace fsd::fuse {

std::span<iovec> IovecStorage::Reserve(size_t count) {
  if (count <= kInline) return std::span(inline_).first(count);
  heap_.reset(new iovec[count]);
  return {heap_.get(), count};
}

template <typename Visit>
size_t IovecCursor::Advance(size_t bytes, const Visit& visit) {
  const size_t wanted = std::min(bytes, remaining_);
  size_t left = wanted;
  while (left > 0) {
    const iovec& piece = iovecs_[index_];
    const size_t here = std::min(left, piece.iov_len - offset_);
    if (here > 0) visit(static_cast<char*>(piece.iov_base) + offset_, here);
    left -= here;
    MoveWithin(piece, here);
  }
  return wanted;
}

size_t IovecCursor::Skip(size_t bytes) {
  return Advance(bytes, [](char*, size_t) {});
}

size_t IovecCursor::CopyOutInPieces(void* to, size_t bytes) {
  auto* out = static_cast<char*>(to);
  return Advance(bytes, [&out](const char* piece, size_t length) {
    std::memcpy(out, piece, length);
    out += length;
  });
}

size_t IovecCursor::CopyInInPieces(const void* from, size_t bytes) {
  const auto* in = static_cast<const char*>(from);
  return Advance(bytes, [&in](char* piece, size_t length) {
    std::memcpy(piece, in, length);
    in += length;
  });
}

std::span<const iovec> IovecCursor::Lend(size_t bytes, IovecStorage& storage) const {
  const size_t wanted = std::min(bytes, remaining_);
  if (wanted == 0) return {};
  size_t covered = iovecs_[index_].iov_len - offset_;
  size_t count = 1;
  while (covered < wanted) covered += iovecs_[index_ + count++].iov_len;

  const std::span<const iovec> whole = iovecs_.subspan(index_, count);
  if (offset_ == 0 && covered == wanted) return whole;
  const std::span<iovec> cut = storage.Reserve(count);
  std::copy(whole.begin(), whole.end(), cut.begin());
  cut.front().iov_base = static_cast<char*>(cut.front().iov_base) + offset_;
  cut.front().iov_len -= offset_;
  cut.back().iov_len -= covered - wanted;
  return cut;
}

}  // namespace fsd::fuse
