#include "backends/passthrough/xattr_ids.h"

#include <endian.h>
#include <linux/capability.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "server/errors/status_macros.h"

namespace fsd::passthrough {
namespace {

constexpr std::string_view kCapability = "security.capability";

template <typename T>
T Load(const char* at) {
  T value;
  std::memcpy(&value, at, sizeof(value));
  return value;
}

ErrnoOr<void> TranslateId(char* at, const IdMap& map, IdDirection direction) {
  uint32_t id = le32toh(Load<uint32_t>(at));
  if (direction == IdDirection::kToGuest) {
    id = map.ToGuest(id);
  } else {
    FSD_ASSIGN_OR_RETURN_ERRNO(id, map.ToHost(id));
  }
  const uint32_t stored = htole32(id);
  std::memcpy(at, &stored, sizeof(stored));
  return {};
}

ErrnoOr<void> TranslateAcl(std::span<char> value, const IdMap& uids, const IdMap& gids,
                           IdDirection direction) {
  if (value.size() < sizeof(posix_acl_xattr_header) ||
      le32toh(Load<uint32_t>(value.data())) != POSIX_ACL_XATTR_VERSION) {
    return {};
  }
  value = value.subspan(sizeof(posix_acl_xattr_header));
  for (; value.size() >= sizeof(posix_acl_xattr_entry);
       value = value.subspan(sizeof(posix_acl_xattr_entry))) {
    const uint16_t tag = le16toh(Load<uint16_t>(value.data()));
    if (tag != ACL_USER && tag != ACL_GROUP) continue;
    FSD_RETURN_IF_ERRNO(TranslateId(value.data() + offsetof(posix_acl_xattr_entry, e_id),
                                    tag == ACL_USER ? uids : gids, direction));
  }
  return {};
}

}  // namespace

bool IsPosixAcl(std::string_view name) {
  return name == "system.posix_acl_access" || name == "system.posix_acl_default";
}

bool MayHoldIds(std::string_view name) { return IsPosixAcl(name) || name == kCapability; }

ErrnoOr<void> TranslateIds(std::string_view name, std::span<char> value, const IdMap& uids,
                           const IdMap& gids, IdDirection direction) {
  if (IsPosixAcl(name)) return TranslateAcl(value, uids, gids, direction);
  if (name != kCapability || value.size() != sizeof(vfs_ns_cap_data)) return {};
  const uint32_t magic = le32toh(Load<uint32_t>(value.data()));
  if ((magic & VFS_CAP_REVISION_MASK) != VFS_CAP_REVISION_3) return {};
  return TranslateId(value.data() + offsetof(vfs_ns_cap_data, rootid), uids, direction);
}

}  // namespace fsd::passthrough
