#include "backends/passthrough/caller_credentials.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <vector>

#include "server/errors/check.h"

namespace fsd::passthrough {
namespace {

// An id no one can have: setfsuid(2) changes nothing then, and tells the present one.
constexpr uint32_t kAsk = UINT32_MAX;

uint32_t SetFsUid(uint32_t uid) { return static_cast<uint32_t>(::syscall(SYS_setfsuid, uid)); }
uint32_t SetFsGid(uint32_t gid) { return static_cast<uint32_t>(::syscall(SYS_setfsgid, gid)); }

// setfsuid(2) does not say whether it succeeded.
bool BecomeUid(uint32_t uid) {
  SetFsUid(uid);
  return SetFsUid(kAsk) == uid;
}
bool BecomeGid(uint32_t gid) {
  SetFsGid(gid);
  return SetFsGid(kAsk) == gid;
}

// What the calling thread is when it acts for nobody. Only CallerCredentials changes it.
struct OwnIds {
  uint32_t uid = SetFsUid(kAsk);
  uint32_t gid = SetFsGid(kAsk);
};
const OwnIds& Own() {
  thread_local const OwnIds own;
  return own;
}

// Raw, because glibc's would change every thread.
bool SetGroups(const uint32_t* groups, size_t count) {
  return ::syscall(SYS_setgroups, count, groups) == 0;
}

// The supplementary groups of a thread that acts for nobody.
std::vector<uint32_t> GetGroups() {
  const long count = ::syscall(SYS_getgroups, 0, nullptr);
  FSD_CHECK(count >= 0);
  std::vector<uint32_t> groups(static_cast<size_t>(count));
  if (count > 0) FSD_CHECK(::syscall(SYS_getgroups, count, groups.data()) == count);
  return groups;
}
struct OwnGroupSet {
  const std::vector<uint32_t> groups = GetGroups();
  // Whether they can be left for others and taken back: not without CAP_SETGID, in a user namespace
  // that setgroups(2) is denied in, or with a group that has no number here.
  const bool changeable = SetGroups(groups.data(), groups.size());
};
const OwnGroupSet& OwnGroups() {
  thread_local const OwnGroupSet own;
  return own;
}

}  // namespace

ThreadCapabilities ThreadCapabilities::Get() {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  ThreadCapabilities capabilities{};
  FSD_CHECK(::syscall(SYS_capget, &header, capabilities.words) == 0);
  return capabilities;
}

bool ThreadCapabilities::Set() const {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  return ::syscall(SYS_capset, &header, words) == 0;
}

bool ThreadCapabilities::HasEffective(int capability) const {
  return (words[CAP_TO_INDEX(capability)].effective & CAP_TO_MASK(capability)) != 0;
}

bool ThreadCapabilities::HasAnyEffective() const {
  return std::any_of(std::begin(words), std::end(words),
                     [](const __user_cap_data_struct& word) { return word.effective != 0; });
}

void ThreadCapabilities::DropEffective(int capability) {
  words[CAP_TO_INDEX(capability)].effective &= ~CAP_TO_MASK(capability);
}

void ThreadCapabilities::DropAllEffectiveBut(int capability) {
  const uint32_t kept = words[CAP_TO_INDEX(capability)].effective & CAP_TO_MASK(capability);
  DropAllEffective();
  words[CAP_TO_INDEX(capability)].effective = kept;
}

void ThreadCapabilities::DropAllEffective() {
  for (__user_cap_data_struct& word : words) word.effective = 0;
}

bool CallerCredentials::Possible() {
  const ThreadCapabilities capabilities = ThreadCapabilities::Get();
  return capabilities.HasEffective(CAP_SETUID) && capabilities.HasEffective(CAP_SETGID);
}

CallerCredentials::CallerCredentials(const backends::Caller& caller, Permissions permissions,
                                     std::optional<uint32_t> supplementary_group) {
  const OwnIds& own = Own();
  if (supplementary_group == kAsk) {
    status_ = Errno(EPERM);
    return;
  }
  // A group only ever adds to what the caller may do, so it can be left out.
  if (supplementary_group && OwnGroups().changeable) {
    if (!SetGroups(&*supplementary_group, 1)) {
      status_ = Errno(EPERM);
      return;
    }
    groups_changed_ = true;
  }
  if (caller.gid != own.gid) {
    if (caller.gid == kAsk || !BecomeGid(caller.gid)) {
      status_ = Errno(EPERM);
      return;
    }
    gid_changed_ = true;
  }
  if (caller.uid == own.uid && caller.uid == 0) return;
  own_capabilities_ = ThreadCapabilities::Get();
  if (caller.uid != own.uid) {
    if (caller.uid == kAsk || !BecomeUid(caller.uid)) {
      status_ = Errno(EPERM);
      return;
    }
    uid_changed_ = true;
  } else if (!own_capabilities_.HasAnyEffective()) {
    return;
  }
  capabilities_changed_ = true;

  ThreadCapabilities capabilities = own_capabilities_;
  if (caller.uid != 0) {
    // More than setfsuid(2) drops: that leaves SYS_ADMIN, SYS_RESOURCE, SETFCAP and others.
    if (permissions == Permissions::kCheckedByGuest) {
      capabilities.DropAllEffectiveBut(CAP_DAC_OVERRIDE);
    } else {
      capabilities.DropAllEffective();
    }
  }
  if (!capabilities.Set()) status_ = Errno(EPERM);
}

CallerCredentials::~CallerCredentials() {
  // A thread that stayed somebody else would serve the next request in their name.
  if (uid_changed_) FSD_CHECK(BecomeUid(Own().uid));
  if (capabilities_changed_) FSD_CHECK(own_capabilities_.Set());
  if (gid_changed_) FSD_CHECK(BecomeGid(Own().gid));
  if (groups_changed_) FSD_CHECK(SetGroups(OwnGroups().groups.data(), OwnGroups().groups.size()));
}

WithoutFsetid::WithoutFsetid(bool wanted) {
  if (!wanted) return;
  own_capabilities_ = ThreadCapabilities::Get();
  if (!own_capabilities_.HasEffective(CAP_FSETID)) return;
  ThreadCapabilities capabilities = own_capabilities_;
  capabilities.DropEffective(CAP_FSETID);
  dropped_ = capabilities.Set();
  if (!dropped_) status_ = Errno(EPERM);
}

WithoutFsetid::~WithoutFsetid() {
  if (dropped_) FSD_CHECK(own_capabilities_.Set());
}

}  // namespace fsd::passthrough
