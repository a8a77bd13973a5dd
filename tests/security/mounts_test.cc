// The wall around the mount tree: changing what "/" is, or what its mount forbids.
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <string>

#include "gtest/gtest.h"
#include "tests/security/climb.h"
#include "tests/security/prison.h"

namespace fsd::security {
namespace {

const std::vector<Behind> kHeld = {
    {kEveryMode, "SIGSYS"}, {kSystemCalls, "SIGSYS"}, {kCapabilities, "EPERM"}, {kNoWalls, "done"}};

std::string MountAt(const std::string& path) {
  const std::string outcome = Outcome(::mount("none", path.c_str(), "tmpfs", 0, nullptr));
  ::umount2(path.c_str(), MNT_DETACH);
  return outcome;
}

std::string Attach(const std::string& path) {
  const int tree = ::open_tree(AT_FDCWD, "/", OPEN_TREE_CLONE);
  if (tree < 0) return Outcome(tree);
  const std::string outcome =
      Outcome(::move_mount(tree, "", AT_FDCWD, path.c_str(), MOVE_MOUNT_F_EMPTY_PATH));
  ::umount2(path.c_str(), MNT_DETACH);
  return outcome;
}

// Step by step, to another root; in a mount namespace of its own, as it moves everybody's.
std::string Pivot(const std::string& path) {
  if (::unshare(CLONE_NEWNS) != 0 || ::mount("none", path.c_str(), "tmpfs", 0, nullptr) != 0 ||
      ::chdir(path.c_str()) != 0) {
    return Outcome(-1);
  }
  return Outcome(::syscall(SYS_pivot_root, ".", "."));
}

TEST(Mounts, TheTreeCannotBeChanged) {
  Prison prison;
  const std::string mountpoint = prison.outside_path() + "/mountpoint";
  ExpectTheyHold(
      prison, "the mount tree",
      {
          {"mount", [&](const Inmate&) { return MountAt(mountpoint); }, kHeld},
          {"bind mount of a proc",
           [&](const Inmate&) {
             const std::string outcome =
                 Outcome(::mount("/proc", mountpoint.c_str(), "", MS_BIND, ""));
             ::umount2(mountpoint.c_str(), MNT_DETACH);
             return outcome;
           },
           kHeld},
          {"remount without the mount's flags",
           [](const Inmate&) {
             return Outcome(::mount("", "/", nullptr, MS_REMOUNT | MS_BIND, ""));
           },
           kHeld},
          {"mount_setattr: devices, set-user-id and links again",
           [](const Inmate&) {
             mount_attr attributes{};
             attributes.attr_clr = MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOSYMFOLLOW;
             return Outcome(::mount_setattr(AT_FDCWD, "/", 0, &attributes, sizeof attributes));
           },
           kHeld},
          {"open_tree",
           [](const Inmate&) { return Outcome(::open_tree(AT_FDCWD, "/", OPEN_TREE_CLONE)); },
           kHeld},
          {"move_mount", [&](const Inmate&) { return Attach(mountpoint); }, kHeld},
          {"fsopen", [](const Inmate&) { return Outcome(::fsopen("tmpfs", 0)); }, kHeld},
          {"fspick", [](const Inmate&) { return Outcome(::fspick(AT_FDCWD, "/", 0)); }, kHeld},
          {"pivot_root", [&](const Inmate&) { return Pivot(mountpoint); }, kHeld},
          {"chroot", [&](const Inmate&) { return Outcome(::chroot(mountpoint.c_str())); }, kHeld},
      });
}

}  // namespace
}  // namespace fsd::security
