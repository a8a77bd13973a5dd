#include "server/control/cache_validation.h"

#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "server/control/duration_check.h"

namespace fsd::control {
namespace {

constexpr int64_t kMaxTimeoutSeconds = INT32_MAX;  // 68 years

void CheckTimeout(const char* field, bool is_set, const google::protobuf::Duration& timeout,
                  FieldChecks& checks) {
  if (!is_set) return;
  if (auto problem = DurationProblem(timeout, kMaxTimeoutSeconds)) {
    checks.Invalid(absl::StrCat("export.cache.", field), *std::move(problem));
  }
}

bool KeepsData(v1::Cache::Policy policy) {
  return policy != v1::Cache::NEVER && policy != v1::Cache::METADATA;
}

}  // namespace

void CheckCache(const v1::Export& resource, FieldChecks& checks) {
  const v1::Cache& cache = resource.cache();
  CheckTimeout("attr_timeout", cache.has_attr_timeout(), cache.attr_timeout(), checks);
  CheckTimeout("entry_timeout", cache.has_entry_timeout(), cache.entry_timeout(), checks);
  CheckTimeout("negative_timeout", cache.has_negative_timeout(), cache.negative_timeout(), checks);
  if (cache.writeback() && !KeepsData(cache.policy())) {
    checks.Invalid("export.cache.writeback",
                   absl::StrCat("policy ", v1::Cache::Policy_Name(cache.policy()),
                                " lets the guest keep no data that it could write later; use "
                                "policy AUTO or ALWAYS, or no writeback"));
  }
  if (!cache.zero_message_open()) return;
  if (cache.policy() != v1::Cache::ALWAYS) {
    checks.Invalid("export.cache.zero_message_open",
                   "needs policy ALWAYS: a file that is not opened cannot be checked for changes");
  }
  if (resource.semantics().locks() == v1::Semantics::SHARED) {
    checks.Invalid("export.cache.zero_message_open",
                   "locks SHARED belong to open files; use one or the other");
  }
  if (cache.direct_io()) {
    checks.Invalid("export.cache.direct_io",
                   "has no effect with zero_message_open, as the server is not told of O_DIRECT; "
                   "use one or the other");
  }
  if (resource.semantics().preserve_noatime()) {
    checks.Invalid("export.semantics.preserve_noatime",
                   "has no effect with cache.zero_message_open, as the server is not told of "
                   "O_NOATIME; use one or the other");
  }
}

}  // namespace fsd::control
