// What comes along when a guest makes something: its umask, a security context, a supplementary
// group.
//
// Context and group are request extensions (7.38, Linux 6.3 on). Before that, a guest with which
// FUSE_SECURITY_CTX was agreed appended the context right behind the names (7.36). Linux sends one
// context at most, as one security module at most labels new files (security_dentry_init_security),
// and one group.
#ifndef FSD_SERVER_FUSE_CREATION_H_
#define FSD_SERVER_FUSE_CREATION_H_

#include <cstdint>
#include <span>

#include "backends/filesystem.h"
#include "server/errors/errno_or.h"
#include "server/fuse/request.h"

namespace fsd::fuse {

// `behind_names`: the arguments that are left when struct and names were taken. The views in the
// result live as long as the request's arguments. EINVAL: an extension that was not agreed on, is
// there twice, holds more than one context or group, names anything but a "security." attribute, or
// whose sizes do not fit. EOVERFLOW: the caller's ids have no place in the session's user namespace
// (kInvalidId), so nothing can belong to it.
ErrnoOr<backends::Creation> DecodeCreation(const Request& request,
                                           std::span<const char> behind_names, uint32_t umask);

}  // namespace fsd::fuse

#endif  // FSD_SERVER_FUSE_CREATION_H_
