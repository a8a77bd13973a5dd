#include "server/fuse/dirent_packer.h"

#include "server/errors/check.h"
#include "server/fuse/abi.h"

namespace fsd::fuse {

DirentPacker DirentPacker::Plain(IovecCursor space) {
  DirentPacker packer;
  packer.space_ = space;
  return packer;
}

DirentPacker DirentPacker::Plus(IovecCursor space, const EntryTerms& terms) {
  DirentPacker packer = Plain(space);
  packer.terms_ = terms;
  packer.plus_ = true;
  return packer;
}

size_t DirentPacker::UnpaddedBytes(size_t name_bytes) const {
  return (plus_ ? FUSE_NAME_OFFSET_DIRENTPLUS : FUSE_NAME_OFFSET) + name_bytes;
}

bool DirentPacker::Fits(std::string_view name) const {
  return FUSE_DIRENT_ALIGN(UnpaddedBytes(name.size())) <= space_.remaining();
}

size_t DirentPacker::MostEntries() const {
  return space_.remaining() / FUSE_DIRENT_ALIGN(UnpaddedBytes(1));
}

void DirentPacker::Add(const backends::DirectoryEntry& directory_entry,
                       const backends::Entry* entry) {
  FSD_CHECK(Fits(directory_entry.name));
  const size_t unpadded_bytes = UnpaddedBytes(directory_entry.name.size());
  const size_t padded_bytes = FUSE_DIRENT_ALIGN(unpadded_bytes);
  if (plus_) {
    // A nodeid of 0 tells the guest that this entry was not looked up.
    const fuse_entry_out out = entry != nullptr ? ToEntryOut(*entry, terms_) : fuse_entry_out{};
    space_.CopyIn(&out, sizeof(out));
  }
  fuse_dirent dirent{};
  dirent.ino = directory_entry.ino;
  dirent.off = directory_entry.next_offset;
  dirent.namelen = static_cast<uint32_t>(directory_entry.name.size());
  dirent.type = directory_entry.type;
  space_.CopyIn(&dirent, FUSE_NAME_OFFSET);
  space_.CopyIn(directory_entry.name.data(), directory_entry.name.size());
  constexpr char kPadding[8] = {};
  space_.CopyIn(kPadding, padded_bytes - unpadded_bytes);
  bytes_packed_ += padded_bytes;
}

}  // namespace fsd::fuse
