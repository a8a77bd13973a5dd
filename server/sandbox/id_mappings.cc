#include "server/sandbox/id_mappings.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/errors/status_macros.h"
#include "server/sandbox/mount_jail.h"

namespace fsd::sandbox {
namespace {

// A process in a user namespace of its own, which waits to be killed.
class Inhabitant {
 public:
  static absl::StatusOr<Inhabitant> Create() {
    // The raw call, as it is given no stack: like fork(2).
    const long pid =
        ::syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, nullptr, nullptr, nullptr, nullptr);
    if (pid < 0) return ErrnoStatus(Errno::Last(), "clone(CLONE_NEWUSER) for the ids' mapping");
    if (pid == 0) {
      while (true) ::pause();
    }
    return Inhabitant(static_cast<pid_t>(pid));
  }
  Inhabitant(Inhabitant&& other) noexcept : pid_(std::exchange(other.pid_, 0)) {}
  ~Inhabitant() {
    if (pid_ == 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }

  // Its directory in `proc`.
  absl::StatusOr<os::UniqueFd> Open(int proc) const {
    os::UniqueFd directory(
        ::openat(proc, absl::StrCat(pid_).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!directory.valid()) return ErrnoStatus(Errno::Last(), "open of a process in proc");
    return directory;
  }

 private:
  explicit Inhabitant(pid_t pid) : pid_(pid) {}
  pid_t pid_;
};

// A map has to be written whole, in one call.
absl::Status Write(int process, const char* name, const std::vector<IdRange>& ranges) {
  std::string lines;
  for (const IdRange& range : ranges) {
    // An idmapped mount shows the namespace's "inside" ids of the file system as its "outside".
    absl::StrAppend(&lines, range.outside_first, " ", range.inside_first, " ", range.count, "\n");
  }
  const os::UniqueFd map(::openat(process, name, O_WRONLY | O_CLOEXEC));
  if (!map.valid()) return ErrnoStatus(Errno::Last(), absl::StrCat("open of ", name));
  if (::write(map.get(), lines.data(), lines.size()) != static_cast<ssize_t>(lines.size())) {
    return ErrnoStatus(Errno::Last(), absl::StrCat("write of ", name));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<os::UniqueFd> MakeUserNamespace(const IdMappings& mappings) {
  // The host's proc, if there is one here, does not know the child by the id that we know it by.
  FSD_ASSIGN_OR_RETURN(const os::UniqueFd proc, MountProc(ProcAccess::kWritable));
  FSD_ASSIGN_OR_RETURN(const Inhabitant inhabitant, Inhabitant::Create());
  FSD_ASSIGN_OR_RETURN(const os::UniqueFd process, inhabitant.Open(proc.get()));
  FSD_RETURN_IF_ERROR(Write(process.get(), "uid_map", mappings.uids));
  FSD_RETURN_IF_ERROR(Write(process.get(), "gid_map", mappings.gids));
  os::UniqueFd user_namespace(::openat(process.get(), "ns/user", O_RDONLY | O_CLOEXEC));
  if (!user_namespace.valid()) return ErrnoStatus(Errno::Last(), "open of the user namespace");
  return user_namespace;
}

}  // namespace fsd::sandbox
