#include "tests/bench/back_end.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/errors/status_macros.h"
#include "tests/harness/front_end.h"

extern char** environ;

namespace fsd::bench {
namespace {

namespace fs = std::filesystem;

class Fsd : public BackEnd {
 public:
  Fsd(harness::RunningSupervisor& supervisor, uint32_t poll_us)
      : supervisor_(supervisor), poll_us_(poll_us) {}
  ~Fsd() override { Stop(); }
  std::string_view name() const override { return "fsd"; }

  absl::StatusOr<std::string> Start(const BackEndOptions& options) override {
    internal::ExportSpec spec;
    spec.set_id("bench");
    spec.set_source_path(options.directory);
    spec.set_tag("bench");
    spec.set_cache(internal::ExportSpec::CACHE_AUTO);
    spec.set_xattr(options.xattr);
    spec.set_request_queues(static_cast<uint32_t>(options.vrings));
    spec.set_poll_us(poll_us_);
    FSD_ASSIGN_OR_RETURN(const supervisor::ExportView view, supervisor_.Create(std::move(spec)));
    pid_ = view.worker_pid;
    return view.record.spec().socket_path();
  }

  void Stop() override {
    if (std::exchange(pid_, 0) != 0) supervisor_.Delete("bench", true).IgnoreError();
  }

  pid_t pid() const override { return pid_; }

 private:
  harness::RunningSupervisor& supervisor_;
  const uint32_t poll_us_;
  pid_t pid_ = 0;
};

// A daemon of another project.
class Peer : public BackEnd {
 public:
  using Command =
      std::function<std::vector<std::string>(const std::string& socket, const BackEndOptions&)>;
  Peer(std::string name, Command command) : name_(std::move(name)), command_(std::move(command)) {}
  ~Peer() override { Stop(); }
  std::string_view name() const override { return name_; }

  absl::StatusOr<std::string> Start(const BackEndOptions& options) override {
    char path[] = "/tmp/fsd-bench-XXXXXX";
    if (::mkdtemp(path) == nullptr) return ErrnoStatus(Errno::Last(), "mkdtemp");
    directory_ = path;
    const std::string socket = directory_ + "/socket";
    std::vector<std::string> words = command_(socket, options);
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_addopen(&actions, 2, (directory_ + "/log").c_str(),
                                       O_WRONLY | O_CREAT, 0600);
    const int error =
        ::posix_spawn(&pid_, arguments[0], &actions, nullptr, arguments.data(), environ);
    ::posix_spawn_file_actions_destroy(&actions);
    if (error != 0) {
      pid_ = 0;
      return ErrnoStatus(Errno(error), "start " + words[0]);
    }
    const auto deadline = std::chrono::steady_clock::now() + harness::kPatience;
    while (!fs::exists(socket)) {
      if (::waitpid(pid_, nullptr, WNOHANG) == pid_ ||
          std::chrono::steady_clock::now() > deadline) {
        std::ostringstream log;
        log << std::ifstream(directory_ + "/log").rdbuf();
        return absl::UnavailableError(absl::StrCat(words[0], " does not start: ", log.str()));
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return socket;
  }

  void Stop() override {
    if (pid_ != 0) {
      // Its sandboxed child ends with it or with the connection; whichever is left is ended here.
      const ProcessTree tree(pid_);
      for (const pid_t process : tree.pids()) ::kill(process, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
      pid_ = 0;
    }
    std::error_code ignored;
    if (!directory_.empty()) fs::remove_all(std::exchange(directory_, {}), ignored);
  }

  pid_t pid() const override { return pid_; }

 private:
  const std::string name_;
  const Command command_;
  std::string directory_;
  pid_t pid_ = 0;
};

// The parent of a process, 0 if it is gone.
pid_t ParentOf(pid_t process) {
  std::ifstream file(absl::StrCat("/proc/", process, "/stat"));
  std::string line;
  std::getline(file, line);
  const size_t end_of_name = line.rfind(')');
  if (end_of_name == std::string::npos) return 0;
  std::istringstream rest(line.substr(end_of_name + 1));
  char state = 0;
  pid_t parent = 0;
  rest >> state >> parent;
  return parent;
}

}  // namespace

std::unique_ptr<BackEnd> MakeFsd(harness::RunningSupervisor& supervisor, uint32_t poll_us) {
  return std::make_unique<Fsd>(supervisor, poll_us);
}

std::unique_ptr<BackEnd> MakeCVirtiofsd(std::string binary) {
  return std::make_unique<Peer>(
      "C virtiofsd",
      [=](const std::string& socket, const BackEndOptions& options) -> std::vector<std::string> {
        std::vector<std::string> words{binary, "--socket-path=" + socket, "-o",
                                       "source=" + options.directory};
        if (options.xattr) words.insert(words.end(), {"-o", "xattr"});
        return words;
      });
}

std::unique_ptr<BackEnd> MakeRustVirtiofsd(std::string binary) {
  return std::make_unique<Peer>(
      "Rust virtiofsd",
      [=](const std::string& socket, const BackEndOptions& options) -> std::vector<std::string> {
        std::vector<std::string> words{binary, "--socket-path=" + socket,
                                       "--shared-dir=" + options.directory};
        if (options.xattr) words.push_back("--xattr");
        return words;
      });
}

ProcessTree::ProcessTree(pid_t root) : pids_{root} {
  std::vector<std::pair<pid_t, pid_t>> parents;  // child, parent
  for (const fs::directory_entry& entry : fs::directory_iterator("/proc")) {
    const pid_t process = std::atoi(entry.path().filename().c_str());
    if (process > 0) parents.emplace_back(process, ParentOf(process));
  }
  for (size_t i = 0; i < pids_.size(); ++i) {
    for (const auto& [process, parent] : parents) {
      if (parent == pids_[i]) pids_.push_back(process);
    }
  }
}

CpuTime ProcessTree::Used() const {
  CpuTime used;
  for (const pid_t process : pids_) {
    clockid_t clock;
    timespec time{};
    if (::clock_getcpuclockid(process, &clock) == 0 && ::clock_gettime(clock, &time) == 0) {
      used.clock_ns += time.tv_sec * int64_t{1'000'000'000} + time.tv_nsec;
    }
    std::error_code gone;
    const std::string tasks = absl::StrCat("/proc/", process, "/task");
    for (const fs::directory_entry& entry : fs::directory_iterator(tasks, gone)) {
      std::ifstream file(entry.path() / "schedstat");
      int64_t nanoseconds = 0;
      if (file >> nanoseconds) used.schedstat_ns += nanoseconds;
    }
  }
  return used;
}

}  // namespace fsd::bench
