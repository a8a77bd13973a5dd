// XattrMap: the names of extended attributes between a guest and its host, by virtiofsd's rules
// (its documentation: "Extended attribute mapping").
//
// A guest's name goes through the rules whose scope has the client's side and whose `key` it begins
// with; a host's name, in a list, through those that have the server's side and whose `prepend` it
// begins with. The first that matches decides:
//
//               the guest's name                    the host's name
//   prefix      `prepend` is put before it          `prepend` is taken off
//   ok          stays                               stays
//   bad         EPERM                               hidden
//   unsupported EOPNOTSUPP                          hidden
//   none        EPERM                               hidden
//
// `map` stands for "prefix all '' PREPEND; bad all '' ''" if its key is empty, and otherwise for
// "prefix all KEY PREPEND; bad server '' KEY; bad client PREPEND ''; ok all '' ''". A map without
// rules is the identity.
//
// Immutable; any thread.
#ifndef FSD_BACKENDS_PASSTHROUGH_XATTR_MAP_H_
#define FSD_BACKENDS_PASSTHROUGH_XATTR_MAP_H_

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/errors/errno_or.h"

namespace fsd::passthrough {

struct XattrRule {
  enum class Type { kPrefix, kOk, kBad, kUnsupported, kMap };
  enum class Scope { kClient, kServer, kAll };

  Type type = Type::kBad;
  Scope scope = Scope::kAll;  // ignored of kMap
  std::string key;
  std::string prepend;
};

// An attribute's name for a system call: NUL-terminated, on the stack.
class XattrName {
 public:
  static constexpr size_t kMaxBytes = 255;  // XATTR_NAME_MAX

  // `prefix` and `name` together. ERANGE if they are empty or too long, EINVAL with a NUL inside.
  static ErrnoOr<XattrName> Make(std::string_view prefix, std::string_view name);

  const char* c_str() const { return text_; }

 private:
  XattrName() = default;

  char text_[kMaxBytes + 1];
};

class XattrMap {
 public:
  // The identity.
  XattrMap() = default;
  explicit XattrMap(std::vector<XattrRule> rules);

  // The host's name of what the guest calls `guest`; XattrName's errors too.
  ErrnoOr<XattrName> ToHost(std::string_view guest) const;
  // The guest's name of what the host lists as `host`; nothing if it is hidden.
  std::optional<std::string_view> ToGuest(std::string_view host) const;

 private:
  std::vector<XattrRule> rules_;  // without kMap
};

}  // namespace fsd::passthrough

#endif  // FSD_BACKENDS_PASSTHROUGH_XATTR_MAP_H_
