// What the host says of an inode: its attributes and its identity.
//
// An inode is (mount, device, number) for as long as an fd is held on it; the number may be another
// inode's after that. The time of birth and the type tell two such inodes apart where the file
// system knows them, the host handle (host_handle.h) always.
#ifndef FSD_BACKENDS_PASSTHROUGH_INODE_H_
#define FSD_BACKENDS_PASSTHROUGH_INODE_H_

#include <cstdint>
#include <utility>

#include "backends/filesystem.h"
#include "backends/passthrough/component_name.h"
#include "server/errors/errno_or.h"

namespace fsd::passthrough {

using backends::Attributes;

struct InodeKey {
  uint64_t mount = 0;
  uint64_t device = 0;
  uint64_t number = 0;

  friend bool operator==(const InodeKey&, const InodeKey&) = default;
  template <typename H>
  friend H AbslHashValue(H state, const InodeKey& key) {
    return H::combine(std::move(state), key.mount, key.device, key.number);
  }
};

// An inode's slot; no pointers, see slot_table.h. 64 bytes with the slot's state.
struct InodeRecord {
  int32_t fd;     // O_PATH; the record owns it, across processes even, so no UniqueFd can. -1
                  // while the inode is held by handle: see inode_references.h
  uint32_t type;  // S_IFMT bits
  InodeKey key;
  int64_t birth_seconds;
  uint64_t birth_nanoseconds;
  uint64_t lookups;  // what FORGET gives back; written under the lock of the key's shard

  void Dispose();
};
static_assert(sizeof(InodeRecord) == 56);

InodeKey KeyOf(const Attributes& attributes);

// A record of what `fd` holds, with one lookup. `fd` stays the caller's until it is published.
InodeRecord MakeInodeRecord(int fd, const Attributes& attributes);

// Whether `attributes`, got by name and so perhaps of an inode that is gone, are those of `record`.
bool SameInode(const InodeRecord& record, const Attributes& attributes);

// statx(2) with all that the guest and the identity need. A symlink is not followed.
ErrnoOr<void> StatFd(int fd, Attributes& attributes);
ErrnoOr<Attributes> StatFd(int fd);
ErrnoOr<void> StatChild(int directory, const ComponentName& name, Attributes& attributes);
ErrnoOr<Attributes> StatChild(int directory, const ComponentName& name);

// Whether a write to `fd` has setuid or setgid to clear. It costs less than dropping a capability
// for each write of a guest's ordinary users would; and only the mode is asked for, because a write
// that follows a look at the times has to journal finer ones.
bool MayHaveSuidgid(int fd);

// How many names the inode has, as the host knows without asking a server.
ErrnoOr<uint32_t> CachedLinkCount(int fd);

}  // namespace fsd::passthrough

#endif  // FSD_BACKENDS_PASSTHROUGH_INODE_H_
