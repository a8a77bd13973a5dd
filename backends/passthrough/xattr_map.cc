#include "backends/passthrough/xattr_map.h"

#include <cstring>
#include <utility>

namespace fsd::passthrough {
namespace {

using Scope = XattrRule::Scope;
using Type = XattrRule::Type;

}  // namespace

ErrnoOr<XattrName> XattrName::Make(std::string_view prefix, std::string_view name) {
  const size_t size = prefix.size() + name.size();
  if (name.empty() || size > kMaxBytes) return Errno(ERANGE);
  if (name.find('\0') != name.npos) return Errno(EINVAL);
  XattrName made;
  prefix.copy(made.text_, prefix.size());
  name.copy(made.text_ + prefix.size(), name.size());
  made.text_[size] = '\0';
  return made;
}

XattrMap::XattrMap(std::vector<XattrRule> rules) {
  for (XattrRule& rule : rules) {
    if (rule.type != Type::kMap) {
      rules_.push_back(std::move(rule));
      continue;
    }
    const std::string& key = rule.key;
    const std::string& prepend = rule.prepend;
    rules_.push_back({Type::kPrefix, Scope::kAll, key, prepend});
    if (key.empty()) {
      rules_.push_back({Type::kBad, Scope::kAll, "", ""});
    } else {
      rules_.push_back({Type::kBad, Scope::kServer, "", key});
      rules_.push_back({Type::kBad, Scope::kClient, prepend, ""});
      rules_.push_back({Type::kOk, Scope::kAll, "", ""});
    }
  }
}

ErrnoOr<XattrName> XattrMap::ToHost(std::string_view guest) const {
  if (rules_.empty()) return XattrName::Make("", guest);
  for (const XattrRule& rule : rules_) {
    if (rule.scope == Scope::kServer || !guest.starts_with(rule.key)) continue;
    switch (rule.type) {
      case Type::kPrefix:
        return XattrName::Make(rule.prepend, guest);
      case Type::kOk:
        return XattrName::Make("", guest);
      case Type::kUnsupported:
        return Errno(EOPNOTSUPP);
      case Type::kBad:
      case Type::kMap:
        return Errno(EPERM);
    }
  }
  return Errno(EPERM);
}

std::optional<std::string_view> XattrMap::ToGuest(std::string_view host) const {
  if (rules_.empty()) return host;
  for (const XattrRule& rule : rules_) {
    if (rule.scope == Scope::kClient || !host.starts_with(rule.prepend)) continue;
    if (rule.type == Type::kPrefix && host.size() > rule.prepend.size()) {
      return host.substr(rule.prepend.size());
    }
    if (rule.type == Type::kOk) return host;
    return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace fsd::passthrough
