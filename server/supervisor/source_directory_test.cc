#include "server/supervisor/source_directory.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <optional>
#include <thread>

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

TEST_F(SourceDirectoryTest, ADirectoryThatIsExchangedForALinkMeanwhileNeverLeadsOut) {
  ::mkdir((root_ + "/secret/deep").c_str(), 0755);
  Link("../secret", "/allowed/link");
  const std::string www = root_ + "/allowed/www";
  const std::string link = root_ + "/allowed/link";
  std::atomic<bool> done = false;
  std::thread swapper([&] {
    while (!done) ::renameat2(AT_FDCWD, www.c_str(), AT_FDCWD, link.c_str(), RENAME_EXCHANGE);
  });
  int opened = 0;
  int escaped = 0;
  for (int i = 0; i < 20'000; ++i) {
    const auto directory = Open("/allowed/www/deep");
    if (!directory.ok()) continue;
    ++opened;
    escaped += IsSame(*directory, "/secret/deep") ? 1 : 0;
  }
  done = true;
  swapper.join();
  EXPECT_GT(opened, 0);
  EXPECT_EQ(escaped, 0);
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
