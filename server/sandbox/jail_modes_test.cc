// The jails that are not the privileged supervisor's: each test lets a process enter one and try to
// climb a wall, and compares what it reports.
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <functional>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "server/os/unique_fd.h"
#include "server/os/user_namespace.h"
#include "server/sandbox/jail_fixture.h"
#include "server/sandbox/sandbox.h"

namespace fsd::sandbox {
namespace {

using ::testing::HasSubstr;

constexpr uid_t kUser = 54321;
constexpr uint32_t kOuterFirst = 100'000;

bool DropCapability(int capability) {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3];
  if (::syscall(SYS_capget, &header, sets) != 0) return false;
  sets[CAP_TO_INDEX(capability)].permitted &= ~CAP_TO_MASK(capability);
  sets[CAP_TO_INDEX(capability)].effective &= ~CAP_TO_MASK(capability);
  return ::syscall(SYS_capset, &header, sets) == 0;
}

bool BecomeUser(uid_t uid) {
  return ::setgroups(0, nullptr) == 0 && ::setresgid(uid, uid, uid) == 0 &&
         ::setresuid(uid, uid, uid) == 0 && ::prctl(PR_SET_DUMPABLE, 1) == 0;
}

class JailModesTest : public JailFixture {
 protected:
  // An ordinary user's too.
  JailModesTest() { ::chmod(source_.c_str(), 0777); }

  // What `try_it` answers from inside a jail of this mode, or why there is none. `before` makes the
  // process less than root.
  std::string Inside(
      Mode mode, const std::function<std::string(Jail&)>& try_it,
      const std::function<bool()>& before = [] { return true; }) {
    return InProcess(0, [&]() -> std::string {
      os::UniqueFd source = Source();
      if (!before()) return "before";
      auto jail =
          Enter({.mode = mode, .source_directory = std::move(source), .host_handles = true});
      return jail.ok() ? try_it(*jail) : std::string(jail.status().message());
    });
  }

  // The same in namespaces of its own, in a user namespace in which root is `outer`.
  std::string InsideUserNamespace(JailOptions options, os::MapWriter writer, uint32_t outer,
                                  uint64_t count, const std::function<std::string(Jail&)>& try_it) {
    return InProcess(0, [&]() -> std::string {
      options.source_directory = Source();
      options.in_user_namespace = true;
      if (writer == os::MapWriter::kOwner && !BecomeUser(outer)) return "no such user";
      const os::UniqueFd proc = Open(AT_FDCWD, "/proc", O_PATH);
      const auto made = os::MakeUserNamespace(
          {.uids = {{0, outer, count}}, .gids = {{0, outer, count}}}, writer, proc.get());
      if (!made.ok()) return std::string(made.status().message());
      if (::setns(made->get(), CLONE_NEWUSER) != 0 || ::setresgid(0, 0, 0) != 0 ||
          ::setresuid(0, 0, 0) != 0) {
        return "cannot become its root";
      }
      return InProcess(CLONE_NEWPID, [&]() -> std::string {
        auto jail = Enter(std::move(options));
        return jail.ok() ? try_it(*jail) : std::string(jail.status().message());
      });
    });
  }

  struct stat HostStat(const std::string& name) const {
    struct stat info {};
    EXPECT_EQ(::lstat((source_ + "/" + name).c_str(), &info), 0) << name;
    return info;
  }
};

// --- chroot ---

TEST_F(JailModesTest, ChrootMakesTheExportTheRoot) {
  EXPECT_EQ(Inside(Mode::kChroot,
                   [](const Jail& jail) {
                     return absl::StrCat(Names(AT_FDCWD, "/.."), ", ", Names(AT_FDCWD, "."), ", ",
                                         Names(jail.root.get(), "../.."));
                   }),
            "file, file, file");
}

std::string ReadThroughProc(Jail& jail) {
  const os::UniqueFd path = Open(jail.root.get(), "file", O_PATH | O_NOFOLLOW);
  const auto fds = TakeProcSelfFd(jail);
  if (!fds.ok()) return std::string(fds.status().message());
  if (!ReduceCapabilities(Process::kDataPlane, jail).ok()) return "ReduceCapabilities";
  return ReadAll(Open(fds->get(), absl::StrCat(path.get()).c_str()));
}

// As root: what Landlock then stands before is another's to show.
TEST_F(JailModesTest, ChrootsWayThroughProcLeadsNowhereElse) {
  EXPECT_EQ(Inside(Mode::kChroot,
                   [](Jail& jail) -> std::string {
                     const auto fds = TakeProcSelfFd(jail);
                     if (!fds.ok()) return std::string(fds.status().message());
                     return InOrder({jail.proc.valid() ? "open" : "closed",
                                     Outcome(::openat(fds->get(), "../status", O_RDONLY)),
                                     Outcome(::openat(fds->get(), "../../self", O_PATH)),
                                     Outcome(::openat(fds->get(), "../../../etc", O_PATH))});
                   }),
            "closed ENOENT ENOENT ENOENT ");
}

TEST_F(JailModesTest, EveryModesProcReopensDescriptors) {
  EXPECT_EQ(Inside(Mode::kChroot, ReadThroughProc), "text");
  EXPECT_EQ(Inside(Mode::kNone, ReadThroughProc), "text");
  EXPECT_EQ(Inside(Mode::kNone, ReadThroughProc, [] { return BecomeUser(kUser); }), "text");
  EXPECT_EQ(InsideUserNamespace({}, os::MapWriter::kOwner, kUser, 1, ReadThroughProc), "text");
}

TEST_F(JailModesTest, NoCapabilityToMakeDevicesWhereTheyCouldBeOpened) {
  const auto left = [](Jail& jail) -> std::string {
    const auto fds = TakeProcSelfFd(jail);
    if (!ReduceCapabilities(Process::kDataPlane, jail).ok()) return "ReduceCapabilities";
    __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3];
    ::syscall(SYS_capget, &header, sets);
    return absl::StrCat(absl::Hex(sets[0].permitted), " ", absl::Hex(sets[0].effective), " ",
                        ::prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN), " ",
                        ::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), " ",
                        Outcome(::mknodat(jail.root.get(), "null", S_IFCHR | 0666, makedev(1, 3))),
                        " ", Outcome(::chroot("/")));
  };
  EXPECT_EQ(Inside(Mode::kChroot, left), "db db 0 1 EPERM EPERM");
  EXPECT_EQ(Inside(Mode::kNone, left), "db db 0 1 EPERM EPERM");
}

TEST_F(JailModesTest, ChrootNeedsItsCapability) {
  EXPECT_EQ(Inside(
                Mode::kChroot, [](const Jail&) { return "inside"; },
                [] { return DropCapability(CAP_SYS_CHROOT); }),
            "chroot (needs CAP_SYS_CHROOT): Operation not permitted");
}

TEST_F(JailModesTest, ChrootThatCannotCutItsProcOffIsRefused) {
  EXPECT_THAT(Inside(
                  Mode::kChroot, [](const Jail&) { return "inside"; },
                  [] { return DropCapability(CAP_SYS_ADMIN); }),
              HasSubstr("chroot is no jail without CAP_SYS_ADMIN"));
}

TEST_F(JailModesTest, OnlyAMountNamespaceHasHostHandles) {
  const auto has = [](const Jail& jail) -> std::string {
    return jail.host_handles ? "has" : "has not";
  };
  EXPECT_EQ(Inside(Mode::kChroot, has), "has not");
  EXPECT_EQ(Inside(Mode::kNone, has), "has not");
}

TEST_F(JailModesTest, OnlyAMountNamespaceHasMountsThatTranslateIds) {
  for (const Mode mode : {Mode::kChroot, Mode::kNone}) {
    EXPECT_THAT(std::string(Enter({.mode = mode,
                                   .source_directory = Source(),
                                   .ids = {.uids = {{0, 1, 1}}, .gids = {{0, 1, 1}}}})
                                .status()
                                .message()),
                HasSubstr("needs a mount namespace: the mode NAMESPACE"));
  }
}

// --- none ---

TEST_F(JailModesTest, NoneNeedsNothingAndLeavesNothing) {
  EXPECT_EQ(Inside(
                Mode::kNone,
                [](const Jail& jail) {
                  rlimit core;
                  ::getrlimit(RLIMIT_CORE, &core);
                  return absl::StrCat(Names(jail.root.get(), "."), " ", StatusLine(jail, "CapPrm"),
                                      " ", StatusLine(jail, "NoNewPrivs"), " ", core.rlim_max, " ",
                                      ::prctl(PR_GET_DUMPABLE), " ", jail.host_handles);
                },
                [] { return BecomeUser(kUser); }),
            "file 0000000000000000 1 1 0 0");
}

// --- namespaces in a user namespace ---

TEST_F(JailModesTest, TheJailOfAUserNamespaceIsAsAnyOther) {
  const auto look = [](const Jail& jail) {
    const std::string mounts = ReadAll(Open(jail.proc.get(), "self/mountinfo"));
    return absl::StrCat(Names(AT_FDCWD, "/.."), ", ", Names(jail.root.get(), "../.."), ", ",
                        Names(jail.proc.get(), "."), ", ",
                        std::count(mounts.begin(), mounts.end(), '\n'), " mount, ",
                        mounts.find("/source / rw,nosuid,nodev") != mounts.npos ? "locked" : mounts,
                        ", ", StatusLine(jail, "CapPrm"), ", ", jail.host_handles, " ",
                        Outcome(::mknod("/null", S_IFCHR | 0666, makedev(1, 3))));
  };
  const std::string expected =
      "file, file, 1 self thread-self, 1 mount, locked, 00000000080000db, 0 EPERM";
  EXPECT_EQ(InsideUserNamespace({.host_handles = true}, os::MapWriter::kPrivileged, kOuterFirst,
                                1000, look),
            expected);
  EXPECT_EQ(InsideUserNamespace({.host_handles = true}, os::MapWriter::kOwner, kUser, 1, look),
            expected);
}

TEST_F(JailModesTest, InAUserNamespaceItsIdsAreTheOuterOnesOnTheHost) {
  EXPECT_EQ(
      InsideUserNamespace({}, os::MapWriter::kPrivileged, kOuterFirst, 1000,
                          [](const Jail&) {
                            return InOrder({Outcome(::open("/roots", O_CREAT | O_WRONLY, 0644)),
                                            Outcome(::chown("/roots", 5, 6)),
                                            Outcome(::chown("/roots", 1000, 0))});
                          }),
      "done done EINVAL ");
  EXPECT_EQ(HostStat("roots").st_uid, kOuterFirst + 5);
  EXPECT_EQ(HostStat("roots").st_gid, kOuterFirst + 6);

  EXPECT_EQ(InsideUserNamespace({}, os::MapWriter::kOwner, kUser, 1,
                                [](const Jail&) {
                                  const std::string made =
                                      Outcome(::open("/users", O_CREAT | O_WRONLY, 0644));
                                  ::setfsuid(1);
                                  return absl::StrCat(made, " ", ::setfsuid(-1));
                                }),
            "done 0");
  EXPECT_EQ(HostStat("users").st_uid, kUser);
}

TEST_F(JailModesTest, InAUserNamespaceAReadOnlyExportCannotBeWritten) {
  EXPECT_EQ(InsideUserNamespace(
                {.read_only = true}, os::MapWriter::kOwner, kUser, 1,
                [](const Jail&) { return Outcome(::open("/new", O_CREAT | O_WRONLY, 0666)); }),
            "EROFS");
}

TEST_F(JailModesTest, InAUserNamespaceNoMountTranslatesIds) {
  EXPECT_THAT(InsideUserNamespace({.ids = {.uids = {{0, 1, 1}}, .gids = {{0, 1, 1}}}},
                                  os::MapWriter::kPrivileged, kOuterFirst, 1000,
                                  [](const Jail&) { return "inside"; }),
              HasSubstr("cannot be made in a user namespace"));
}

TEST_F(JailModesTest, AnExportThatTheOuterUserMayNotSearchIsNamed) {
  ::chmod(source_.c_str(), 0700);
  EXPECT_THAT(
      InsideUserNamespace({}, os::MapWriter::kPrivileged, kOuterFirst, 1000,
                          [](const Jail&) { return "inside"; }),
      HasSubstr("fchdir to the export's directory (the user that the worker runs as may not "
                "search it): Permission denied"));
}

}  // namespace
}  // namespace fsd::sandbox
