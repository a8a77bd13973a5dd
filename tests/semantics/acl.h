// POSIX access control lists as text, and as the extended attributes that the kernel knows them by.
// No libacl: it would not let a wrong list through.
//
// A list is "u::rw-,u:other:r--,g::r--,m::rw-,o::---": the owner, a named user, the owning group,
// the mask, everybody else. Names are those of process.h's users, for a group that user's own one,
// or numbers.
#ifndef TESTS_SEMANTICS_ACL_H_
#define TESTS_SEMANTICS_ACL_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "tests/semantics/check.h"

namespace posix_check {

inline constexpr char kAccessAcl[] = "system.posix_acl_access";
inline constexpr char kDefaultAcl[] = "system.posix_acl_default";
// What GetAcl says where there is none.
inline constexpr char kNoAcl[] = "<ENODATA>";

// The kernel's format (linux/posix_acl_xattr.h), in the order given and right or wrong as it is. An
// 's' among the permissions is one that does not exist; an entry of kind 'x' is of none known.
std::string EncodeAcl(std::string_view text, std::uint32_t version = 2);
std::string DecodeAcl(std::string_view bytes);

int SetAcl(const std::string& path, const char* which, std::string_view text);
// The list as text; "<ENODATA>" and the like when it cannot be read.
std::string GetAcl(const std::string& path, const char* which);

// Adds the check "acl/NAME". `body` finds the owner's file `file` (0644), which holds "text", and
// his directory `dir` (0755); it is not run where there are no lists.
void AddAclCheck(Registry& registry, const std::string& name, const Body& body);

}  // namespace posix_check

#endif  // TESTS_SEMANTICS_ACL_H_
