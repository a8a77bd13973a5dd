#include "backends/memory/sparse_data.h"

#include <algorithm>
#include <cstring>

namespace fsd::memory {

SparseData::~SparseData() { budget_.used -= pages_.size(); }

size_t SparseData::Read(uint64_t offset, backends::IoVectors destination) const {
  size_t total = 0;
  for (const iovec& piece : destination) {
    auto* out = static_cast<std::byte*>(piece.iov_base);
    size_t left = piece.iov_len;
    while (left > 0 && offset < size_) {
      const uint64_t within = offset % kPageBytes;
      const size_t bytes =
          static_cast<size_t>(std::min<uint64_t>({left, kPageBytes - within, size_ - offset}));
      if (const auto page = pages_.find(offset / kPageBytes); page != pages_.end()) {
        std::memcpy(out, page->second->data() + within, bytes);
      } else {
        std::memset(out, 0, bytes);
      }
      out += bytes;
      left -= bytes;
      offset += bytes;
      total += bytes;
    }
  }
  return total;
}

ErrnoOr<size_t> SparseData::Write(uint64_t offset, backends::IoVectors source) {
  size_t total = 0;
  for (const iovec& piece : source) {
    const auto* in = static_cast<const std::byte*>(piece.iov_base);
    size_t left = piece.iov_len;
    while (left > 0) {
      if (offset >= kMaxFileBytes) return total > 0 ? ErrnoOr<size_t>(total) : Errno(EFBIG);
      std::unique_ptr<Page>& page = pages_[offset / kPageBytes];
      if (page == nullptr) {
        if (budget_.used >= budget_.limit) {
          pages_.erase(offset / kPageBytes);
          return total > 0 ? ErrnoOr<size_t>(total) : Errno(ENOSPC);
        }
        page = std::make_unique<Page>();
        ++budget_.used;
      }
      const uint64_t within = offset % kPageBytes;
      const size_t bytes = static_cast<size_t>(std::min<uint64_t>(left, kPageBytes - within));
      std::memcpy(page->data() + within, in, bytes);
      in += bytes;
      left -= bytes;
      offset += bytes;
      total += bytes;
      size_ = std::max(size_, offset);
    }
  }
  return total;
}

ErrnoOr<void> SparseData::Resize(uint64_t size) {
  if (size > kMaxFileBytes) return Errno(EFBIG);
  // What lies behind the new end must read as zeros should the file grow again.
  if (size < size_) Punch(size, size_ - size);
  size_ = size;
  return {};
}

void SparseData::Punch(uint64_t offset, uint64_t length) {
  const uint64_t end = offset + std::min(length, ~uint64_t{0} - offset);
  auto page = pages_.lower_bound(offset / kPageBytes);
  while (page != pages_.end() && page->first * kPageBytes < end) {
    const uint64_t start = page->first * kPageBytes;
    const uint64_t from = std::max(offset, start) - start;
    const uint64_t to = std::min(end, start + kPageBytes) - start;
    // The last page is whole as far as the file reaches.
    const bool whole = from == 0 && (to == kPageBytes || start + to >= size_);
    if (whole) {
      page = pages_.erase(page);
      --budget_.used;
    } else {
      std::memset(page->second->data() + from, 0, to - from);
      ++page;
    }
  }
}

ErrnoOr<uint64_t> SparseData::SeekData(uint64_t offset) const {
  if (offset >= size_) return Errno(ENXIO);
  const auto page = pages_.lower_bound(offset / kPageBytes);
  if (page == pages_.end()) return Errno(ENXIO);
  return std::max(offset, page->first * kPageBytes);
}

ErrnoOr<uint64_t> SparseData::SeekHole(uint64_t offset) const {
  if (offset >= size_) return Errno(ENXIO);
  uint64_t number = offset / kPageBytes;
  auto page = pages_.find(number);
  while (page != pages_.end() && page->first == number) {
    ++page;
    ++number;
  }
  return std::min(size_, std::max(offset, number * kPageBytes));
}

}  // namespace fsd::memory
