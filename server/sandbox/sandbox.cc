#include "server/sandbox/sandbox.h"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include "server/errors/status_macros.h"
#include "server/sandbox/capabilities.h"
#include "server/sandbox/mount_jail.h"
#include "server/sandbox/namespaces.h"
#include "server/sandbox/seccomp_filter.h"
#include "server/sandbox/worker_capabilities.h"

namespace fsd::sandbox {
namespace {

// No core file, no ptrace, and no terminal's signals.
absl::Status CloseProcess() {
  // Fails only for a session's or group's leader, which a terminal does not reach either, or which
  // was started by hand.
  static_cast<void>(::setsid());
  const rlimit no_core{0, 0};
  if (::setrlimit(RLIMIT_CORE, &no_core) != 0) {
    return ErrnoStatus(Errno::Last(), "setrlimit(RLIMIT_CORE)");
  }
  // After the capabilities: changing those may reset it.
  if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
    return ErrnoStatus(Errno::Last(), "prctl(PR_SET_DUMPABLE)");
  }
  // The guest has applied its own umask to every mode it sends.
  ::umask(0);
  return absl::OkStatus();
}

// All but what one of the processes to come needs. Fills in `jail` which that is.
absl::Status GiveUpCapabilities(const JailOptions& options, Jail& jail) {
  const bool content_with_less =
      options.in_user_namespace || (options.mode == Mode::kNone && ::geteuid() != 0);
  FSD_ASSIGN_OR_RETURN(
      jail.capabilities,
      ChooseCapabilities({.needed = DataPlaneCapabilities(
                              {.read_only = options.read_only, .xattr = options.xattr}),
                          .added = options.add_capabilities,
                          .dropped = options.drop_capabilities,
                          .content_with_less = content_with_less}));
  // Containers are rarely given it.
  jail.host_handles =
      options.host_handles &&
      (PermittedCapabilities() - options.drop_capabilities).Has(CAP_DAC_READ_SEARCH);
  if (jail.host_handles) {
    jail.handle_keeper_capabilities =
        HandleKeeperCapabilities(options.read_only, jail.capabilities);
  }
  return DropCapabilities(jail.capabilities | jail.handle_keeper_capabilities, content_with_less);
}

}  // namespace

absl::StatusOr<Jail> Enter(JailOptions options) {
  if (::getpid() != 1) {
    return absl::FailedPreconditionError("not the first process of a pid namespace");
  }
  os::UniqueFd user_namespace;
  if (!options.ids.empty()) {
    FSD_ASSIGN_OR_RETURN(user_namespace, MakeUserNamespace(options.ids));
  }
  // A tree of the host's mount namespace can only be cloned from inside it.
  FSD_ASSIGN_OR_RETURN(os::UniqueFd tree, CloneTree(options.source_directory.get()));
  // Through this one, ".." would still lead to the host's whole tree.
  options.source_directory.reset();
  FSD_RETURN_IF_ERROR(UnshareNamespaces());
  Jail jail;
  FSD_ASSIGN_OR_RETURN(jail.proc, MountProc());
  FSD_ASSIGN_OR_RETURN(jail.root,
                       PivotInto(std::move(tree), options.read_only, user_namespace.get()));
  FSD_RETURN_IF_ERROR(GiveUpCapabilities(options, jail));
  FSD_RETURN_IF_ERROR(CloseProcess());
  return jail;
}

absl::Status ReduceCapabilities(Process process, const Jail& jail) {
  switch (process) {
    case Process::kKeeper:
      return ReduceCapabilities({});
    case Process::kDataPlane:
      return ReduceCapabilities(jail.capabilities);
    case Process::kHandleKeeper:
      return ReduceCapabilities(jail.handle_keeper_capabilities);
  }
  return absl::InvalidArgumentError("no such process");
}

absl::StatusOr<SeccompFilter> CompileSeccompFilter(Process process, SeccompAction otherwise,
                                                   const DataPlaneNeeds& needs) {
  switch (process) {
    case Process::kKeeper:
      return SeccompFilter::Compile(KeeperSyscalls(), otherwise);
    case Process::kDataPlane:
      return SeccompFilter::Compile(DataPlaneSyscalls(needs), otherwise);
    case Process::kHandleKeeper:
      return SeccompFilter::Compile(HandleKeeperSyscalls(needs), otherwise);
  }
  return absl::InvalidArgumentError("no such process");
}

absl::Status InstallSeccompFilter(Process process) {
  FSD_ASSIGN_OR_RETURN(const SeccompFilter filter, CompileSeccompFilter(process));
  return filter.Install();
}

}  // namespace fsd::sandbox
