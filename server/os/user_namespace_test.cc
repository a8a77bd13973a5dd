// Each test makes a namespace in a process of its own, perhaps as an ordinary user, looks at it
// from inside, and reports.
#include "server/os/user_namespace.h"

#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"

namespace fsd::os {
namespace {

using ::testing::HasSubstr;

// A user that has a name, which newuidmap wants.
constexpr uid_t kNobody = 65534;

std::string ReadAll(int fd) {
  std::string text;
  char buffer[4096];
  for (ssize_t got; (got = ::read(fd, buffer, sizeof buffer)) > 0;) text.append(buffer, got);
  return text;
}

std::string InChild(const std::function<std::string()>& run) {
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) != 0) return "pipe2";
  const pid_t child = ::fork();
  if (child == 0) {
    const std::string report = run();
    ::_exit(::write(fds[1], report.data(), report.size()) == static_cast<ssize_t>(report.size())
                ? 0
                : 1);
  }
  ::close(fds[1]);
  std::string report = ReadAll(fds[0]);
  ::close(fds[0]);
  ::waitpid(child, nullptr, 0);
  return report;
}

absl::StatusOr<UniqueFd> Make(const IdMaps& maps, MapWriter writer) {
  const UniqueFd proc(::open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC));
  return MakeUserNamespace(maps, writer, proc.get());
}

// A map's numbers with single spaces.
std::string MapIn(const char* file) {
  std::ifstream lines(file);
  std::ostringstream text;
  for (std::string number; lines >> number;) text << number << ' ';
  return text.str();
}

// What a process sees that has entered it.
std::string SeenFromInside(const absl::StatusOr<UniqueFd>& made) {
  if (!made.ok()) return std::string(made.status().message());
  return InChild([&]() -> std::string {
    if (::setns(made->get(), CLONE_NEWUSER) != 0) return ::strerrorname_np(errno);
    const bool denied = ::setgroups(0, nullptr) != 0;
    return absl::StrCat("uids ", MapIn("/proc/self/uid_map"), "gids ", MapIn("/proc/self/gid_map"),
                        denied ? "setgroups denied" : "setgroups allowed");
  });
}

bool BecomeNobody() {
  return ::setgroups(0, nullptr) == 0 && ::setresgid(kNobody, kNobody, kNobody) == 0 &&
         ::setresuid(kNobody, kNobody, kNobody) == 0 && ::prctl(PR_SET_DUMPABLE, 1) == 0;
}

// In a host whose `path` is `contents`, for this process only.
bool Replace(const char* path, const std::string& contents) {
  std::string file = ::testing::TempDir() + "/replacement-XXXXXX";
  const UniqueFd fd(::mkstemp(file.data()));
  return ::fchmod(fd.get(), 0644) == 0 &&
         ::write(fd.get(), contents.data(), contents.size()) ==
             static_cast<ssize_t>(contents.size()) &&
         ::mount(file.c_str(), path, nullptr, MS_BIND, nullptr) == 0;
}

// Of an ordinary user who may use 300000 … 365535, or of whom these files say something else.
std::string BySubordinateIds(const std::string& subuid, const IdMaps& maps,
                             const char* missing_program = nullptr) {
  return InChild([&]() -> std::string {
    if (::unshare(CLONE_NEWNS) != 0 ||
        ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
      return "no host of its own";
    }
    if (!Replace("/etc/subuid", subuid) || !Replace("/etc/subgid", subuid)) return "no subuid";
    if (missing_program != nullptr && !Replace(missing_program, "")) return "still there";
    if (!BecomeNobody()) return "not nobody";
    return SeenFromInside(Make(maps, MapWriter::kPrograms));
  });
}

const IdMaps kSubordinate{.uids = {{0, kNobody, 1}, {1, 300'000, 65536}},
                          .gids = {{0, kNobody, 1}, {1, 300'000, 65536}}};

TEST(UserNamespaceTest, ThePrivilegedMapAnything) {
  const IdMaps maps{.uids = {{0, 100'000, 1000}, {5000, 0, 1}}, .gids = {{7, 8, 9}}};
  EXPECT_EQ(SeenFromInside(Make(maps, MapWriter::kPrivileged)),
            "uids 0 100000 1000 5000 0 1 gids 7 8 9 setgroups allowed");
}

TEST(UserNamespaceTest, AnOrdinaryUserMapsItself) {
  EXPECT_EQ(InChild([]() -> std::string {
              if (!BecomeNobody()) return "not nobody";
              return SeenFromInside(
                  Make({.uids = {{0, kNobody, 1}}, .gids = {{0, kNobody, 1}}}, MapWriter::kOwner));
            }),
            "uids 0 65534 1 gids 0 65534 1 setgroups denied");
}

TEST(UserNamespaceTest, AnOrdinaryUserMapsNobodyElse) {
  EXPECT_EQ(InChild([]() -> std::string {
              if (!BecomeNobody()) return "not nobody";
              return SeenFromInside(
                  Make({.uids = {{0, 1000, 1}}, .gids = {{0, kNobody, 1}}}, MapWriter::kOwner));
            }),
            "write of uid_map: Operation not permitted");
}

TEST(UserNamespaceTest, SubordinateIdsAreMappedByPrograms) {
  EXPECT_EQ(BySubordinateIds("nobody:300000:65536\n", kSubordinate),
            "uids 0 65534 1 1 300000 65536 gids 0 65534 1 1 300000 65536 setgroups allowed");
}

TEST(UserNamespaceTest, IdsThatAreNotTheUsersAreRefusedByThePrograms) {
  EXPECT_THAT(BySubordinateIds("nobody:300000:100\n", kSubordinate),
              HasSubstr("newuidmap exited with status 1: newuidmap: uid range [1-65537) -> "
                        "[300000-365536) not allowed"));
}

TEST(UserNamespaceTest, AMissingProgramIsNamed) {
  EXPECT_EQ(BySubordinateIds("nobody:300000:65536\n", kSubordinate, "/usr/bin/newgidmap"),
            "the program newgidmap is not there; install the package uidmap");
}

TEST(UserNamespaceTest, AMapThatTheKernelRefusesIsNamed) {
  EXPECT_EQ(Make({.uids = {{0, 0, 1}}, .gids = {{0, 5, 10}, {5, 100, 10}}}, MapWriter::kPrivileged)
                .status()
                .message(),
            "write of gid_map: Invalid argument");
}

TEST(UserNamespaceTest, AProcessWithThreadsMakesOneAndKeepsNothingOfIt) {
  std::thread([] {
    for (int i = 0; i < 20; ++i) {
      EXPECT_TRUE(Make({.uids = {{0, 0, 1}}, .gids = {{0, 0, 1}}}, MapWriter::kPrivileged).ok());
    }
  }).join();
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
  EXPECT_EQ(errno, ECHILD);
}

}  // namespace
}  // namespace fsd::os
