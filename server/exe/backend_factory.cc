#include "server/exe/backend_factory.h"

#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "backends/passthrough/passthrough_filesystem.h"
#include "server/errors/status_macros.h"

namespace fsd::exe {
namespace {

using internal::ExportSpec;
using passthrough::IdMap;
using passthrough::IdTranslation;
using passthrough::XattrMap;
using passthrough::XattrRule;

// The specification's numbers of kinds, types and scopes come from a client by way of a disk.
absl::StatusOr<IdTranslation::Kind> KindOf(ExportSpec::IdTranslation::Kind kind) {
  using Kind = IdTranslation::Kind;
  switch (kind) {
    case ExportSpec::IdTranslation::MAP:
      return Kind::kMap;
    case ExportSpec::IdTranslation::SQUASH_GUEST:
      return Kind::kSquashGuest;
    case ExportSpec::IdTranslation::SQUASH_HOST:
      return Kind::kSquashHost;
    case ExportSpec::IdTranslation::FORBID_GUEST:
      return Kind::kForbidGuest;
    case ExportSpec::IdTranslation::GUEST:
      return Kind::kGuest;
    case ExportSpec::IdTranslation::HOST:
      return Kind::kHost;
    default:
      return absl::InvalidArgumentError("an id translation without a kind");
  }
}

template <typename Translations>
absl::StatusOr<IdMap> IdMapOf(const Translations& wanted) {
  std::vector<IdTranslation> translations;
  for (const ExportSpec::IdTranslation& one : wanted) {
    FSD_ASSIGN_OR_RETURN(const IdTranslation::Kind kind, KindOf(one.kind()));
    translations.push_back({.kind = kind,
                            .guest_first = one.guest_first(),
                            .host_first = one.host_first(),
                            .count = one.count()});
  }
  return IdMap::Create(translations);
}

absl::StatusOr<XattrRule> RuleOf(const ExportSpec::XattrRule& wanted) {
  XattrRule rule{.key = wanted.key(), .prepend = wanted.prepend()};
  switch (wanted.type()) {
    case ExportSpec::XattrRule::PREFIX:
      rule.type = XattrRule::Type::kPrefix;
      break;
    case ExportSpec::XattrRule::OK:
      rule.type = XattrRule::Type::kOk;
      break;
    case ExportSpec::XattrRule::BAD:
      rule.type = XattrRule::Type::kBad;
      break;
    case ExportSpec::XattrRule::UNSUPPORTED:
      rule.type = XattrRule::Type::kUnsupported;
      break;
    case ExportSpec::XattrRule::MAP:
      rule.type = XattrRule::Type::kMap;
      break;
    default:
      return absl::InvalidArgumentError("a rule for extended attributes without a type");
  }
  switch (wanted.scope()) {
    case ExportSpec::XattrRule::SCOPE_UNSPECIFIED:
    case ExportSpec::XattrRule::ALL:
      rule.scope = XattrRule::Scope::kAll;
      break;
    case ExportSpec::XattrRule::CLIENT:
      rule.scope = XattrRule::Scope::kClient;
      break;
    case ExportSpec::XattrRule::SERVER:
      rule.scope = XattrRule::Scope::kServer;
      break;
    default:
      return absl::InvalidArgumentError("a rule for extended attributes of an unknown scope");
  }
  return rule;
}

passthrough::HostHandles HostHandlesOf(ExportSpec::HostHandles wanted) {
  switch (wanted) {
    case ExportSpec::HOST_HANDLES_NEVER:
      return passthrough::HostHandles::kNever;
    case ExportSpec::HOST_HANDLES_ALWAYS:
      return passthrough::HostHandles::kAlways;
    default:
      return passthrough::HostHandles::kPrefer;
  }
}

absl::StatusOr<XattrMap> XattrMapOf(const ExportSpec& spec) {
  std::vector<XattrRule> rules;
  for (const ExportSpec::XattrRule& wanted : spec.xattr_rules()) {
    FSD_ASSIGN_OR_RETURN(XattrRule rule, RuleOf(wanted));
    rules.push_back(std::move(rule));
  }
  return XattrMap(std::move(rules));
}

}  // namespace

absl::StatusOr<passthrough::Options> PassthroughOptions(const ExportSpec& spec) {
  passthrough::Options options;
  options.read_only = spec.read_only();
  options.xattr = spec.xattr();
  FSD_ASSIGN_OR_RETURN(options.xattr_map, XattrMapOf(spec));
  options.posix_acl =
      spec.posix_acl() == ExportSpec::USE_AUTO || spec.posix_acl() == ExportSpec::USE_ALWAYS;
  FSD_ASSIGN_OR_RETURN(options.uids, IdMapOf(spec.uid_translations()));
  FSD_ASSIGN_OR_RETURN(options.gids, IdMapOf(spec.gid_translations()));
  options.open_policy = {.writeback = spec.writeback(),
                         .direct_io = spec.direct_io(),
                         .preserve_noatime = spec.preserve_noatime()};
  options.zero_message_open = spec.zero_message_open();
  options.shared_locks = spec.shared_locks();
  if (spec.has_lock_wait_nanos()) options.lock_wait = absl::Nanoseconds(spec.lock_wait_nanos());
  options.max_inode_fds = spec.max_inode_fds();
  options.host_handles = HostHandlesOf(spec.host_handles());
  return options;
}

bool UsesHostHandles(const ExportSpec& spec) {
  return HostHandlesOf(spec.host_handles()) != passthrough::HostHandles::kNever;
}

absl::StatusOr<std::unique_ptr<backends::Filesystem>> MakeBackend(
    const ExportSpec& spec, os::UniqueFd root, os::UniqueFd proc_self_fd,
    std::unique_ptr<passthrough::HandleBroker> broker) {
  FSD_ASSIGN_OR_RETURN(passthrough::Options options, PassthroughOptions(spec));
  options.root = std::move(root);
  options.proc_self_fd = std::move(proc_self_fd);
  options.broker = std::move(broker);
  return passthrough::PassthroughFilesystem::Create(std::move(options));
}

}  // namespace fsd::exe
