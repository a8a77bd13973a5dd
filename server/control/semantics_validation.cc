#include "server/control/semantics_validation.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "server/control/duration_check.h"

namespace fsd::control {
namespace {

constexpr int kMaxXattrRules = 256;
constexpr size_t kMaxXattrNameBytes = 255;  // XATTR_NAME_MAX
constexpr int64_t kMaxLockWaitSeconds = 3600;

void CheckRule(const v1::XattrRule& rule, const std::string& field, bool is_last,
               FieldChecks& checks) {
  if (rule.type() == v1::XattrRule::TYPE_UNSPECIFIED) {
    checks.Required(field + ".type",
                    "the rule's type is missing: PREFIX, OK, BAD, UNSUPPORTED or MAP");
  }
  checks.Text(field + ".key", rule.key(), kMaxXattrNameBytes);
  checks.Text(field + ".prepend", rule.prepend(), kMaxXattrNameBytes);
  if (rule.type() != v1::XattrRule::MAP) return;
  if (!is_last) {
    checks.Invalid(field + ".type",
                   "a MAP rule decides about every name, so that none behind it could match; make "
                   "it the last");
  }
  if (rule.scope() != v1::XattrRule::SCOPE_UNSPECIFIED) {
    checks.Invalid(field + ".scope", "a MAP rule works both ways; leave its scope unset");
  }
  if (rule.prepend().empty()) {
    checks.Invalid(field + ".prepend", "a MAP rule needs what to put before the names");
  }
}

void CheckXattrs(const v1::Semantics& semantics, FieldChecks& checks) {
  const int rules = semantics.xattr_rules_size();
  if (rules > kMaxXattrRules) {
    checks.Invalid("export.semantics.xattr_rules",
                   absl::StrCat("at most ", kMaxXattrRules, " rules, not ", rules));
    return;
  }
  for (int i = 0; i < rules; ++i) {
    CheckRule(semantics.xattr_rules(i), absl::StrCat("export.semantics.xattr_rules[", i, "]"),
              i + 1 == rules, checks);
  }
  if (semantics.xattr()) return;
  const auto needs_xattr = [&checks](const char* field, bool is_used) {
    if (!is_used) return;
    checks.Invalid(absl::StrCat("export.semantics.", field),
                   "needs extended attributes; set semantics.xattr too");
  };
  const auto is_used = [](v1::Use use) {
    return use != v1::USE_UNSPECIFIED && use != v1::USE_NEVER;
  };
  needs_xattr("xattr_rules", rules > 0);
  needs_xattr("posix_acl", is_used(semantics.posix_acl()));
  needs_xattr("security_label", is_used(semantics.security_label()));
}

void CheckLockWait(const v1::Semantics& semantics, FieldChecks& checks) {
  if (!semantics.has_lock_wait()) return;
  const std::string field = "export.semantics.lock_wait";
  const google::protobuf::Duration& wait = semantics.lock_wait();
  if (auto problem = DurationProblem(wait, kMaxLockWaitSeconds)) {
    checks.Invalid(field, *std::move(problem));
  } else if (wait.seconds() == 0 && wait.nanos() == 0) {
    checks.Invalid(field, "must be more than 0; leave it unset for 30 seconds");
  }
  if (semantics.locks() != v1::Semantics::SHARED) {
    checks.Invalid(field, "has no effect without locks SHARED");
  }
}

}  // namespace

void CheckSemantics(const v1::Semantics& semantics, FieldChecks& checks) {
  CheckXattrs(semantics, checks);
  CheckLockWait(semantics, checks);
}

}  // namespace fsd::control
