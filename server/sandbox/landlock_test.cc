// Each test forks a process, confines it to a tree and lets it try something there or elsewhere.
#include "server/sandbox/landlock.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <initializer_list>
#include <string>

#include "gtest/gtest.h"
#include "server/os/unique_fd.h"

namespace fsd::sandbox {
namespace {

std::string Outcome(long result) { return result >= 0 ? "done" : ::strerrorname_np(errno); }

// Braces evaluate from left to right.
std::string InOrder(std::initializer_list<std::string> outcomes) {
  std::string text;
  for (const std::string& outcome : outcomes) text += outcome + " ";
  return text;
}

class LandlockTest : public ::testing::Test {
 protected:
  LandlockTest() {
    char path[] = "/tmp/fsd-landlock-XXXXXX";
    directory_ = ::mkdtemp(path);
    for (const char* made : {"/tree", "/tree/one", "/tree/two", "/outside"}) {
      ::mkdir((directory_ + made).c_str(), 0755);
    }
    std::ofstream(directory_ + "/tree/one/file") << "text";
    std::ofstream(directory_ + "/outside/file") << "secret";
    outside_ = os::UniqueFd(::open((directory_ + "/outside").c_str(), O_PATH | O_CLOEXEC));
    tree_ = os::UniqueFd(::open((directory_ + "/tree").c_str(), O_PATH | O_CLOEXEC));
    one_ = os::UniqueFd(::open((directory_ + "/tree/one").c_str(), O_PATH | O_CLOEXEC));
    two_ = os::UniqueFd(::open((directory_ + "/tree/two").c_str(), O_PATH | O_CLOEXEC));
  }
  ~LandlockTest() override { std::filesystem::remove_all(directory_); }

  // What `attempt` answers in a process that is confined to the tree.
  std::string Confined(const std::function<std::string()>& attempt, bool read_only = false) {
    return InChild([&]() -> std::string {
      if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return "no_new_privs";
      const auto confined = ConfineToTree(tree_.get(), read_only);
      if (!confined.ok()) return confined.status().ToString();
      return *confined ? attempt() : "no Landlock";
    });
  }
  static std::string InChild(const std::function<std::string()>& run) {
    int fds[2];
    if (::pipe2(fds, O_CLOEXEC) != 0) return "pipe2";
    const pid_t child = ::fork();
    if (child == 0) {
      const std::string report = run();
      const ssize_t written = ::write(fds[1], report.data(), report.size());
      ::_exit(written == static_cast<ssize_t>(report.size()) ? 0 : 1);
    }
    ::close(fds[1]);
    char report[1024];
    const ssize_t size = ::read(fds[0], report, sizeof report);
    ::close(fds[0]);
    ::waitpid(child, nullptr, 0);
    return {report, static_cast<size_t>(std::max<ssize_t>(size, 0))};
  }

  std::string directory_;
  os::UniqueFd outside_;
  os::UniqueFd tree_;
  os::UniqueFd one_;
  os::UniqueFd two_;
};

// The tests below mean nothing without.
TEST_F(LandlockTest, TheKernelOfTheTestsHasIt) { EXPECT_GE(LandlockAbi(), 2); }

TEST_F(LandlockTest, WhatLiesOutsideIsNotOpenedWhateverLeadsThere) {
  const auto open_outside = [&] { return Outcome(::openat(outside_.get(), "file", O_RDONLY)); };
  EXPECT_EQ(InChild(open_outside), "done");
  EXPECT_EQ(Confined(open_outside), "EACCES");
  EXPECT_EQ(Confined([&] { return Outcome(::openat(tree_.get(), "../outside/file", O_RDONLY)); }),
            "EACCES");
  EXPECT_EQ(Confined([&] { return Outcome(::open("/proc/1/root", O_RDONLY)); }), "EACCES");
  EXPECT_EQ(Confined([&] { return Outcome(::mkdirat(outside_.get(), "d", 0755)); }), "EACCES");
  EXPECT_EQ(Confined([&] { return Outcome(::unlinkat(outside_.get(), "file", 0)); }), "EACCES");
}

TEST_F(LandlockTest, InsideOneReadsWritesMakesAndRemoves) {
  EXPECT_EQ(Confined([&] {
              return InOrder({Outcome(::openat(one_.get(), "file", O_RDWR | O_TRUNC)),
                              Outcome(::openat(one_.get(), "new", O_RDWR | O_CREAT, 0600)),
                              Outcome(::openat(one_.get(), ".", O_RDONLY | O_DIRECTORY)),
                              Outcome(::mkdirat(one_.get(), "d", 0700)),
                              Outcome(::symlinkat("x", one_.get(), "link")),
                              Outcome(::mknodat(one_.get(), "fifo", S_IFIFO | 0600, 0)),
                              Outcome(::mknodat(one_.get(), "null", S_IFCHR | 0600, 0x103)),
                              Outcome(::unlinkat(one_.get(), "d", AT_REMOVEDIR)),
                              Outcome(::unlinkat(one_.get(), "fifo", 0))});
            }),
            "done done done done done done done done done ");
}

TEST_F(LandlockTest, NamesMoveBetweenDirectoriesButNotOut) {
  EXPECT_EQ(Confined([&] {
              return InOrder({Outcome(::linkat(one_.get(), "file", two_.get(), "link", 0)),
                              Outcome(::renameat(one_.get(), "file", two_.get(), "moved")),
                              Outcome(::renameat(two_.get(), "moved", outside_.get(), "moved")),
                              Outcome(::linkat(outside_.get(), "file", two_.get(), "secret", 0))});
            }),
            "done done EACCES EXDEV ");
}

TEST_F(LandlockTest, AReadOnlyTreeIsReadOnly) {
  EXPECT_EQ(Confined(
                [&] {
                  return InOrder({Outcome(::openat(one_.get(), "file", O_RDONLY)),
                                  Outcome(::openat(one_.get(), "file", O_WRONLY)),
                                  Outcome(::truncate((directory_ + "/tree/one/file").c_str(), 0)),
                                  Outcome(::unlinkat(one_.get(), "file", 0)),
                                  Outcome(::mkdirat(one_.get(), "d", 0700))});
                },
                /*read_only=*/true),
            "done EACCES EACCES EACCES EACCES ");
}

TEST_F(LandlockTest, NothingIsExecuted) {
  std::filesystem::copy_file("/bin/true", directory_ + "/tree/true");
  const auto execute = [&] {
    return Outcome(::execl((directory_ + "/tree/true").c_str(), "true", nullptr));
  };
  EXPECT_EQ(Confined(execute), "EACCES");
}

TEST_F(LandlockTest, ADeviceThatIsThereTakesNoIoctl) {
  ASSERT_EQ(::mknodat(tree_.get(), "zero", S_IFCHR | 0600, 0x105), 0);
  EXPECT_EQ(Confined([&] {
              const int zero = ::openat(tree_.get(), "zero", O_RDONLY);
              return InOrder({Outcome(zero), Outcome(::ioctl(zero, 0x5421 + 1000, nullptr))});
            }),
            "done EACCES ");
}

TEST_F(LandlockTest, ThereIsNoTcpNoAbstractSocketAndNoSignal) {
  const os::UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un abstract{.sun_family = AF_UNIX, .sun_path = {}};
  std::strncpy(abstract.sun_path + 1, directory_.c_str(), sizeof abstract.sun_path - 2);
  const auto* const address = reinterpret_cast<const sockaddr*>(&abstract);
  ASSERT_EQ(::bind(listener.get(), address, sizeof abstract), 0);
  ASSERT_EQ(::listen(listener.get(), 10), 0);
  const auto attempts = [&] {
    const os::UniqueFd dialler(::socket(AF_UNIX, SOCK_STREAM, 0));
    const os::UniqueFd tcp(::socket(AF_INET, SOCK_STREAM, 0));
    sockaddr_in any{};
    any.sin_family = AF_INET;
    any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return InOrder({Outcome(::connect(dialler.get(), address, sizeof abstract)),
                    Outcome(::bind(tcp.get(), reinterpret_cast<const sockaddr*>(&any), sizeof any)),
                    Outcome(::kill(::getppid(), 0))});
  };
  EXPECT_EQ(InChild(attempts), "done done done ");
  EXPECT_EQ(Confined(attempts), "EPERM EACCES EPERM ");
}

TEST_F(LandlockTest, WithoutNoNewPrivsAndPrivilegesTheErrorNamesTheStep) {
  EXPECT_EQ(InChild([&] {
              if (::setresuid(1000, 1000, 1000) != 0) return std::string("setresuid");
              return std::string(ConfineToTree(tree_.get(), false).status().message());
            }),
            "landlock_restrict_self: Operation not permitted");
}

}  // namespace
}  // namespace fsd::sandbox
