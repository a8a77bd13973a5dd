#include "server/sandbox/seccomp_filter.h"

#include <linux/seccomp.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

#include "absl/strings/str_cat.h"
#include "server/errors/status_macros.h"
#include "server/os/unique_fd.h"

namespace fsd::sandbox {
namespace {

struct ReleaseContext {
  void operator()(void* context) const { ::seccomp_release(context); }
};
using Context = std::unique_ptr<void, ReleaseContext>;

// libseccomp answers 0 or a negative errno.
absl::Status Check(int result, std::string_view what) {
  return result == 0 ? absl::OkStatus() : ErrnoStatus(Errno(-result), what);
}

absl::Status Allow(scmp_filter_ctx context, const AllowedSyscall& allowed) {
  const ArgumentCheck& check = allowed.check;
  const scmp_arg_cmp compare{check.argument, SCMP_CMP_MASKED_EQ, check.mask, check.value};
  return Check(::seccomp_rule_add_array(context, SCMP_ACT_ALLOW, allowed.number,
                                        check.mask == 0 ? 0 : 1, &compare),
               absl::StrCat("seccomp rule for system call ", allowed.number));
}

absl::StatusOr<std::vector<sock_filter>> Export(scmp_filter_ctx context) {
  const os::UniqueFd file(::memfd_create("fsd-seccomp", MFD_CLOEXEC));
  if (!file.valid()) return ErrnoStatus(Errno::Last(), "memfd_create for a seccomp filter");
  FSD_RETURN_IF_ERROR(Check(::seccomp_export_bpf(context, file.get()), "seccomp_export_bpf"));
  std::vector<sock_filter> program(BPF_MAXINSNS);
  const ssize_t bytes = ::pread(file.get(), program.data(), program.size() * sizeof program[0], 0);
  if (bytes <= 0 || static_cast<size_t>(bytes) % sizeof program[0] != 0) {
    return absl::InternalError("the seccomp filter cannot be read");
  }
  program.resize(static_cast<size_t>(bytes) / sizeof program[0]);
  program.shrink_to_fit();
  return program;
}

uint32_t LibseccompAction(SeccompAction action) {
  switch (action) {
    case SeccompAction::kErrno:
      return SCMP_ACT_ERRNO(EPERM);
    case SeccompAction::kLog:
      return SCMP_ACT_LOG;
    default:
      return SCMP_ACT_KILL_PROCESS;
  }
}

}  // namespace

absl::StatusOr<SeccompFilter> SeccompFilter::Compile(std::span<const AllowedSyscall> allowed,
                                                     SeccompAction otherwise) {
  if (otherwise == SeccompAction::kOff) return SeccompFilter({});
  const uint32_t action = LibseccompAction(otherwise);
  const Context context(::seccomp_init(action));
  if (context == nullptr) return absl::ResourceExhaustedError("seccomp_init: out of memory");
  FSD_RETURN_IF_ERROR(Check(::seccomp_attr_set(context.get(), SCMP_FLTATR_ACT_BADARCH, action),
                            "seccomp_attr_set(ACT_BADARCH)"));
  // A search tree instead of a list: hot calls do not pay for the list's length.
  FSD_RETURN_IF_ERROR(Check(::seccomp_attr_set(context.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2),
                            "seccomp_attr_set(CTL_OPTIMIZE)"));
  for (const AllowedSyscall& row : allowed) FSD_RETURN_IF_ERROR(Allow(context.get(), row));
  FSD_RETURN_IF_ERROR(
      Check(::seccomp_rule_add(context.get(), SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0),
            "seccomp rule for clone3"));
  FSD_ASSIGN_OR_RETURN(std::vector<sock_filter> program, Export(context.get()));
  return SeccompFilter(std::move(program));
}

absl::Status SeccompFilter::Install() const {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    return ErrnoStatus(Errno::Last(), "prctl(PR_SET_NO_NEW_PRIVS)");
  }
  if (program_.empty()) return absl::OkStatus();
  std::vector<sock_filter> own = program_;
  for (sock_filter& instruction : own) {
    if (instruction.code != (BPF_JMP | BPF_JEQ | BPF_K)) continue;
    if (instruction.k == kInstallingProcess) instruction.k = static_cast<uint32_t>(::getpid());
  }
  const sock_fprog program{.len = static_cast<unsigned short>(own.size()), .filter = own.data()};
  // All threads, in case one was made before.
  const long result =
      ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program);
  if (result < 0) return ErrnoStatus(Errno::Last(), "seccomp(SECCOMP_SET_MODE_FILTER)");
  if (result > 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("seccomp: thread ", result, " has another filter"));
  }
  return absl::OkStatus();
}

}  // namespace fsd::sandbox
