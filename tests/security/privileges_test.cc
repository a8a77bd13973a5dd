// The wall against more privileges: capabilities, no_new_privs, the filter itself, programs that
// have what we have not, and what only root may ask of the kernel.
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/io_uring.h>
#include <linux/keyctl.h>
#include <linux/perf_event.h>
#include <linux/seccomp.h>
#include <sys/fanotify.h>
#include <sys/klog.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "server/errors/check.h"
#include "tests/security/climb.h"
#include "tests/security/prison.h"

namespace fsd::security {
namespace {

constexpr char kReporter[] = "tests/security/privileges_reporter";

// By a list of system calls alone.
std::vector<Behind> HeldByTheList(const std::string& success = "done") {
  return {{kEveryMode, "SIGSYS"}, {kSystemCalls, "SIGSYS"}, {kNoWalls, success}};
}
std::vector<Behind> HeldTwice(const std::string& success = "done") {
  return {{kEveryMode, "SIGSYS"},
          {kSystemCalls, "SIGSYS"},
          {kCapabilities, "EPERM"},
          {kNoWalls, success}};
}

std::string RaiseCapability(int capability) {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3];
  if (::syscall(SYS_capget, &header, sets) != 0) return Outcome(-1);
  sets[CAP_TO_INDEX(capability)].permitted |= CAP_TO_MASK(capability);
  sets[CAP_TO_INDEX(capability)].effective |= CAP_TO_MASK(capability);
  return Outcome(::syscall(SYS_capset, &header, sets));
}

TEST(Privileges, NoCapabilityComesBack) {
  Prison prison;
  std::vector<Climb> climbs;
  const std::vector<Behind> held = {
      {kEveryMode, "EPERM"}, {kCapabilities, "EPERM"}, {kNoWalls, "done"}};
  for (const int capability : {CAP_SYS_ADMIN, CAP_DAC_READ_SEARCH, CAP_SYS_PTRACE, CAP_NET_ADMIN,
                               CAP_NET_RAW, CAP_SYS_CHROOT, CAP_SYS_MODULE, CAP_SYS_RAWIO, CAP_KILL,
                               CAP_SETPCAP, CAP_BPF, CAP_PERFMON}) {
    climbs.push_back({absl::StrCat("capset ", capability),
                      [=](const Inmate&) { return RaiseCapability(capability); }, held});
  }
  climbs.push_back({"securebits that make uid 0 root again",
                    [](const Inmate&) { return Outcome(::prctl(PR_SET_SECUREBITS, 0)); },
                    HeldTwice()});
  climbs.push_back(
      {"another user's id",
       [](const Inmate&) { return Outcome(::syscall(SYS_setresuid, 1000, 1000, 1000)); },
       HeldByTheList()});
  ExpectTheyHold(prison, "capabilities", climbs);
}

std::string InstallAnotherFilter() {
  sock_filter allow[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  const sock_fprog program{.len = 1, .filter = allow};
  return Outcome(::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program));
}

TEST(Privileges, NoNewPrivsAndTheFilterStay) {
  Prison prison;
  ExpectTheyHold(
      prison, "no_new_privs and the filter",
      {
          {"another filter", [](const Inmate&) { return InstallAnotherFilter(); }, HeldByTheList()},
          {"another filter, by prctl",
           [](const Inmate&) {
             sock_filter allow[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
             const sock_fprog program{.len = 1, .filter = allow};
             return Outcome(::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program));
           },
           HeldByTheList()},
      });
  // Only the kernel can say that it is set, where prctl is not ours to call.
  const Attempt read_it = [](const Inmate& in) {
    const int status = ::openat(in.proc, "self/status", O_RDONLY | O_CLOEXEC);
    return std::string(Contents(status).find("NoNewPrivs:\t1") == std::string::npos ? "not set"
                                                                                    : "set");
  };
  EXPECT_EQ(prison.Run(kEveryWall & ~kLandlock, read_it), "set");
  EXPECT_EQ(prison.Run(kCapabilities, read_it), "set");
  EXPECT_EQ(prison.Run(kNoWalls, read_it), "not set");
  // Nothing without the wall to compare with: the kernel lets nobody take it back.
  const Attempt take_back = [](const Inmate&) {
    return Outcome(::prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0));
  };
  for (const Walls walls : {kEveryWall, kEveryWallOfChroot, kEveryWallOfNone}) {
    EXPECT_EQ(prison.Run(walls, take_back), "SIGSYS") << walls;
  }
  EXPECT_EQ(prison.Run(kCapabilities, take_back), "EINVAL");
}

// A program that says who it has become, in the export, with what makes it someone.
void PlaceReporter(const std::string& path, mode_t mode, bool with_capability) {
  std::filesystem::copy_file(kReporter, path);
  FSD_CHECK(::chmod(path.c_str(), mode) == 0);
  if (!with_capability) return;
  vfs_cap_data data{};
  data.magic_etc = VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE;
  data.data[0].permitted = CAP_TO_MASK(CAP_NET_RAW);
  FSD_CHECK(::setxattr(path.c_str(), "security.capability", &data, XATTR_CAPS_SZ_2, 0) == 0);
}

// Becomes that program, as user 1000; its report is the outcome.
std::string BecomeReporter(const Inmate& in, const char* name) {
  const char* const arguments[] = {name, nullptr};
  const char* const environment[] = {nullptr};
  if (::syscall(SYS_setresgid, 1000, 1000, 1000) != 0 ||
      ::syscall(SYS_setresuid, 1000, 1000, 1000) != 0 ||
      ::dup2(in.report, STDOUT_FILENO) != STDOUT_FILENO) {
    return Outcome(-1);
  }
  return Outcome(::syscall(SYS_execveat, in.root, name, arguments, environment, 0));
}

TEST(Privileges, NoProgramOfTheExportGivesAny) {
  Prison prison;
  PlaceReporter(prison.export_path() + "/set-user-id", 04755, false);
  PlaceReporter(prison.export_path() + "/set-group-id", 02755, false);
  PlaceReporter(prison.export_path() + "/with-capability", 0755, true);
  const std::string nobody = "uid 1000 gid 1000 CAP_NET_RAW 0";
  const auto held = [&](const std::string& success) {
    // The mount's flags; no_new_privs.
    return std::vector<Behind>{{kEveryMode, "SIGSYS"}, {kSystemCalls, "SIGSYS"},
                               {kMounts, nobody},      {kCapabilities, nobody},
                               {kLandlock, "EACCES"},  {kNoWalls, success}};
  };
  ExpectTheyHold(
      prison, "programs with privileges",
      {
          {"set-user-id", [](const Inmate& in) { return BecomeReporter(in, "set-user-id"); },
           held("uid 0 gid 1000 CAP_NET_RAW 1")},
          {"set-group-id", [](const Inmate& in) { return BecomeReporter(in, "set-group-id"); },
           held("uid 1000 gid 0 CAP_NET_RAW 0")},
          {"with a capability",
           [](const Inmate& in) { return BecomeReporter(in, "with-capability"); },
           // One that it cannot be given ends the execution.
           {{kEveryMode, "SIGSYS"},
            {kSystemCalls, "SIGSYS"},
            {kMounts, nobody},
            {kCapabilities, "EPERM"},
            {kNoWalls, "uid 1000 gid 1000 CAP_NET_RAW 1"}}},
          {"as root, whom the kernel would give everything",
           [](const Inmate& in) {
             const char* const none[] = {nullptr};
             ::dup2(in.report, STDOUT_FILENO);
             return Outcome(::syscall(SYS_execveat, in.root, "set-user-id", none, none, 0));
           },
           {{kEveryMode, "SIGSYS"},
            {kCapabilities, "uid 0 gid 0 CAP_NET_RAW 0"},
            {kNoWalls, "uid 0 gid 0 CAP_NET_RAW 1"}}},
      });
}

std::string OpenPerfEvent() {
  perf_event_attr attributes{};
  attributes.size = sizeof attributes;
  attributes.type = PERF_TYPE_SOFTWARE;
  attributes.config = PERF_COUNT_SW_CPU_CLOCK;
  return Outcome(::syscall(SYS_perf_event_open, &attributes, -1, 0, -1, 0));
}

std::string MakeBpfMap() {
  bpf_attr attributes{};
  attributes.map_type = BPF_MAP_TYPE_HASH;
  attributes.key_size = attributes.value_size = 4;
  attributes.max_entries = 1;
  return Outcome(::syscall(SYS_bpf, BPF_MAP_CREATE, &attributes, sizeof attributes));
}

// What must not happen to this machine is asked for with an argument that the kernel refuses only
// once it has found that we may ask: EINVAL, EFAULT.
TEST(Privileges, NothingOfRootsCanBeAskedOfTheKernel) {
  Prison prison;
  ExpectTheyHold(
      prison, "the kernel's privileged calls",
      {
          {"reboot", [](const Inmate&) { return Outcome(::syscall(SYS_reboot, 0, 0, 0, 0)); },
           HeldTwice("EINVAL")},
          {"the clock's speed",
           [](const Inmate&) {
             timex change{};
             change.modes = ADJ_TICK;
             return Outcome(::adjtimex(&change));
           },
           HeldTwice("EINVAL")},
          {"sethostname", [](const Inmate&) { return Outcome(::sethostname("prison", 6)); },
           HeldTwice()},
          {"setdomainname", [](const Inmate&) { return Outcome(::setdomainname("prison", 6)); },
           HeldTwice()},
          {"swapon",
           [&](const Inmate&) {
             return Outcome(::swapon((prison.outside_path() + "/secret").c_str(), 0));
           },
           HeldTwice("EINVAL")},
          {"acct", [](const Inmate&) { return Outcome(::acct("/")); }, HeldTwice("EISDIR")},
          {"the kernel's log", [](const Inmate&) { return Outcome(::klogctl(3, nullptr, -1)); },
           HeldTwice("EINVAL")},
          {"a higher priority",
           [](const Inmate&) { return Outcome(::setpriority(PRIO_PROCESS, 0, -1)); },
           {{kEveryMode, "SIGSYS"},
            {kSystemCalls, "SIGSYS"},
            {kCapabilities, "EACCES"},
            {kNoWalls, "done"}}},
          {"fanotify",
           [](const Inmate&) { return Outcome(::fanotify_init(FAN_CLASS_CONTENT, O_RDONLY)); },
           HeldTwice()},
          {"bpf", [](const Inmate&) { return MakeBpfMap(); }, HeldTwice()},
          {"perf_event_open",
           [](const Inmate&) { return OpenPerfEvent(); },
           {{kEveryMode, "SIGSYS"}, {kSystemCalls, "SIGSYS"}, {kNoWalls, "done"}}},
          {"io_uring",
           [](const Inmate&) {
             io_uring_params parameters{};
             return Outcome(::syscall(SYS_io_uring_setup, 1, &parameters));
           },
           HeldByTheList()},
          {"userfaultfd",
           [](const Inmate&) { return Outcome(::syscall(SYS_userfaultfd, O_CLOEXEC)); },
           HeldTwice()},
          {"keyrings",
           [](const Inmate&) {
             return Outcome(
                 ::syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_PROCESS_KEYRING, 1));
           },
           HeldByTheList()},
      });
}

}  // namespace
}  // namespace fsd::security
