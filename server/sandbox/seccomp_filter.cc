#include "server/sandbox/seccomp_filter.h"

#include <seccomp.h>

#include <cerrno>
#include <memory>

#include "absl/strings/str_cat.h"
#include "server/errors/status_macros.h"

namespace fsd::sandbox {
namespace {

struct ReleaseFilter {
  void operator()(void* filter) const { ::seccomp_release(filter); }
};
using Filter = std::unique_ptr<void, ReleaseFilter>;

// libseccomp answers 0 or a negative errno.
absl::Status Check(int result, std::string_view what) {
  return result == 0 ? absl::OkStatus() : ErrnoStatus(Errno(-result), what);
}

absl::Status Allow(scmp_filter_ctx filter, const AllowedSyscall& allowed) {
  const ArgumentCheck& check = allowed.check;
  const scmp_arg_cmp compare{check.argument, SCMP_CMP_MASKED_EQ, check.mask, check.value};
  return Check(::seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, allowed.number,
                                        check.mask == 0 ? 0 : 1, &compare),
               absl::StrCat("seccomp rule for system call ", allowed.number));
}

}  // namespace

absl::Status LoadSeccompFilter(std::span<const AllowedSyscall> allowed) {
  const Filter filter(::seccomp_init(SCMP_ACT_KILL_PROCESS));
  if (filter == nullptr) return absl::ResourceExhaustedError("seccomp_init: out of memory");
  FSD_RETURN_IF_ERROR(
      Check(::seccomp_attr_set(filter.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS),
            "seccomp_attr_set(ACT_BADARCH)"));
  // All threads, in case one was made before.
  FSD_RETURN_IF_ERROR(Check(::seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_TSYNC, 1),
                            "seccomp_attr_set(CTL_TSYNC)"));
  // A search tree instead of a list: hot calls do not pay for the list's length.
  FSD_RETURN_IF_ERROR(Check(::seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2),
                            "seccomp_attr_set(CTL_OPTIMIZE)"));
  for (const AllowedSyscall& row : allowed) FSD_RETURN_IF_ERROR(Allow(filter.get(), row));
  FSD_RETURN_IF_ERROR(
      Check(::seccomp_rule_add(filter.get(), SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0),
            "seccomp rule for clone3"));
  return Check(::seccomp_load(filter.get()), "seccomp_load");
}

}  // namespace fsd::sandbox
