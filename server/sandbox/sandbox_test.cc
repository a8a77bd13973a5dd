// Each test starts the first process of a new pid namespace, lets it enter the jail on a directory
// and look about, and compares what it reports. What it cannot get at is tests/security's.
#include "server/sandbox/sandbox.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <net/if.h>
#include <sched.h>
#include <sys/fsuid.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/sandbox/jail_fixture.h"

namespace fsd::sandbox {
namespace {

using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string NamespaceLinks(int proc) {
  std::string links;
  for (const char* kind : {"mnt", "net", "ipc", "uts", "cgroup", "pid"}) {
    char target[64] = {};
    if (::readlinkat(proc, absl::StrCat("self/ns/", kind).c_str(), target, sizeof target - 1) < 0) {
      return absl::StrCat("readlinkat ", kind);
    }
    absl::StrAppend(&links, target, "\n");
  }
  return links;
}

class SandboxTest : public JailFixture {
 protected:
  SandboxTest() { ::mkdir((source_ + "/sub").c_str(), 0755); }

  // What `try_it` answers from inside the jail, or why there is no jail.
  std::string Inside(const std::function<std::string(const Jail&)>& try_it,
                     bool read_only = false) {
    return InNewPidNamespace([&] {
      auto jail = Enter({.source_directory = Source(), .read_only = read_only});
      return jail.ok() ? try_it(*jail) : jail.status().ToString();
    });
  }

  static std::string InNewPidNamespace(const std::function<std::string()>& run) {
    return InProcess(CLONE_NEWPID, run);
  }
};

TEST_F(SandboxTest, TheRootIsTheExport) {
  EXPECT_EQ(
      Inside([](const Jail& jail) {
        return InOrder({Names(AT_FDCWD, "/"), Names(jail.root.get(), "."), Names(AT_FDCWD, ".")});
      }),
      "file sub file sub file sub ");
}

TEST_F(SandboxTest, NoOtherMountIsLeft) {
  const std::string mounts =
      Inside([](const Jail& jail) { return ReadAll(Open(jail.proc.get(), "self/mountinfo")); });
  EXPECT_EQ(std::count(mounts.begin(), mounts.end(), '\n'), 1) << mounts;
  EXPECT_THAT(mounts, HasSubstr("/source / rw,nosuid,nodev"));
}

TEST_F(SandboxTest, TheHostsDirectoryFdIsClosed) {
  EXPECT_THAT(InNewPidNamespace([&] {
                os::UniqueFd source = Source();
                const int number = source.get();
                const auto jail = Enter({.source_directory = std::move(source)});
                if (!jail.ok()) return jail.status().ToString();
                // The number may have come to mean something of the jail's.
                return Outcome(::openat(number, "../source/file", O_RDONLY));
              }),
              AnyOf("EBADF", "ENOENT"));
}

TEST_F(SandboxTest, ProcShowsOnlyThisProcessAndNoKernel) {
  EXPECT_EQ(Inside([](const Jail& jail) { return Names(jail.proc.get(), "."); }),
            "1 self thread-self");
}

TEST_F(SandboxTest, AnOPathFdReopensThroughProc) {
  EXPECT_EQ(Inside([](const Jail& jail) {
              const os::UniqueFd path = Open(jail.root.get(), "file", O_PATH | O_NOFOLLOW);
              const os::UniqueFd fds = Open(jail.proc.get(), "self/fd", O_PATH | O_DIRECTORY);
              return ReadAll(Open(fds.get(), absl::StrCat(path.get()).c_str(), O_RDWR));
            }),
            "text");
}

TEST_F(SandboxTest, NoNamespaceIsTheHosts) {
  const os::UniqueFd proc = Open(AT_FDCWD, "/proc", O_PATH);
  std::istringstream outside(NamespaceLinks(proc.get()));
  const std::string inside =
      Inside([](const Jail& jail) { return NamespaceLinks(jail.proc.get()); });
  ASSERT_EQ(std::count(inside.begin(), inside.end(), '\n'), 6) << inside;
  for (std::string link; std::getline(outside, link);) {
    EXPECT_THAT(inside, Not(HasSubstr(link)));
  }
}

TEST_F(SandboxTest, TheNetworkIsALoopbackThatIsDown) {
  EXPECT_EQ(Inside([](const Jail&) {
              std::string interfaces;
              const os::UniqueFd socket(::socket(AF_INET, SOCK_DGRAM, 0));
              for (auto* each = ::if_nameindex(); each->if_index != 0; ++each) {
                ifreq request{};
                std::strncpy(request.ifr_name, each->if_name, IFNAMSIZ - 1);
                ::ioctl(socket.get(), SIOCGIFFLAGS, &request);
                absl::StrAppend(&interfaces, each->if_name,
                                (request.ifr_flags & IFF_UP) != 0 ? " up" : " down");
              }
              return interfaces;
            }),
            "lo down");
}

TEST_F(SandboxTest, SevenCapabilitiesAreLeftAndNoWayToMore) {
  EXPECT_EQ(Inside([](const Jail& jail) {
              return absl::StrCat(StatusLine(jail, "CapInh"), " ", StatusLine(jail, "CapPrm"), " ",
                                  StatusLine(jail, "CapEff"), " ", StatusLine(jail, "CapBnd"), " ",
                                  StatusLine(jail, "CapAmb"), " ", StatusLine(jail, "NoNewPrivs"),
                                  " ", ::prctl(PR_GET_SECUREBITS), " ",
                                  Outcome(::prctl(PR_SET_SECUREBITS, 0)));
            }),
            "0000000000000000 00000000080000db 00000000080000db 00000000080000db "
            "0000000000000000 1 235 EPERM");
}

TEST_F(SandboxTest, EachProcessIsLeftItsOwnCapabilities) {
  const auto left_to = [&](Process process) {
    return InNewPidNamespace([&]() -> std::string {
      const auto jail = Enter({.source_directory = Source(), .host_handles = true});
      if (!jail.ok()) return jail.status().ToString();
      if (!ReduceCapabilities(process, *jail).ok()) return "ReduceCapabilities";
      const std::string left = StatusLine(*jail, "CapPrm") + " " + StatusLine(*jail, "CapEff");
      // No fsuid brings anything back.
      ::setfsuid(1000);
      ::setfsuid(0);
      return left + " " + StatusLine(*jail, "CapEff") + " " +
             absl::StrCat(::prctl(PR_GET_DUMPABLE));
    });
  };
  EXPECT_EQ(left_to(Process::kHandleKeeper),
            "000000000000000e 000000000000000e 000000000000000e 0");
  EXPECT_EQ(left_to(Process::kDataPlane), "00000000080000db 00000000080000db 00000000080000db 0");
  EXPECT_EQ(left_to(Process::kKeeper), "0000000000000000 0000000000000000 0000000000000000 0");
}

// What DropCapabilities() comes to for an export, when the server had all capabilities but some.
class ChosenCapabilitiesTest : public SandboxTest {
 protected:
  std::string PermittedWith(JailOptions options, CapabilitySet server_lacks = {}) {
    return InNewPidNamespace([&] {
      if (const std::string failure = GiveUp(server_lacks); !failure.empty()) return failure;
      options.source_directory = Source();
      const auto jail = Enter(std::move(options));
      if (!jail.ok()) return std::string(jail.status().message());
      return StatusLine(*jail, "CapPrm") + (jail->host_handles ? " and handles" : "");
    });
  }

 private:
  static std::string GiveUp(CapabilitySet lacking) {
    __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3];
    if (::syscall(SYS_capget, &header, sets) != 0) return "capget";
    for (int word = 0; word < _LINUX_CAPABILITY_U32S_3; ++word) {
      sets[word].permitted &= ~static_cast<uint32_t>(lacking.bits() >> (32 * word));
      sets[word].effective &= sets[word].permitted;
      sets[word].inheritable = 0;
    }
    return ::syscall(SYS_capset, &header, sets) == 0 ? "" : "capset";
  }
};

TEST_F(ChosenCapabilitiesTest, AReadOnlyExportLeavesOneAndExtendedAttributesAddOne) {
  EXPECT_EQ(PermittedWith({.read_only = true}), "0000000000000002");
  EXPECT_EQ(PermittedWith({.xattr = true}), "00000000880000db");
}

TEST_F(ChosenCapabilitiesTest, AnOperatorAddsAndDrops) {
  EXPECT_EQ(PermittedWith({.add_capabilities = {CAP_LINUX_IMMUTABLE, CAP_SYS_ADMIN},
                           .drop_capabilities = {CAP_MKNOD, CAP_SYS_ADMIN}}),
            "00000000000002db");
}

TEST_F(ChosenCapabilitiesTest, OneThatIsMissingIsNamedWithBothRemedies) {
  EXPECT_EQ(PermittedWith({}, {CAP_MKNOD, CAP_FSETID}),
            "the export needs capabilities that the server does not have: CAP_FSETID, CAP_MKNOD; "
            "start the server with them, or let the export do without (its "
            "sandbox.drop_capabilities)");
  EXPECT_EQ(PermittedWith({.add_capabilities = {CAP_LINUX_IMMUTABLE}}, {CAP_LINUX_IMMUTABLE}),
            "the export asks for capabilities that the server does not have: CAP_LINUX_IMMUTABLE; "
            "start the server with them, or take them out of the export's "
            "sandbox.add_capabilities");
}

TEST_F(ChosenCapabilitiesTest, OneThatIsMissingAndDroppedIsNotMissed) {
  EXPECT_EQ(PermittedWith({.drop_capabilities = {CAP_MKNOD}}, {CAP_MKNOD}), "00000000000000db");
}

TEST_F(ChosenCapabilitiesTest, InAUserNamespaceWhatIsThereIsEnoughUnlessItWasAskedFor) {
  EXPECT_EQ(PermittedWith({.in_user_namespace = true}, {CAP_MKNOD}), "00000000000000db");
  EXPECT_EQ(PermittedWith({.in_user_namespace = true, .add_capabilities = {CAP_SYS_TIME}},
                          {CAP_SYS_TIME}),
            "the export asks for capabilities that the server does not have: CAP_SYS_TIME; start "
            "the server with them, or take them out of the export's sandbox.add_capabilities");
}

TEST_F(ChosenCapabilitiesTest, WhoIsToDoWithoutHandlesHasNoHandleKeeper) {
  EXPECT_EQ(PermittedWith({.read_only = true, .host_handles = true}),
            "0000000000000006 and handles");
  EXPECT_EQ(
      PermittedWith(
          {.read_only = true, .host_handles = true, .drop_capabilities = {CAP_DAC_READ_SEARCH}}),
      "0000000000000002");
  EXPECT_EQ(PermittedWith(
                {.read_only = true, .host_handles = true, .drop_capabilities = {CAP_DAC_OVERRIDE}}),
            "0000000000000000");
}

TEST_F(SandboxTest, WithoutTheCapabilityForHandlesThereIsAJailAllTheSame) {
  EXPECT_EQ(InNewPidNamespace([&]() -> std::string {
              __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
              __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3];
              if (::syscall(SYS_capget, &header, sets) != 0) return "capget";
              sets[0].permitted &= ~CAP_TO_MASK(CAP_DAC_READ_SEARCH);
              sets[0].effective &= ~CAP_TO_MASK(CAP_DAC_READ_SEARCH);
              if (::syscall(SYS_capset, &header, sets) != 0) return "capset";
              const auto jail = Enter({.source_directory = Source(), .host_handles = true});
              if (!jail.ok()) return jail.status().ToString();
              return absl::StrCat(jail->host_handles, " ", StatusLine(*jail, "CapPrm"));
            }),
            "0 00000000080000db");
}

TEST_F(SandboxTest, LeavingFsuidZeroLowersTheFileCapabilitiesAndReturningRaisesThem) {
  EXPECT_EQ(Inside([](const Jail& jail) {
              ::setfsuid(1000);
              const std::string as_caller = StatusLine(jail, "CapEff");
              ::setfsuid(0);
              return as_caller + " " + StatusLine(jail, "CapEff");
            }),
            "00000000000000c0 00000000080000db");
}

TEST_F(SandboxTest, AWritableExportIsWrittenWithTheModeAsGiven) {
  EXPECT_EQ(Inside([](const Jail&) { return Outcome(::open("/new", O_CREAT | O_WRONLY, 0666)); }),
            "done");
  struct stat info;
  ASSERT_EQ(::stat((source_ + "/new").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0666u);
}

TEST_F(SandboxTest, AReadOnlyExportCannotBeWritten) {
  EXPECT_EQ(Inside(
                [](const Jail&) {
                  return InOrder({Outcome(::open("/new", O_CREAT | O_WRONLY, 0666)),
                                  Outcome(::truncate("/file", 0)), Outcome(::mkdir("/d", 0755))});
                },
                /*read_only=*/true),
            "EROFS EROFS EROFS ");
}

TEST_F(SandboxTest, ItLeavesNoCoreAndCannotBeTraced) {
  EXPECT_EQ(Inside([](const Jail&) {
              rlimit core;
              ::getrlimit(RLIMIT_CORE, &core);
              return absl::StrCat(core.rlim_max, " ", ::prctl(PR_GET_DUMPABLE), " ",
                                  ::getsid(0) == ::getpid());
            }),
            "1 0 1");
}

// Owners that the mount translates: the guest's 0 … 9 are the host's 100000 … 100009.
class IdMappedTest : public SandboxTest {
 protected:
  std::string InsideMapped(const std::function<std::string(const Jail&)>& try_it) {
    return InNewPidNamespace([&] {
      const std::vector<IdRange> ranges = {
          {.inside_first = 0, .outside_first = 100'000, .count = 10}};
      auto jail = Enter({.source_directory = Source(), .ids = {.uids = ranges, .gids = ranges}});
      return jail.ok() ? try_it(*jail) : jail.status().ToString();
    });
  }
  static std::string OwnersOf(const std::string& path) {
    struct stat info;
    if (::lstat(path.c_str(), &info) != 0) return ::strerrorname_np(errno);
    return absl::StrCat(info.st_uid, ":", info.st_gid);
  }
};

TEST_F(IdMappedTest, WhatTheGuestMakesIsTheOuterIdsOnTheHost) {
  ASSERT_EQ(::chown(source_.c_str(), 100'000, 100'000), 0);
  EXPECT_EQ(InsideMapped([](const Jail&) {
              const std::string made = Outcome(::mkdir("/made", 0755));
              const std::string given = Outcome(::chown("/made", 7, 8));
              return InOrder({made, given, OwnersOf("/made"), OwnersOf("/")});
            }),
            "done done 7:8 0:0 ");
  EXPECT_EQ(OwnersOf(source_ + "/made"), "100007:100008");
}

TEST_F(IdMappedTest, WhatTheHostMakesIsTheInnerIdsAndTheRestNobodys) {
  ASSERT_EQ(::chown((source_ + "/file").c_str(), 100'003, 100'004), 0);
  EXPECT_EQ(InsideMapped([](const Jail&) {
              return InOrder({OwnersOf("/file"), OwnersOf("/sub"), Outcome(::chown("/file", 10, 0)),
                              Outcome(::mkdir("/sub/d", 0755))});
            }),
            "3:4 65534:65534 EOVERFLOW EACCES ");
}

TEST_F(IdMappedTest, AFileSystemThatCannotTranslateIsAnErrorThatNamesTheStep) {
  EXPECT_THAT(InsideMapped([](const Jail&) { return "inside"; }), "inside");
  EXPECT_THAT(
      InNewPidNamespace([&]() -> std::string {
        if (::unshare(CLONE_NEWNS) != 0 ||
            ::mount("", "/", nullptr, MS_REC | MS_PRIVATE, "") != 0 ||
            ::mount("none", (source_ + "/sub").c_str(), "ramfs", 0, nullptr) != 0) {
          return ::strerrorname_np(errno);
        }
        const std::vector<IdRange> ranges = {{.outside_first = 100'000, .count = 10}};
        return Enter({.source_directory = Source(), .ids = {.uids = ranges, .gids = ranges}})
            .status()
            .ToString();
      }),
      HasSubstr("mount_setattr(MOUNT_ATTR_IDMAP) of the export's tree (its file system, or "
                "one mounted below it, cannot translate ids)"));
}

TEST_F(IdMappedTest, RangesThatTheKernelRefusesAreAnErrorThatNamesTheMap) {
  EXPECT_THAT(InNewPidNamespace([&] {
                const std::vector<IdRange> overlapping = {{.outside_first = 100, .count = 10},
                                                          {.outside_first = 105, .count = 10}};
                return Enter({.source_directory = Source(),
                              .ids = {.uids = overlapping, .gids = overlapping}})
                    .status()
                    .ToString();
              }),
              HasSubstr("write of uid_map: Invalid argument"));
}

TEST_F(SandboxTest, OutsideAPidNamespaceOfItsOwnItRefuses) {
  const auto jail = Enter({.source_directory = Source()});
  EXPECT_EQ(jail.status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(SandboxTest, AnErrorNamesTheStep) {
  EXPECT_THAT(InNewPidNamespace([] { return Enter({}).status().ToString(); }),
              HasSubstr("fchdir to the export's directory: Bad file descriptor"));
}

// The host mounts something below the export while a worker serves it.
class LaterMountTest : public SandboxTest {
 protected:
  // What kept it from being so; empty if nothing did.
  std::string ShareSource() const {
    if (::unshare(CLONE_NEWNS) != 0 || ::mount("", "/", nullptr, MS_REC | MS_PRIVATE, "") != 0 ||
        ::mount(source_.c_str(), source_.c_str(), "", MS_BIND, "") != 0 ||
        ::mount("", source_.c_str(), nullptr, MS_SHARED, "") != 0) {
      return absl::StrCat("host: ", ::strerrorname_np(errno));
    }
    return "";
  }

  // What the jail has in "sub" once the host has mounted a file system with one file there.
  std::string SubAfterAMount(bool read_only) {
    // A host of its own, whose mounts are shared as systemd makes them.
    return InNewPidNamespace([&]() -> std::string {
      if (const std::string failure = ShareSource(); !failure.empty()) return failure;
      int ready[2];
      int mounted[2];
      if (::pipe(ready) != 0 || ::pipe(mounted) != 0) return "pipe";
      const std::string sub = source_ + "/sub";
      const pid_t host = ::getpid();
      const pid_t mounter = ::fork();
      if (mounter == 0) {
        char byte;
        const bool done = host == 1 && ::read(ready[0], &byte, 1) == 1 &&
                          ::mount("none", sub.c_str(), "tmpfs", 0, nullptr) == 0 &&
                          ::mkdir((sub + "/later").c_str(), 0755) == 0 &&
                          ::write(mounted[1], "x", 1) == 1;
        ::_exit(done ? 0 : 1);
      }
      return Inside(
          [&](const Jail& jail) {
            char byte;
            if (::write(ready[1], "x", 1) != 1) return std::string("write");
            ::close(mounted[1]);
            if (::read(mounted[0], &byte, 1) != 1) return std::string("the host could not mount");
            return "sub: " + Names(jail.root.get(), "sub");
          },
          read_only);
    });
  }
};

TEST_F(LaterMountTest, ShowsUpInAWritableExport) { EXPECT_EQ(SubAfterAMount(false), "sub: later"); }

// Whether the data plane's mknod of devices is refused, on a host that shares its mounts.
TEST_F(LaterMountTest, CostsTheCapabilityToMakeDevicesUnlessNoneCanBeOpened) {
  const auto refused = [&](JailOptions options) {
    return InNewPidNamespace([&]() -> std::string {
      if (const std::string failure = ShareSource(); !failure.empty()) return failure;
      return InNewPidNamespace([&] {
        options.source_directory = Source();
        const auto jail = Enter(std::move(options));
        if (!jail.ok()) return jail.status().ToString();
        return absl::StrCat(jail->devices_refused, " ", StatusLine(*jail, "CapPrm"));
      });
    });
  };
  EXPECT_EQ(refused({}), "1 00000000000000db");
  EXPECT_EQ(refused({.has_device_wall = true}), "0 00000000080000db");
  EXPECT_EQ(refused({.add_capabilities = {CAP_MKNOD}}), "0 00000000080000db");
  EXPECT_EQ(refused({.drop_capabilities = {CAP_MKNOD}}), "0 00000000000000db");
  EXPECT_EQ(refused({.read_only = true}), "0 0000000000000002");
}

TEST_F(LaterMountTest, StaysOutOfAReadOnlyExport) { EXPECT_EQ(SubAfterAMount(true), "sub: "); }

// On "sub" a file system is mounted from the start, with a directory "inner" of 100003:100004.
class SubmountTest : public IdMappedTest {
 protected:
  std::string WithSubmount(const std::function<std::string()>& run) {
    return InNewPidNamespace([&]() -> std::string {
      const std::string sub = source_ + "/sub";
      const std::string inner = sub + "/inner";
      if (::unshare(CLONE_NEWNS) != 0 || ::mount("", "/", nullptr, MS_REC | MS_PRIVATE, "") != 0 ||
          ::mount("none", sub.c_str(), "tmpfs", 0, nullptr) != 0 ||
          ::mkdir(inner.c_str(), 0755) != 0 || ::chown(inner.c_str(), 100'003, 100'004) != 0) {
        return absl::StrCat("host: ", ::strerrorname_np(errno));
      }
      return run();
    });
  }
};

TEST_F(SubmountTest, OfAReadOnlyExportCannotBeWrittenEither) {
  EXPECT_EQ(WithSubmount([&] {
              return Inside([](const Jail&) { return Outcome(::mkdir("/sub/new", 0755)); },
                            /*read_only=*/true);
            }),
            "EROFS");
}

TEST_F(SubmountTest, OfAnIdMappedExportHasItsOwnersTranslatedToo) {
  EXPECT_EQ(WithSubmount(
                [&] { return InsideMapped([](const Jail&) { return OwnersOf("/sub/inner"); }); }),
            "3:4");
}

}  // namespace
}  // namespace fsd::sandbox
