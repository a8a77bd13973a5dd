// IovecCursor: a bounded position in a request's buffers.
//
// A guest may split a header or a payload over its buffers in any way. Headers and arguments are
// copied through a cursor; a payload is lent as iovecs without being copied. A cursor never goes
// past its limit. Not thread-safe; the memory behind the iovecs may change at any time.
#ifndef FSD_SERVER_FUSE_IOVEC_CURSOR_H_
#define FSD_SERVER_FUSE_IOVEC_CURSOR_H_

#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <type_traits>

namespace fsd::fuse {

// Bytes in all of `iovecs`.
inline size_t TotalBytes(std::span<const iovec> iovecs) {
  size_t total = 0;
  for (const iovec& piece : iovecs) total += piece.iov_len;
  return total;
}

// Room for iovecs that cannot be lent as they stand. Allocates only for more than kInline.
class IovecStorage {
 public:
  static constexpr size_t kInline = 8;

  // `count` iovecs, valid until the next Reserve or Release.
  std::span<iovec> Reserve(size_t count);
  void Release() { heap_.reset(); }

 private:
  std::array<iovec, kInline> inline_;
  std::unique_ptr<iovec[]> heap_;
};

class IovecCursor {
 public:
  IovecCursor() = default;
  // The iovecs must outlive the cursor.
  explicit IovecCursor(std::span<const iovec> iovecs) { Begin(iovecs); }
  // The same in place.
  void Begin(std::span<const iovec> iovecs) {
    iovecs_ = iovecs;
    index_ = 0;
    offset_ = 0;
    remaining_ = TotalBytes(iovecs);
  }

  // Bytes between here and the limit.
  size_t remaining() const { return remaining_; }
  // Lets no more than `bytes` remain.
  void Limit(size_t bytes) { remaining_ = std::min(remaining_, bytes); }

  // Each of these moves on by min(bytes, remaining()) and returns that.
  size_t Skip(size_t bytes);
  size_t CopyOut(void* to, size_t bytes) {
    const char* const here = TakeWhole(bytes);
    if (here == nullptr) [[unlikely]]
      return CopyOutInPieces(to, bytes);
    std::memcpy(to, here, bytes);
    return bytes;
  }
  size_t CopyIn(const void* from, size_t bytes) {
    char* const here = TakeWhole(bytes);
    if (here == nullptr) [[unlikely]]
      return CopyInInPieces(from, bytes);
    std::memcpy(here, from, bytes);
    return bytes;
  }

  // Where the next T goes, and moves on, if that is one aligned piece, as a driver's usually is;
  // else nullptr. What is made in its place is not copied: a struct that is put together on the
  // stack and then loaded in larger words waits for its parts' stores, and these for those before
  // them, to memory whose lines another processor has.
  template <typename T>
  void* Place() {
    static_assert(std::is_trivially_copyable_v<T>);
    return TakeWhole(sizeof(T), alignof(T));
  }

  // The next min(bytes, remaining()) bytes as iovecs. The cursor stays. They are a part of the
  // cursor's own iovecs where they begin and end with one; otherwise they lie in `storage`.
  std::span<const iovec> Lend(size_t bytes, IovecStorage& storage) const;

 private:
  // Moves on over the next `bytes` if they are in one aligned piece, as a driver's usually are, and
  // says where; else nullptr. Inline, with what is rare elsewhere: a GETATTR, which copies four
  // times, saves 120 instructions of 2,400.
  char* TakeWhole(size_t bytes, size_t alignment = 1) {
    if (bytes == 0 || bytes > remaining_) return nullptr;
    const iovec& piece = iovecs_[index_];
    if (bytes > piece.iov_len - offset_) return nullptr;
    char* const here = static_cast<char*>(piece.iov_base) + offset_;
    if (reinterpret_cast<uintptr_t>(here) % alignment != 0) return nullptr;
    MoveWithin(piece, bytes);
    return here;
  }
  // By no more than is left of `piece`, the current iovec.
  void MoveWithin(const iovec& piece, size_t bytes) {
    remaining_ -= bytes;
    offset_ += bytes;
    if (offset_ == piece.iov_len) {
      ++index_;
      offset_ = 0;
    }
  }
  [[gnu::cold]] size_t CopyOutInPieces(void* to, size_t bytes);
  [[gnu::cold]] size_t CopyInInPieces(const void* from, size_t bytes);
  // Calls `visit(address, length)` for each contiguous piece of the next bytes, moving on.
  template <typename Visit>
  size_t Advance(size_t bytes, const Visit& visit);

  std::span<const iovec> iovecs_;
  size_t index_ = 0;   // of the current iovec
  size_t offset_ = 0;  // bytes into it
  size_t remaining_ = 0;
};

}  // namespace fsd::fuse

#endif  // FSD_SERVER_FUSE_IOVEC_CURSOR_H_
