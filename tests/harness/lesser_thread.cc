#include "tests/harness/lesser_thread.h"

#include <linux/capability.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>
#include <thread>

#include "server/errors/check.h"
#include "server/os/unique_fd.h"

namespace fsd::harness {
namespace {

void Drop(int capability) {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3];
  // From the bounding set too, or a worker of uid 0 would get it back at its exec.
  FSD_CHECK(::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0);
  FSD_CHECK(::syscall(SYS_capget, &header, sets) == 0);
  sets[CAP_TO_INDEX(capability)].permitted &= ~CAP_TO_MASK(capability);
  sets[CAP_TO_INDEX(capability)].effective &= ~CAP_TO_MASK(capability);
  FSD_CHECK(::syscall(SYS_capset, &header, sets) == 0);
}

void MountOver(const char* path, const std::string& contents) {
  char name[] = "/tmp/fsd-subordinate-XXXXXX";
  const os::UniqueFd file(::mkstemp(name));
  FSD_CHECK(file.valid() && ::fchmod(file.get(), 0644) == 0);
  FSD_CHECK(::write(file.get(), contents.data(), contents.size()) ==
            static_cast<ssize_t>(contents.size()));
  FSD_CHECK(::mount(name, path, nullptr, MS_BIND, nullptr) == 0);
  ::unlink(name);
}

}  // namespace

void RunWithout(std::initializer_list<int> capabilities, const std::function<void()>& body) {
  std::thread([&] {
    for (const int capability : capabilities) Drop(capability);
    body();
  }).join();
}

void RunAs(uid_t id, const std::string& subordinate_ids, const std::function<void()>& body) {
  std::thread([&] {
    if (!subordinate_ids.empty()) {
      FSD_CHECK(::unshare(CLONE_NEWNS) == 0);
      FSD_CHECK(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0);
      MountOver("/etc/subuid", subordinate_ids);
      MountOver("/etc/subgid", subordinate_ids);
    }
    // Raw: glibc's would change every thread.
    FSD_CHECK(::syscall(SYS_setgroups, 0, nullptr) == 0);
    FSD_CHECK(::syscall(SYS_setresgid, id, id, id) == 0);
    FSD_CHECK(::syscall(SYS_setresuid, id, id, id) == 0);
    // As after an exec: a process that changed its user may not look into its own proc.
    FSD_CHECK(::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0);
    body();
  }).join();
}

}  // namespace fsd::harness
