// DirentPacker: packs directory entries straight into a request's buffers, as READDIR and
// READDIRPLUS want them: fuse_dirent or fuse_direntplus, each padded to 8 bytes.
//
// Belongs to a request; used by one thread at a time.
#ifndef FSD_SERVER_FUSE_DIRENT_PACKER_H_
#define FSD_SERVER_FUSE_DIRENT_PACKER_H_

#include <cstddef>
#include <string_view>

#include "backends/filesystem.h"
#include "server/fuse/attributes.h"
#include "server/fuse/iovec_cursor.h"

namespace fsd::fuse {

class DirentPacker final : public backends::DirectorySink {
 public:
  // Nothing fits.
  DirentPacker() = default;
  static DirentPacker Plain(IovecCursor space);
  static DirentPacker Plus(IovecCursor space, const EntryTerms& terms);

  bool Fits(std::string_view name) const override;
  size_t MostEntries() const override;
  // Only what fits.
  void Add(const backends::DirectoryEntry& directory_entry, const backends::Entry* entry) override;

  size_t bytes_packed() const { return bytes_packed_; }

 private:
  size_t UnpaddedBytes(size_t name_bytes) const;

  IovecCursor space_;
  EntryTerms terms_;
  bool plus_ = false;
  size_t bytes_packed_ = 0;
};

}  // namespace fsd::fuse

#endif  // FSD_SERVER_FUSE_DIRENT_PACKER_H_
