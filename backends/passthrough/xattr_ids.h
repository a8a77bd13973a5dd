// The user and group ids inside values of extended attributes: POSIX ACLs have one in each entry
// for a named user or group, and a file capability of version 3 has that of its namespace's root.
//
// Layouts: linux/posix_acl_xattr.h, and vfs_ns_cap_data of linux/capability.h; both little-endian.
#ifndef FSD_BACKENDS_PASSTHROUGH_XATTR_IDS_H_
#define FSD_BACKENDS_PASSTHROUGH_XATTR_IDS_H_

#include <span>
#include <string_view>

#include "backends/passthrough/id_map.h"
#include "server/errors/errno_or.h"

namespace fsd::passthrough {

enum class IdDirection { kToHost, kToGuest };

bool IsPosixAcl(std::string_view name);

// Whether values of attributes of this name, the guest's, may hold ids.
bool MayHoldIds(std::string_view name);

// Translates the ids in a value of attribute `name`. What is no such value stays as it is: the host
// has an errno for it. EPERM if the guest may not use one of them.
ErrnoOr<void> TranslateIds(std::string_view name, std::span<char> value, const IdMap& uids,
                           const IdMap& gids, IdDirection direction);

}  // namespace fsd::passthrough

#endif  // FSD_BACKENDS_PASSTHROUGH_XATTR_IDS_H_
