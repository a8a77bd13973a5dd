#include "tests/harness/filtered_calls.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <set>
#include <span>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/errors/check.h"

namespace fsd::harness {
namespace {

using Program = std::vector<sock_filter>;

// What `program` makes of `call`: bpf(4), the classic one, as far as libseccomp uses it.
uint32_t Run(const Program& program, const seccomp_data& call) {
  uint32_t accumulator = 0;
  for (size_t at = 0; at < program.size(); ++at) {
    const sock_filter& instruction = program[at];
    const auto jump = [&](bool taken) { at += taken ? instruction.jt : instruction.jf; };
    switch (instruction.code) {
      case BPF_LD | BPF_W | BPF_ABS:
        FSD_CHECK(instruction.k + sizeof accumulator <= sizeof call);
        std::memcpy(&accumulator, reinterpret_cast<const char*>(&call) + instruction.k,
                    sizeof accumulator);
        break;
      case BPF_ALU | BPF_AND | BPF_K:
        accumulator &= instruction.k;
        break;
      case BPF_JMP | BPF_JA:
        at += instruction.k;
        break;
      case BPF_JMP | BPF_JEQ | BPF_K:
        jump(accumulator == instruction.k);
        break;
      case BPF_JMP | BPF_JGT | BPF_K:
        jump(accumulator > instruction.k);
        break;
      case BPF_JMP | BPF_JGE | BPF_K:
        jump(accumulator >= instruction.k);
        break;
      case BPF_JMP | BPF_JSET | BPF_K:
        jump((accumulator & instruction.k) != 0);
        break;
      case BPF_RET | BPF_K:
        return instruction.k;
      default:
        FSD_CHECK(false);
    }
  }
  FSD_CHECK(false);
  return SECCOMP_RET_KILL_PROCESS;
}

void ReadMemory(pid_t process, uint64_t address, std::span<std::byte> into) {
  const iovec local{into.data(), into.size()};
  const iovec remote{reinterpret_cast<void*>(address), into.size()};
  FSD_CHECK(::process_vm_readv(process, &local, 1, &remote, 1, 0) ==
            static_cast<ssize_t>(into.size()));
}

Program ReadProgram(pid_t process, uint64_t address) {
  sock_fprog header{};
  ReadMemory(process, address, std::as_writable_bytes(std::span(&header, 1)));
  Program program(header.len);
  ReadMemory(process, reinterpret_cast<uint64_t>(header.filter),
             std::as_writable_bytes(std::span(program)));
  return program;
}

std::string NameOf(int number) {
  const std::unique_ptr<char, decltype(&::free)> name(
      ::seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, number), ::free);
  return name == nullptr ? absl::StrCat(number) : name.get();
}

pid_t ProcessOf(pid_t thread) {
  std::ifstream status(absl::StrCat("/proc/", thread, "/status"));
  for (std::string word; status >> word;) {
    pid_t process = 0;
    if (word == "Tgid:" && status >> process) return process;
  }
  return thread;  // just gone
}

bool IsWorker(pid_t thread) {
  std::error_code gone;
  return std::filesystem::read_symlink(absl::StrCat("/proc/", thread, "/exe"), gone).filename() ==
         "fsd-worker";
}

class Tracer {
 public:
  explicit Tracer(pid_t program) : program_(program) {}

  FilteredCalls Trace() {
    int status = 0;
    for (pid_t thread; (thread = ::waitpid(-1, &status, __WALL)) > 0;) {
      if (WIFSTOPPED(status)) {
        OnStop(thread, status);
      } else {
        OnEnd(thread, status);
      }
    }
    FSD_CHECK(errno == ECHILD);
    return std::move(calls_);
  }

 private:
  void OnEnd(pid_t thread, int status) {
    processes_.erase(thread);
    if (thread != program_) return;
    calls_.exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

  void OnStop(pid_t thread, int status) {
    const int event = status >> 16;
    const int signal = WSTOPSIG(status);
    const auto [known, is_new] = processes_.try_emplace(thread, 0);
    if (is_new) known->second = ProcessOf(thread);
    const pid_t process = known->second;
    if (event == PTRACE_EVENT_STOP && signal != SIGTRAP) {
      ::ptrace(PTRACE_LISTEN, thread, nullptr, nullptr);  // a SIGSTOP of the test's
      return;
    }
    // A process may be seen before the news that it was made.
    if ((is_new || event == PTRACE_EVENT_EXEC) && IsWorker(thread)) workers_.insert(process);
    const bool system_call = signal == (SIGTRAP | 0x80);
    if (system_call) OnSystemCall(thread, process);
    // Fails if it has been killed meanwhile.
    ::ptrace(workers_.contains(process) ? PTRACE_SYSCALL : PTRACE_CONT, thread, nullptr,
             event != 0 || system_call ? 0 : signal);
  }

  void OnSystemCall(pid_t thread, pid_t process) {
    struct __ptrace_syscall_info info {};
    if (::ptrace(PTRACE_GET_SYSCALL_INFO, thread, sizeof info, &info) <= 0) return;
    if (info.op != PTRACE_SYSCALL_INFO_ENTRY) return;
    seccomp_data call{};
    call.nr = static_cast<int>(info.entry.nr);
    call.arch = info.arch;
    call.instruction_pointer = info.instruction_pointer;
    std::memcpy(call.args, info.entry.args, sizeof call.args);
    if (const auto filter = filters_.find(process); filter != filters_.end()) {
      Judge(filter->second, call);
    } else if (call.nr == SYS_seccomp && call.args[0] == SECCOMP_SET_MODE_FILTER &&
               call.args[2] != 0) {  // without a program libseccomp asks what there is
      filters_.emplace(process, ReadProgram(process, call.args[2]));
      ++calls_.filters;
    }
  }

  void Judge(const Program& filter, const seccomp_data& call) {
    const std::string name = NameOf(call.nr);
    ++calls_.made[name];
    const uint32_t action = Run(filter, call) & SECCOMP_RET_ACTION_FULL;
    if (action == SECCOMP_RET_ALLOW || call.nr == SYS_clone3) return;
    std::string& first = calls_.not_allowed[name];
    if (!first.empty()) return;
    for (const uint64_t argument : call.args) absl::StrAppend(&first, absl::Hex(argument), " ");
  }

  const pid_t program_;
  std::map<pid_t, pid_t> processes_;  // by thread
  std::set<pid_t> workers_;           // processes
  std::map<pid_t, Program> filters_;  // by process
  FilteredCalls calls_;
};

[[noreturn]] void Execute(const std::vector<std::string>& command,
                          const std::vector<std::string>& environment) {
  std::vector<char*> arguments;
  for (const std::string& argument : command) {
    arguments.push_back(const_cast<char*>(argument.c_str()));
  }
  arguments.push_back(nullptr);
  for (const std::string& variable : environment) ::putenv(const_cast<char*>(variable.c_str()));
  ::execv(arguments[0], arguments.data());
  ::_exit(127);
}

}  // namespace

FilteredCalls TraceWorkersOf(const std::vector<std::string>& command,
                             const std::vector<std::string>& environment) {
  int attached[2];
  FSD_CHECK(::pipe2(attached, O_CLOEXEC) == 0);
  const pid_t program = ::fork();
  FSD_CHECK(program >= 0);
  if (program == 0) {
    char byte;
    if (::read(attached[0], &byte, 1) != 1) ::_exit(127);
    Execute(command, environment);
  }
  constexpr long kOptions = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
                            PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
  FSD_CHECK(::ptrace(PTRACE_SEIZE, program, nullptr, kOptions) == 0);
  FSD_CHECK(::write(attached[1], "x", 1) == 1);
  ::close(attached[0]);
  ::close(attached[1]);
  return Tracer(program).Trace();
}

}  // namespace fsd::harness
