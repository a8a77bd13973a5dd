#include "tests/semantics/check.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <utility>

namespace posix_check {
namespace {

// Relative to descriptors: on a share that caches nothing each component of a path is a request.
// False when something of it is left.
bool RemoveTree(int parent, const char* name) {
  const int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  DIR* directory = fd < 0 ? nullptr : fdopendir(fd);
  if (directory == nullptr) return false;
  while (const dirent* entry = readdir(directory)) {
    const std::string_view child = entry->d_name;
    if (child == "." || child == "..") continue;
    if (entry->d_type != DT_DIR && unlinkat(fd, entry->d_name, 0) == 0) continue;
    RemoveTree(fd, entry->d_name);
  }
  closedir(directory);
  return unlinkat(parent, name, AT_REMOVEDIR) == 0;
}

bool Selected(const std::string& name, const std::vector<std::string>& only) {
  for (const std::string& prefix : only) {
    if (name == prefix || name.rfind(prefix + "/", 0) == 0) return true;
  }
  return only.empty();
}

Report RunOne(const Registry::Check& check, int root, const std::string& name) {
  Report report;
  // Checks change the umask; each begins with the same.
  umask(022);
  report.Call("fchdir", fchdir(root));
  if (!report.Call("mkdir of the check's directory", mkdir(name.c_str(), 0755))) return report;
  if (report.Call("chdir", chdir(name.c_str()))) check.body(report);
  umask(022);
  report.Call("fchdir out of it", fchdir(root));
  report.True("the check's directory can be removed", RemoveTree(root, name.c_str()));
  return report;
}

}  // namespace

std::string ErrnoName(int error) {
  if (error == 0) return "0";
  const char* name = strerrorname_np(error);
  return name != nullptr ? name : std::to_string(error);
}

bool Report::Call(std::string_view what, std::int64_t returned, int want) {
  return Errno(what, returned == -1 ? errno : 0, want);
}

bool Report::Errno(std::string_view what, int got, int want) {
  if (got != want) Fail(what, ErrnoName(got), ErrnoName(want));
  return got == want;
}

bool Report::Equal(std::string_view what, std::int64_t got, std::int64_t want) {
  if (got != want) Fail(what, std::to_string(got), std::to_string(want));
  return got == want;
}

bool Report::Equal(std::string_view what, std::string_view got, std::string_view want) {
  if (got != want) Fail(what, "'" + std::string(got) + "'", "'" + std::string(want) + "'");
  return got == want;
}

bool Report::Mode(std::string_view what, unsigned got, unsigned want) {
  if (got == want) return true;
  char texts[2][16];
  snprintf(texts[0], sizeof(texts[0]), "%04o", got);
  snprintf(texts[1], sizeof(texts[1]), "%04o", want);
  Fail(what, texts[0], texts[1]);
  return false;
}

bool Report::True(std::string_view what, bool holds) {
  if (!holds) Fail(what, "no", "yes");
  return holds;
}

void Report::Fail(std::string_view what, std::string_view got, std::string_view want) {
  if (failed()) return;
  difference_ = std::string(what) + ": got " + std::string(got) + ", expected " + std::string(want);
}

void Report::Unsupported(std::string_view why) {
  if (unsupported_.empty()) unsupported_ = why;
}

void Registry::Add(std::string name, Body body) {
  checks_.push_back({std::move(name), std::move(body)});
}

int RunChecks(const Registry& registry, const RunOptions& options) {
  std::map<std::string, Expectation> expected;
  for (const Expectation& one : options.expected) expected.emplace(one.name, one);

  const std::string root = options.directory + "/posix_check." + std::to_string(getpid());
  if (mkdir(root.c_str(), 0755) != 0) {
    printf("FAIL set-up: mkdir %s: %s\nchecks=0 failed=1 unsupported=0\n", root.c_str(),
           ErrnoName(errno).c_str());
    return 1;
  }
  const int directory = open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  int run = 0;
  int failed = 0;
  int unsupported = 0;
  for (const Registry::Check& check : registry.checks()) {
    if (!Selected(check.name, options.only)) continue;
    const Report report = RunOne(check, directory, std::to_string(run));
    ++run;
    const bool differs = report.failed() || (report.unsupported() && options.require_all);
    const std::string& found = report.failed() ? report.difference() : report.why_unsupported();
    if (report.unsupported()) ++unsupported;
    if (auto known = expected.find(check.name); known != expected.end()) {
      if (!differs && known->second.must_occur) {
        ++failed;
        printf("FAIL %s: got no difference, expected one: %s\n", check.name.c_str(),
               known->second.reason.c_str());
      } else if (differs && options.verbose) {
        printf("expected %s: %s\n", check.name.c_str(), found.c_str());
      }
      expected.erase(known);
    } else if (differs) {
      ++failed;
      printf("FAIL %s: %s%s\n", check.name.c_str(),
             report.failed() ? "" : "unsupported: ", found.c_str());
    } else if (report.unsupported() && options.verbose) {
      printf("unsupported %s: %s\n", check.name.c_str(), found.c_str());
    }
    fflush(stdout);
  }
  for (const auto& [name, expectation] : expected) {
    if (!Selected(name, options.only)) continue;
    ++failed;
    printf("FAIL %s: got no check of this name, expected one that differs\n", name.c_str());
  }
  close(directory);
  if (chdir("/") != 0 || !RemoveTree(AT_FDCWD, root.c_str())) {
    ++failed;
    printf("FAIL clean-up: got %s, expected %s to be removed\n", ErrnoName(errno).c_str(),
           root.c_str());
  }
  printf("checks=%d failed=%d unsupported=%d\n", run, failed, unsupported);
  fflush(stdout);
  return failed;
}

}  // namespace posix_check
