#include "server/supervisor/source_directory.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <optional>

#include "gmock/gmock.h"
#include "server/supervisor/error_reason.h"
#include "server/supervisor/event_loop.h"

namespace fsd::supervisor {
namespace {

using ::testing::HasSubstr;
using ::testing::Optional;

class SourceDirectoryTest : public ::testing::Test {
 protected:
  SourceDirectoryTest() {
    char name[] = "/tmp/fsd-source-XXXXXX";
    root_ = ::mkdtemp(name);
    for (const char* directory : {"/allowed", "/allowed/www", "/allowed/www/deep", "/secret"}) {
      ::mkdir((root_ + directory).c_str(), 0755);
    }
    ::close(::open((root_ + "/allowed/file").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
  }
  ~SourceDirectoryTest() override {
    [[maybe_unused]] const int status = ::system(("rm -rf " + root_).c_str());
  }

  absl::StatusOr<os::UniqueFd> Open(const std::string& path) const {
    return OpenSourceDirectory({root_ + "/allowed"}, root_ + path);
  }
  std::optional<std::string> ReasonFor(const std::string& path) const {
    return ReasonOf(Open(path).status());
  }
  void Link(const std::string& target, const std::string& path) const {
    ASSERT_EQ(::symlink(target.c_str(), (root_ + path).c_str()), 0);
  }
  bool IsSame(const os::UniqueFd& fd, const std::string& path) const {
    struct stat a, b;
    return ::fstat(fd.get(), &a) == 0 && ::stat((root_ + path).c_str(), &b) == 0 &&
           a.st_ino == b.st_ino && a.st_dev == b.st_dev;
  }

  std::string root_;
};

TEST_F(SourceDirectoryTest, OpensAnAllowedDirectoryAndThoseBelow) {
  for (const char* path : {"/allowed", "/allowed/www", "/allowed/www/deep"}) {
    const auto opened = Open(path);
    ASSERT_TRUE(opened.ok()) << opened.status();
    EXPECT_TRUE(IsSame(*opened, path));
    EXPECT_EQ(::fcntl(opened->get(), F_GETFL) & O_PATH, O_PATH);
  }
}

TEST_F(SourceDirectoryTest, WhatLiesElsewhereIsNotAllowed) {
  EXPECT_THAT(ReasonFor("/secret"), Optional(std::string("SOURCE_NOT_ALLOWED")));
  EXPECT_THAT(ReasonFor("/allowedx"), Optional(std::string("SOURCE_NOT_ALLOWED")));
  EXPECT_THAT(ReasonFor(""), Optional(std::string("SOURCE_NOT_ALLOWED")));
  EXPECT_THAT(std::string(Open("/secret").status().message()), HasSubstr(root_ + "/secret"));
}

TEST_F(SourceDirectoryTest, ASymbolicLinkCannotLeadOut) {
  Link(root_ + "/secret", "/allowed/absolute");
  Link("../secret", "/allowed/relative");
  Link("/proc/self/root", "/allowed/magic");
  EXPECT_THAT(ReasonFor("/allowed/absolute"), Optional(std::string("SOURCE_NOT_ALLOWED")));
  EXPECT_THAT(ReasonFor("/allowed/relative"), Optional(std::string("SOURCE_NOT_ALLOWED")));
  EXPECT_THAT(ReasonFor("/allowed/magic"), Optional(std::string("SOURCE_NOT_ALLOWED")));
  EXPECT_THAT(ReasonFor("/allowed/relative/x"), Optional(std::string("SOURCE_NOT_ALLOWED")));
}

TEST_F(SourceDirectoryTest, ASymbolicLinkThatStaysWithinIsFollowed) {
  Link("www/deep", "/allowed/link");
  const auto opened = Open("/allowed/link");
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_TRUE(IsSame(*opened, "/allowed/www/deep"));
}

TEST_F(SourceDirectoryTest, ALinkFromOneAllowedDirectoryIsJudgedByAnyThatContainsIt) {
  Link("../secret", "/allowed/relative");
  const auto opened = OpenSourceDirectory({root_ + "/allowed", root_}, root_ + "/allowed/relative");
  EXPECT_TRUE(opened.ok()) << opened.status();
}

TEST_F(SourceDirectoryTest, WhatIsMissingOrNoDirectoryIsToldApart) {
  EXPECT_THAT(ReasonFor("/allowed/missing"), Optional(std::string("SOURCE_NOT_FOUND")));
  EXPECT_THAT(ReasonFor("/allowed/file"), Optional(std::string("SOURCE_NOT_A_DIRECTORY")));
}

TEST_F(SourceDirectoryTest, TheBackgroundAnswersOnTheLoop) {
  const auto loop = *EventLoop::Create();
  std::optional<absl::StatusOr<os::UniqueFd>> answer;
  OpenSourceDirectoryInBackground(
      {root_ + "/allowed"}, root_ + "/allowed/www", loop->queue(),
      [&answer](absl::StatusOr<os::UniqueFd> opened) { answer = std::move(opened); });
  while (!answer.has_value()) loop->RunOnce();
  ASSERT_TRUE(answer->ok()) << answer->status();
  EXPECT_TRUE(IsSame(**answer, "/allowed/www"));
}

}  // namespace
}  // namespace fsd::supervisor
