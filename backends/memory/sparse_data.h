// SparseData: a file's bytes in RAM, holes costing nothing.
//
// Not thread-safe; its owner locks.
#ifndef FSD_BACKENDS_MEMORY_SPARSE_DATA_H_
#define FSD_BACKENDS_MEMORY_SPARSE_DATA_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>

#include "backends/filesystem.h"
#include "server/errors/errno_or.h"

namespace fsd::memory {

// What all files of one file system may hold together.
struct PageBudget {
  uint64_t limit = 0;  // pages
  uint64_t used = 0;
};

class SparseData {
 public:
  static constexpr uint64_t kPageBytes = 4096;
  static constexpr uint64_t kMaxFileBytes = uint64_t{1} << 43;

  explicit SparseData(PageBudget& budget) : budget_(budget) {}
  ~SparseData();
  SparseData(const SparseData&) = delete;
  SparseData& operator=(const SparseData&) = delete;

  uint64_t size() const { return size_; }
  uint64_t pages() const { return pages_.size(); }

  // Bytes read into `destination`; 0 at the end and behind it.
  size_t Read(uint64_t offset, backends::IoVectors destination) const;
  // ENOSPC when the budget ends (what was written before counts), EFBIG beyond kMaxFileBytes.
  ErrnoOr<size_t> Write(uint64_t offset, backends::IoVectors source);
  // EFBIG beyond kMaxFileBytes.
  ErrnoOr<void> Resize(uint64_t size);
  // Makes [offset, offset + length) a hole; the size stays.
  void Punch(uint64_t offset, uint64_t length);
  // As lseek(2) for SEEK_DATA and SEEK_HOLE: ENXIO at the end and behind it.
  ErrnoOr<uint64_t> SeekData(uint64_t offset) const;
  ErrnoOr<uint64_t> SeekHole(uint64_t offset) const;

 private:
  using Page = std::array<std::byte, kPageBytes>;

  PageBudget& budget_;
  uint64_t size_ = 0;
  std::map<uint64_t, std::unique_ptr<Page>> pages_;  // by page number
};

}  // namespace fsd::memory

#endif  // FSD_BACKENDS_MEMORY_SPARSE_DATA_H_
