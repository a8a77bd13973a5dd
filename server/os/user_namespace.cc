#include "server/os/user_namespace.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "server/errors/status_macros.h"
#include "server/os/program.h"

namespace fsd::os {
namespace {

// A name service may stand behind them.
constexpr std::chrono::seconds kProgramPatience{10};

// It shares the memory of a thread that goes on, errno included: raw calls that do not fail.
int WaitToBeKilled(void*) {
  ::syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  while (true) ::syscall(SYS_ppoll, nullptr, 0, nullptr, nullptr, 0);
}

// A process in a user namespace of its own, which waits to be killed.
class Inhabitant {
 public:
  static absl::StatusOr<std::unique_ptr<Inhabitant>> Create() {
    std::unique_ptr<Inhabitant> inhabitant(new Inhabitant);
    // With every signal blocked no handler of ours runs in it.
    sigset_t all, before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    inhabitant->pid_ =
        ::clone(WaitToBeKilled, inhabitant->stack_.data() + inhabitant->stack_.size(),
                CLONE_VM | CLONE_NEWUSER | SIGCHLD, nullptr);
    const Errno error = Errno::Last();
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    if (inhabitant->pid_ < 0) return ErrnoStatus(error, "clone(CLONE_NEWUSER)");
    return inhabitant;
  }
  ~Inhabitant() {
    if (pid_ < 0) return;
    ::kill(pid_, SIGKILL);
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  Inhabitant(const Inhabitant&) = delete;
  Inhabitant& operator=(const Inhabitant&) = delete;

  pid_t pid() const { return pid_; }
  // Its directory in `proc`.
  absl::StatusOr<UniqueFd> Open(int proc) const {
    UniqueFd directory(
        ::openat(proc, absl::StrCat(pid_).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!directory.valid()) return ErrnoStatus(Errno::Last(), "open of a process in proc");
    return directory;
  }

 private:
  Inhabitant() = default;

  alignas(16) std::array<std::byte, size_t{16} << 10> stack_;
  pid_t pid_ = -1;
};

// In one call: a map has to be written whole.
absl::Status Write(int process, const char* name, std::string_view text) {
  const UniqueFd file(::openat(process, name, O_WRONLY | O_CLOEXEC));
  if (!file.valid()) return ErrnoStatus(Errno::Last(), absl::StrCat("open of ", name));
  if (::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    return ErrnoStatus(Errno::Last(), absl::StrCat("write of ", name));
  }
  return absl::OkStatus();
}

std::string Lines(const std::vector<IdRange>& ranges) {
  std::string lines;
  for (const IdRange& range : ranges) {
    absl::StrAppend(&lines, range.inside_first, " ", range.outside_first, " ", range.count, "\n");
  }
  return lines;
}

// In the directories of PATH, then in the usual ones.
absl::StatusOr<std::string> FindProgram(std::string_view name) {
  const char* const path = std::getenv("PATH");
  std::string directories = path == nullptr ? "" : path;
  directories += ":/usr/bin:/usr/local/bin:/bin:/usr/sbin:/sbin";
  for (const auto directory : absl::StrSplit(directories, ':')) {
    if (directory.empty() || directory[0] != '/') continue;
    std::string program = absl::StrCat(directory, "/", Absl(name));
    if (::access(program.c_str(), X_OK) == 0) return program;
  }
  return absl::NotFoundError(
      absl::StrCat("the program ", Absl(name), " is not there; install the package uidmap"));
}

absl::Status RunMapProgram(std::string_view name, pid_t pid, const std::vector<IdRange>& ranges) {
  FSD_ASSIGN_OR_RETURN(const std::string program, FindProgram(name));
  std::vector<std::string> arguments = {absl::StrCat(pid)};
  for (const IdRange& range : ranges) {
    arguments.push_back(absl::StrCat(range.inside_first));
    arguments.push_back(absl::StrCat(range.outside_first));
    arguments.push_back(absl::StrCat(range.count));
  }
  return RunProgram(program, arguments, kProgramPatience);
}

}  // namespace

absl::StatusOr<UniqueFd> MakeUserNamespace(const IdMaps& maps, MapWriter writer, int proc) {
  FSD_ASSIGN_OR_RETURN(const std::unique_ptr<Inhabitant> inhabitant, Inhabitant::Create());
  FSD_ASSIGN_OR_RETURN(const UniqueFd process, inhabitant->Open(proc));
  if (writer == MapWriter::kPrograms) {
    FSD_RETURN_IF_ERROR(RunMapProgram("newuidmap", inhabitant->pid(), maps.uids));
    FSD_RETURN_IF_ERROR(RunMapProgram("newgidmap", inhabitant->pid(), maps.gids));
  } else {
    FSD_RETURN_IF_ERROR(Write(process.get(), "uid_map", Lines(maps.uids)));
    if (writer == MapWriter::kOwner) {
      FSD_RETURN_IF_ERROR(Write(process.get(), "setgroups", "deny"));
    }
    FSD_RETURN_IF_ERROR(Write(process.get(), "gid_map", Lines(maps.gids)));
  }
  UniqueFd user_namespace(::openat(process.get(), "ns/user", O_RDONLY | O_CLOEXEC));
  if (!user_namespace.valid()) return ErrnoStatus(Errno::Last(), "open of the user namespace");
  return user_namespace;
}

}  // namespace fsd::os
