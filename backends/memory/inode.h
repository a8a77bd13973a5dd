// The nouns of the memory file system's tree, for its implementation. No logic but their own.
#ifndef FSD_BACKENDS_MEMORY_INODE_H_
#define FSD_BACKENDS_MEMORY_INODE_H_

#include <cstdint>
#include <ctime>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "backends/filesystem.h"
#include "backends/memory/file_locks.h"
#include "backends/memory/memory_filesystem.h"
#include "backends/memory/sparse_data.h"
#include "server/errors/errno_or.h"

namespace fsd::memory {

inline constexpr size_t kNameMaxBytes = 255;
inline constexpr uint32_t kPermissions = 07777;

inline ErrnoOr<void> CheckName(std::string_view name) {
  if (name.empty() || name.find('/') != name.npos || name.find('\0') != name.npos) {
    return Errno(EINVAL);
  }
  if (name.size() > kNameMaxBytes) return Errno(ENAMETOOLONG);
  return {};
}

inline bool IsDots(std::string_view name) { return name == "." || name == ".."; }

// The bytes of `text` that fit.
inline size_t Copy(std::string_view text, backends::IoVectors destination) {
  size_t copied = 0;
  for (const iovec& piece : destination) {
    copied += text.copy(static_cast<char*>(piece.iov_base), piece.iov_len, copied);
  }
  return copied;
}

struct MemoryFilesystem::Inode {
  struct DirectoryItem {
    std::string name;
    InodeRef inode;
  };

  Inode(uint64_t number, uint32_t mode, PageBudget& pages, FileLocks::Budget& lock_budget,
        uint64_t& live)
      : ino(number), mode(mode), data(pages), locks(lock_budget), live(live) {
    ++live;
  }
  ~Inode() { --live; }

  bool is_directory() const { return S_ISDIR(mode); }
  bool is_file() const { return S_ISREG(mode); }
  backends::Attributes attributes() const;
  // Now is when the contents (and so the status) changed, or the status alone.
  void TouchContents();
  void TouchStatus();

  uint64_t ino;
  uint32_t mode;
  uint32_t nlink = 1;
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint32_t device_major = 0;
  uint32_t device_minor = 0;
  timespec access_time{}, modification_time{}, change_time{}, birth_time{};
  SparseData data;
  FileLocks locks;
  std::string target;  // of a symlink
  std::map<std::string, std::string, std::less<>> xattrs;
  bool may_get_name = false;  // made without one (O_TMPFILE)

  // A directory's entries by name, and in the order they were made: an entry's cookie never
  // changes, so reading on from one is safe whatever comes or goes.
  std::map<std::string, uint64_t, std::less<>> cookies;
  std::map<uint64_t, DirectoryItem> items;
  uint64_t next_cookie = 3;  // 1 and 2 are "." and ".."
  std::weak_ptr<Inode> parent;

  // What the guest knows it by; 0 while it does not.
  uint64_t node = 0;
  uint64_t lookups = 0;
  uint64_t& live;  // counts the inodes there are
};

struct MemoryFilesystem::Handle {
  InodeRef inode;
  uint32_t flags = 0;
};

inline timespec Now() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return now;
}

inline statx_timestamp Timestamp(const timespec& time) {
  statx_timestamp stamp{};
  stamp.tv_sec = time.tv_sec;
  stamp.tv_nsec = static_cast<uint32_t>(time.tv_nsec);
  return stamp;
}

inline backends::Attributes MemoryFilesystem::Inode::attributes() const {
  backends::Attributes attributes{};
  attributes.stx_mask = STATX_BASIC_STATS | STATX_BTIME;
  attributes.stx_blksize = SparseData::kPageBytes;
  attributes.stx_nlink = nlink;
  attributes.stx_uid = uid;
  attributes.stx_gid = gid;
  attributes.stx_mode = static_cast<uint16_t>(mode);
  attributes.stx_ino = ino;
  attributes.stx_size = is_file() ? data.size() : target.size();
  attributes.stx_blocks = data.pages() * (SparseData::kPageBytes / 512);
  attributes.stx_rdev_major = device_major;
  attributes.stx_rdev_minor = device_minor;
  attributes.stx_atime = Timestamp(access_time);
  attributes.stx_mtime = Timestamp(modification_time);
  attributes.stx_ctime = Timestamp(change_time);
  attributes.stx_btime = Timestamp(birth_time);
  return attributes;
}

inline void MemoryFilesystem::Inode::TouchStatus() { change_time = Now(); }

inline void MemoryFilesystem::Inode::TouchContents() {
  modification_time = Now();
  change_time = modification_time;
}

}  // namespace fsd::memory

#endif  // FSD_BACKENDS_MEMORY_INODE_H_
