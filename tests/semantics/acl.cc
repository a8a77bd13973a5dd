#include "tests/semantics/acl.h"

#include <endian.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "tests/semantics/files.h"
#include "tests/semantics/process.h"

namespace posix_check {
namespace {

struct Kind {
  char letter;
  int plain;  // "u::"
  int named;  // "u:other:"
};

constexpr Kind kKinds[] = {
    {'u', ACL_USER_OBJ, ACL_USER},
    {'g', ACL_GROUP_OBJ, ACL_GROUP},
    {'m', ACL_MASK, ACL_MASK},
    {'o', ACL_OTHER, ACL_OTHER},
};

const User* const kUsers[] = {&kRoot, &kOwner, &kGroupMember, &kAlsoMember, &kOther};

// What is not named has the id that is nobody's.
std::uint32_t IdOf(char letter, std::string_view name) {
  if (name.empty()) return 0xffffffff;
  for (const User* user : kUsers) {
    if (name == user->name) return letter == 'u' ? user->uid : user->gid;
  }
  return strtoul(std::string(name).c_str(), nullptr, 10);
}

std::string NameOf(char letter, std::uint32_t id) {
  for (const User* user : kUsers) {
    if (id == (letter == 'u' ? user->uid : user->gid)) return user->name;
  }
  return std::to_string(id);
}

int PermissionsOf(std::string_view letters) {
  int permissions = 0;
  for (const char letter : letters) {
    permissions |= letter == 'r'   ? ACL_READ
                   : letter == 'w' ? ACL_WRITE
                   : letter == 'x' ? ACL_EXECUTE
                   : letter == 's' ? 8
                                   : 0;
  }
  return permissions;
}

}  // namespace

std::string EncodeAcl(std::string_view text, std::uint32_t version) {
  const posix_acl_xattr_header header = {.a_version = htole32(version)};
  std::string bytes(reinterpret_cast<const char*>(&header), sizeof(header));
  while (!text.empty()) {
    const std::string_view one = text.substr(0, text.find(','));
    text.remove_prefix(std::min(text.size(), one.size() + 1));
    const size_t colon = one.find(':', 2);
    const std::string_view name = one.substr(2, colon - 2);
    int tag = 0x40;
    for (const Kind& kind : kKinds) {
      if (kind.letter == one[0]) tag = name.empty() ? kind.plain : kind.named;
    }
    posix_acl_xattr_entry entry = {};
    entry.e_tag = htole16(tag);
    entry.e_perm = htole16(PermissionsOf(one.substr(colon + 1)));
    entry.e_id = htole32(IdOf(one[0], name));
    bytes.append(reinterpret_cast<const char*>(&entry), sizeof(entry));
  }
  return bytes;
}

std::string DecodeAcl(std::string_view bytes) {
  posix_acl_xattr_header header;
  if (bytes.size() < sizeof(header)) return "<short>";
  memcpy(&header, bytes.data(), sizeof(header));
  if (le32toh(header.a_version) != POSIX_ACL_XATTR_VERSION) return "<version>";
  bytes.remove_prefix(sizeof(header));
  std::string text;
  while (!bytes.empty()) {
    posix_acl_xattr_entry entry;
    if (bytes.size() < sizeof(entry)) return text + "<short>";
    memcpy(&entry, bytes.data(), sizeof(entry));
    bytes.remove_prefix(sizeof(entry));
    const int tag = le16toh(entry.e_tag);
    if (!text.empty()) text += ',';
    for (const Kind& kind : kKinds) {
      if (tag != kind.plain && tag != kind.named) continue;
      text += kind.letter;
      text += ':';
      if (tag != kind.plain) text += NameOf(kind.letter, le32toh(entry.e_id));
      text += ':';
    }
    const int permissions = le16toh(entry.e_perm);
    text += permissions & ACL_READ ? 'r' : '-';
    text += permissions & ACL_WRITE ? 'w' : '-';
    text += permissions & ACL_EXECUTE ? 'x' : '-';
  }
  return text;
}

int SetAcl(const std::string& path, const char* which, std::string_view text) {
  const std::string bytes = EncodeAcl(text);
  return setxattr(path.c_str(), which, bytes.data(), bytes.size(), 0);
}

std::string GetAcl(const std::string& path, const char* which) {
  char bytes[4096];
  const ssize_t size = getxattr(path.c_str(), which, bytes, sizeof(bytes));
  if (size < 0) return "<" + ErrnoName(errno) + ">";
  return DecodeAcl({bytes, static_cast<size_t>(size)});
}

void AddAclCheck(Registry& registry, const std::string& name, const Body& body) {
  registry.Add("acl/" + name, [body](Report& r) {
    // This list says no more than the directory's mode.
    if (SetAcl(".", kAccessAcl, "u::rwx,g::r-x,o::r-x") != 0 && errno == EOPNOTSUPP) {
      return r.Unsupported("no access control lists");
    }
    r.Call("make the file", MakeFile("file", "text"));
    r.Call("make the directory", MakeDir("dir"));
    r.Call("chown the file", chown("file", kOwner.uid, kOwner.gid));
    r.Call("chown the directory", chown("dir", kOwner.uid, kOwner.gid));
    body(r);
  });
}

}  // namespace posix_check
