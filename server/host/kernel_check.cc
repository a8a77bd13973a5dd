#include "server/host/kernel_check.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace fsd::host {

using Level = HostCheck::Level;

HostCheck CheckKernel(const KernelFacts& facts) {
  HostCheck check{.check = "KERNEL", .found = absl::StrCat("Linux ", facts.release)};
  if (facts.missing_calls.empty()) {
    absl::StrAppend(&check.found, ", with all system calls that fsd makes",
                    facts.has_statmount ? ", and statmount" : "");
    return check;
  }
  check.level = Level::kError;
  absl::StrAppend(&check.found, ", without ", absl::StrJoin(facts.missing_calls, ", "));
  check.cost = "workers cannot be started or jailed";
  check.remedy =
      "run Linux 5.12 or later; in a container, let its seccomp profile allow these calls";
  return check;
}

HostCheck CheckNamespaces(const KernelFacts& facts) {
  HostCheck check{.check = "NAMESPACES"};
  if (facts.has_sys_admin) {
    check.found = absl::StrCat("CAP_SYS_ADMIN",
                               facts.user_namespace_error.empty() ? " and user namespaces" : "");
    if (facts.user_namespace_error.empty()) return check;
    check.level = Level::kWarning;
    absl::StrAppend(&check.found, "; no user namespace can be made: ", facts.user_namespace_error);
    check.cost = "exports with ids.uid_namespace or ids.gid_namespace are refused";
    check.remedy =
        "raise the sysctl user.max_user_namespaces, and see what the host's security "
        "module says about user namespaces";
    return check;
  }
  if (facts.user_namespace_error.empty()) {
    check.level = Level::kWarning;
    check.found = "user namespaces, without CAP_SYS_ADMIN";
    check.cost = "guests have the user's own files only, no host handles and no device nodes";
    check.remedy = "start fsd as root, if exports are to have more";
    return check;
  }
  check.level = Level::kError;
  check.found =
      absl::StrCat("neither CAP_SYS_ADMIN nor user namespaces: ", facts.user_namespace_error);
  check.cost = "exports with sandbox mode NAMESPACE, which is the default, cannot be served";
  check.remedy =
      "start fsd as root; or raise the sysctl user.max_user_namespaces and, on a host "
      "that restricts them, allow fsd unprivileged user namespaces";
  return check;
}

HostCheck CheckSeccomp(const KernelFacts& facts) {
  HostCheck check{.check = "SECCOMP", .found = "filters of system calls, which kill"};
  if (facts.seccomp_kills) return check;
  check.level = Level::kError;
  check.found = "no filters of system calls that kill a process";
  check.cost = "workers cannot be confined to the system calls that they need, and do not start";
  check.remedy = "run a kernel with CONFIG_SECCOMP_FILTER";
  return check;
}

HostCheck CheckLandlock(const KernelFacts& facts) {
  // What each version brings: landlock(7).
  constexpr int kUsable = 2;
  constexpr int kScoped = 6;
  HostCheck check{.check = "LANDLOCK", .found = absl::StrCat("Landlock ABI ", facts.landlock_abi)};
  if (facts.landlock_abi >= kScoped) return check;
  check.level = Level::kWarning;
  if (facts.landlock_abi == 0) {
    check.found = "no Landlock";
    check.cost =
        "a worker that is taken over is held by its mount jail and its list of system "
        "calls alone; in sandbox mode NONE nothing keeps it from the host's files";
    check.remedy =
        "run Linux 5.19 or later with Landlock on: CONFIG_SECURITY_LANDLOCK, and "
        "landlock in the kernel's lsm= parameter";
  } else if (facts.landlock_abi < kUsable) {
    absl::StrAppend(&check.found,
                    ", which is not used: it would forbid to rename from one "
                    "directory to another");
    check.cost = "as without Landlock: the mount jail and the list of system calls stand alone";
    check.remedy = "run Linux 5.19 or later";
  } else {
    absl::StrAppend(&check.found, ", which guards files but no signals and abstract sockets");
    check.cost =
        "in sandbox modes CHROOT and NONE a worker that is taken over can end other "
        "processes of its user";
    check.remedy = "run Linux 6.12 or later, or keep weakest_sandbox at namespace";
  }
  return check;
}

}  // namespace fsd::host
