// ETXTBSY: a program that runs cannot be opened for writing, and one that is open for writing
// cannot be run.
#include <fcntl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <string>

#include "tests/semantics/files.h"
#include "tests/semantics/limit_parts.h"
#include "tests/semantics/process.h"

namespace posix_check {
namespace {

// This program itself, which is static, as `program`; false when there is no way to get at it.
bool MakeProgram(Report& r) {
  const std::string image = ReadFile("/proc/self/exe");
  if (image.size() < 4096) {
    r.Unsupported("no /proc/self/exe");
    return false;
  }
  return r.Call("copy the program", MakeFile("program", image, 0755));
}

// `program`, stopped at its first instruction: it runs, and does nothing.
class Running {
 public:
  Running() {
    pid_ = fork();
    if (pid_ == 0) {
      ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
      char* const arguments[] = {const_cast<char*>("program"), nullptr};
      char* const environment[] = {nullptr};
      execve("program", arguments, environment);
      _exit(errno);
    }
    int status = 0;
    if (waitpid(pid_, &status, 0) != pid_) {
      error_ = errno;
    } else if (!WIFSTOPPED(status)) {
      pid_ = -1;
      error_ = WIFEXITED(status) ? WEXITSTATUS(status) : EIO;
    }
  }
  ~Running() { End(); }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

  void End() {
    if (pid_ < 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
  // What execve failed with; 0 when it runs.
  int error() const { return error_; }

 private:
  pid_t pid_ = -1;
  int error_ = 0;
};

int Execute() { return Running().error(); }

int OpenOnce(const char* path, int flags) { return Open(path, flags).get() < 0 ? -1 : 0; }

// On `program`, while it runs. `link` is its other name, `other` another file.
struct Use {
  const char* name;
  int (*run)();
  int want;
};

const Use kUses[] = {
    {"open for writing", [] { return OpenOnce("program", O_WRONLY); }, ETXTBSY},
    {"open for both", [] { return OpenOnce("program", O_RDWR); }, ETXTBSY},
    {"open to append", [] { return OpenOnce("program", O_WRONLY | O_APPEND); }, ETXTBSY},
    {"open with O_TRUNC", [] { return OpenOnce("program", O_WRONLY | O_TRUNC); }, ETXTBSY},
    {"open with O_CREAT", [] { return OpenOnce("program", O_WRONLY | O_CREAT); }, ETXTBSY},
    {"open its other name for writing", [] { return OpenOnce("link", O_WRONLY); }, ETXTBSY},
    {"truncate", [] { return truncate("program", 0); }, ETXTBSY},
    {"open for reading", [] { return OpenOnce("program", O_RDONLY); }, 0},
    {"run again", [] { return Execute() == 0 ? 0 : -1; }, 0},
    {"chmod", [] { return chmod("program", 0700); }, 0},
    {"rename", [] { return rename("program", "renamed"); }, 0},
    {"replace", [] { return rename("other", "program"); }, 0},
    {"unlink", [] { return unlink("program"); }, 0},
};

}  // namespace

void AddBusyTextChecks(Registry& registry) {
  for (const Use& use : kUses) {
    registry.Add(std::string("limit/running program/") + use.name, [&use](Report& r) {
      if (!MakeProgram(r)) return;
      r.Call("link", link("program", "link"));
      r.Call("other", MakeFile("other"));
      const off_t size = Look("program").st_size;
      const Running program;
      if (!r.Errno("execve", program.error(), 0)) return;
      r.Call(use.name, use.run(), use.want);
      r.Equal("size", Look("link").st_size, size);
    });
  }
  registry.Add("limit/running program/it can be written when it has ended", [](Report& r) {
    if (!MakeProgram(r)) return;
    Running program;
    r.Errno("execve", program.error(), 0);
    r.Call("while it runs", OpenOnce("program", O_WRONLY), ETXTBSY);
    program.End();
    r.Call("afterwards", OpenOnce("program", O_WRONLY));
  });
  registry.Add("limit/open program/it does not run while open for writing", [](Report& r) {
    if (!MakeProgram(r)) return;
    Fd fd = Open("program", O_WRONLY);
    r.Errno("execve", Execute(), ETXTBSY);
    fd.Close();
    r.Errno("execve afterwards", Execute(), 0);
  });
  registry.Add("limit/open program/it does not run while another process writes", [](Report& r) {
    if (!MakeProgram(r)) return;
    Peer writer([](const std::function<void()>& pause) {
      const Fd fd = Open("program", O_RDWR);
      pause();
      return fd.get() < 0 ? EIO : 0;
    });
    r.True("the peer has it open", writer.AwaitPause());
    r.Errno("execve", Execute(), ETXTBSY);
    writer.Continue();
    r.Errno("the peer ends", writer.Wait(), 0);
    r.Errno("execve afterwards", Execute(), 0);
  });
  registry.Add("limit/open program/it runs while open for reading", [](Report& r) {
    if (!MakeProgram(r)) return;
    const Fd fd = Open("program", O_RDONLY);
    r.Errno("execve", Execute(), 0);
  });
}

}  // namespace posix_check
