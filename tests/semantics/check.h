// The frame of posix_check: named checks, each in an empty directory of its own, and what they
// found.
//
// An area (names, links, locks ...) is a function that adds its checks to a Registry; a row of a
// table is a check. A check's body runs as root with the working directory set to its own new
// directory, which is removed afterwards with all that is in it. Its first difference is what is
// reported; a body may go on or return, as it likes.
//
// One thread. Child processes that a body starts must be waited for by it (see process.h).
#ifndef TESTS_SEMANTICS_CHECK_H_
#define TESTS_SEMANTICS_CHECK_H_

#include <cerrno>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace posix_check {

// "ENOENT"; "0" for success.
std::string ErrnoName(int error);

class Report {
 public:
  // For the outcome of a system call that returns -1 on failure. `want` is an errno, 0 for success.
  // To be called before anything else can change errno. Returns whether it is as wanted.
  bool Call(std::string_view what, std::int64_t returned, int want = 0);
  // For an errno, 0 for success.
  bool Errno(std::string_view what, int got, int want);
  bool Equal(std::string_view what, std::int64_t got, std::int64_t want);
  bool Equal(std::string_view what, std::string_view got, std::string_view want);
  // As Equal, written in octal: modes.
  bool Mode(std::string_view what, unsigned got, unsigned want);
  bool True(std::string_view what, bool holds);
  void Fail(std::string_view what, std::string_view got, std::string_view want);
  // The directory's file system does not have what this check is about.
  void Unsupported(std::string_view why);

  bool failed() const { return !difference_.empty(); }
  bool unsupported() const { return !failed() && !unsupported_.empty(); }
  const std::string& difference() const { return difference_; }
  const std::string& why_unsupported() const { return unsupported_; }

 private:
  std::string difference_;
  std::string unsupported_;
};

using Body = std::function<void(Report&)>;

// Further file systems that some checks need; empty where none was given.
struct Places {
  std::string small_fs;      // a few MiB large, for ENOSPC
  std::string quota_fs;      // a limit of a few MiB that ends in EDQUOT
  std::string read_only_fs;  // mounted read-only; holds `file`, `dir` and `link`
  std::string other_fs;      // any other file system, for EXDEV
};

class Registry {
 public:
  explicit Registry(Places places) : places_(std::move(places)) {}

  const Places& places() const { return places_; }
  // The name's first component is the area: "rename/noreplace/onto a file".
  void Add(std::string name, Body body);

  struct Check {
    std::string name;
    Body body;
  };
  const std::vector<Check>& checks() const { return checks_; }

 private:
  Places places_;
  std::vector<Check> checks_;
};

// A difference that is known and explained: the check of this name must, or may, fail (or be
// unsupported).
struct Expectation {
  std::string name;
  std::string reason;
  bool must_occur = true;
};

struct RunOptions {
  std::string directory;
  std::vector<std::string> only;  // areas, or beginnings of names; all when empty
  std::vector<Expectation> expected;
  bool require_all = false;  // what is unsupported has failed
  bool verbose = false;      // names what is unsupported, and what was expected to differ
};

// Runs the checks and prints what failed and the sum. Returns the number of failures.
int RunChecks(const Registry& registry, const RunOptions& options);

}  // namespace posix_check

#endif  // TESTS_SEMANTICS_CHECK_H_
