// What tests of the jail have in common: processes that enter one, look about and report.
#ifndef FSD_SERVER_SANDBOX_JAIL_FIXTURE_H_
#define FSD_SERVER_SANDBOX_JAIL_FIXTURE_H_

#include <fcntl.h>

#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>

#include "gtest/gtest.h"
#include "server/os/unique_fd.h"
#include "server/sandbox/sandbox.h"

namespace fsd::sandbox {

// "done", or the name of the errno.
std::string Outcome(long result);

os::UniqueFd Open(int directory, const char* path, int flags = O_RDONLY);
std::string ReadAll(const os::UniqueFd& file);

// The value of one line of /proc/self/status.
std::string StatusLine(const Jail& jail, std::string_view name);

// Of a directory's entries, sorted, with blanks between.
std::string Names(int directory, const char* path);

// With a blank behind each. Braces evaluate from left to right.
std::string InOrder(std::initializer_list<std::string> outcomes);

// What `run` answers in a process of its own, and its wait status unless it is 0. `clone_flags`: as
// CLONE_NEWPID, whose first process it then is.
std::string InProcess(int clone_flags, const std::function<std::string()>& run);

// A directory to be the jail's, with a file "file", beside one that is not. The test's mount
// namespace is its own, and shares nothing with the host's. Needs real root.
class JailFixture : public ::testing::Test {
 protected:
  JailFixture();
  ~JailFixture() override;

  os::UniqueFd Source() const { return Open(AT_FDCWD, source_.c_str(), O_PATH); }

  std::string directory_;
  std::string source_;
};

}  // namespace fsd::sandbox

#endif  // FSD_SERVER_SANDBOX_JAIL_FIXTURE_H_
