#include "server/sandbox/jail_fixture.h"

#include <dirent.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace fsd::sandbox {

std::string Outcome(long result) { return result >= 0 ? "done" : ::strerrorname_np(errno); }

os::UniqueFd Open(int directory, const char* path, int flags) {
  return os::UniqueFd(::openat(directory, path, flags | O_CLOEXEC));
}

std::string ReadAll(const os::UniqueFd& file) {
  std::string text;
  char buffer[4096];
  for (ssize_t got; (got = ::read(file.get(), buffer, sizeof buffer)) > 0;) {
    text.append(buffer, static_cast<size_t>(got));
  }
  return text;
}

std::string StatusLine(const Jail& jail, std::string_view name) {
  std::istringstream status(ReadAll(Open(jail.proc.get(), "self/status")));
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(name)) return line.substr(name.size() + 2);
  }
  return "no such line";
}

std::string Names(int directory, const char* path) {
  std::set<std::string> names;
  DIR* listing = ::fdopendir(Open(directory, path, O_RDONLY | O_DIRECTORY).release());
  while (const dirent* entry = ::readdir(listing)) names.insert(entry->d_name);
  ::closedir(listing);
  names.erase(".");
  names.erase("..");
  return absl::StrJoin(names, " ");
}

std::string InOrder(std::initializer_list<std::string> outcomes) {
  std::string text;
  for (const std::string& outcome : outcomes) absl::StrAppend(&text, outcome, " ");
  return text;
}

std::string InProcess(int clone_flags, const std::function<std::string()>& run) {
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) != 0) return "pipe2";
  os::UniqueFd reader(fds[0]);
  os::UniqueFd writer(fds[1]);
  const long child = ::syscall(SYS_clone, clone_flags | SIGCHLD, nullptr, nullptr, nullptr, 0);
  if (child < 0) return absl::StrCat("clone: ", ::strerrorname_np(errno));
  if (child == 0) {
    const std::string report = run();
    const ssize_t written = ::write(writer.get(), report.data(), report.size());
    ::_exit(written == static_cast<ssize_t>(report.size()) ? 0 : 1);
  }
  writer.reset();
  std::string report = ReadAll(reader);
  int status = 0;
  ::waitpid(static_cast<pid_t>(child), &status, 0);
  if (status != 0) absl::StrAppend(&report, " [wait status ", status, "]");
  return report;
}

JailFixture::JailFixture() {
  EXPECT_EQ(::unshare(CLONE_NEWNS), 0);
  EXPECT_EQ(::mount("", "/", nullptr, MS_REC | MS_PRIVATE, ""), 0);
  char path[] = "/tmp/fsd-jail-XXXXXX";
  directory_ = ::mkdtemp(path);
  ::chmod(directory_.c_str(), 0755);
  source_ = directory_ + "/source";
  ::mkdir(source_.c_str(), 0777);
  std::ofstream(source_ + "/file") << "text";
  std::ofstream(directory_ + "/outside") << "secret";
}

JailFixture::~JailFixture() { std::filesystem::remove_all(directory_); }

}  // namespace fsd::sandbox
