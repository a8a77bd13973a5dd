#include "server/os/program.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "server/errors/status_macros.h"
#include "server/os/pid_fd.h"
#include "server/os/unique_fd.h"

namespace fsd::os {
namespace {

constexpr size_t kMaxOutputBytes = 400;

// The first bytes of what was written, on one line.
std::string Output(int file) {
  std::string text(kMaxOutputBytes, '\0');
  const ssize_t got = ::pread(file, text.data(), text.size(), 0);
  text.resize(got < 0 ? 0 : static_cast<size_t>(got));
  absl::StripTrailingAsciiWhitespace(&text);
  for (char& c : text) {
    if (!absl::ascii_isprint(static_cast<unsigned char>(c))) c = c == '\n' ? ' ' : '?';
  }
  return text;
}

// posix_spawn's two sets of settings, freed.
class SpawnSettings {
 public:
  explicit SpawnSettings(int output) {
    ::posix_spawn_file_actions_init(&actions_);
    ::posix_spawn_file_actions_addopen(&actions_, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    ::posix_spawn_file_actions_adddup2(&actions_, output, STDOUT_FILENO);
    ::posix_spawn_file_actions_adddup2(&actions_, output, STDERR_FILENO);
    ::posix_spawn_file_actions_addclosefrom_np(&actions_, STDERR_FILENO + 1);
    ::posix_spawnattr_init(&attributes_);
    sigset_t signals;
    ::sigemptyset(&signals);
    ::posix_spawnattr_setsigmask(&attributes_, &signals);
    ::sigfillset(&signals);
    ::posix_spawnattr_setsigdefault(&attributes_, &signals);
    ::posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }
  ~SpawnSettings() {
    ::posix_spawn_file_actions_destroy(&actions_);
    ::posix_spawnattr_destroy(&attributes_);
  }
  SpawnSettings(const SpawnSettings&) = delete;
  SpawnSettings& operator=(const SpawnSettings&) = delete;

  const posix_spawn_file_actions_t* actions() const { return &actions_; }
  const posix_spawnattr_t* attributes() const { return &attributes_; }

 private:
  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
};

// Nothing if it had to be killed.
std::optional<ExitStatus> AwaitEnd(pid_t pid, std::chrono::milliseconds patience) {
  const UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  pollfd ended{.fd = process.get(), .events = POLLIN, .revents = 0};
  const auto deadline = std::chrono::steady_clock::now() + patience;
  int ready = process.valid() ? 0 : 1;
  while (ready <= 0) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) break;
    ready = ::poll(&ended, 1, static_cast<int>(left.count()));
  }
  if (ready <= 0) ::kill(pid, SIGKILL);
  siginfo_t info{};
  while (::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED) != 0 && errno == EINTR) {
  }
  if (ready <= 0) return std::nullopt;
  return ExitStatus{.signaled = info.si_code != CLD_EXITED, .code = info.si_status};
}

}  // namespace

absl::Status RunProgram(const std::string& path, const std::vector<std::string>& arguments,
                        std::chrono::milliseconds patience) {
  const UniqueFd output(::memfd_create("output", MFD_CLOEXEC));
  if (!output.valid()) return ErrnoStatus(Errno::Last(), absl::StrCat("memfd_create for ", path));
  std::vector<char*> argv = {const_cast<char*>(path.c_str())};
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  char* environment[] = {nullptr};
  const SpawnSettings settings(output.get());
  pid_t pid = 0;
  const int error = ::posix_spawn(&pid, path.c_str(), settings.actions(), settings.attributes(),
                                  argv.data(), environment);
  if (error != 0) return ErrnoStatus(Errno(error), absl::StrCat("start ", path));
  const std::optional<ExitStatus> end = AwaitEnd(pid, patience);
  if (!end.has_value()) {
    return absl::DeadlineExceededError(
        absl::StrCat(path, " did not end within ", patience.count(), " ms"));
  }
  if (!end->signaled && end->code == 0) return absl::OkStatus();
  return absl::InternalError(absl::StrCat(path, " ", end->signaled ? "was " : "", end->Describe(),
                                          ": ", Output(output.get())));
}

}  // namespace fsd::os
