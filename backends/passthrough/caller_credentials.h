// CallerCredentials, WithoutFsetid: what the calling thread gives up for one system call.
//
// Both are per thread (raw system calls; glibc has no wrapper that would change every thread),
// undone by the destructor, and cost nothing where there is nothing to change.
#ifndef FSD_BACKENDS_PASSTHROUGH_CALLER_CREDENTIALS_H_
#define FSD_BACKENDS_PASSTHROUGH_CALLER_CREDENTIALS_H_

#include <linux/capability.h>

#include <cstdint>
#include <optional>

#include "backends/filesystem.h"
#include "server/errors/errno_or.h"

namespace fsd::passthrough {

// The effective, permitted and inheritable capabilities of the calling thread.
struct ThreadCapabilities {
  static ThreadCapabilities Get();
  bool Set() const;

  bool HasEffective(int capability) const;
  bool HasAnyEffective() const;
  void DropEffective(int capability);
  void DropAllEffective();
  void DropAllEffectiveBut(int capability);

  __user_cap_data_struct words[_LINUX_CAPABILITY_U32S_3];
};

// The file-system uid and gid, and perhaps one supplementary group, of a guest's process for as
// long as this lives. The ids are the host's. Of the thread's capabilities an ordinary user has
// none, whichever an operator has added to the worker's, but for CAP_DAC_OVERRIDE as below.
class CallerCredentials {
 public:
  enum class Permissions {
    // The host lets the caller do whatever the guest's kernel has let it do. The guest has checked
    // permissions already and with the caller's supplementary groups, which we do not know: without
    // them the host would refuse what is allowed. So CAP_DAC_OVERRIDE stays, if we have it.
    kCheckedByGuest,
    // The host checks, by uid and gid alone.
    kCheckedByHost,
  };

  // Whether the calling thread may become anybody (CAP_SETUID and CAP_SETGID).
  static bool Possible();

  // The caller has `supplementary_group` instead of this process's groups, if it is given and this
  // process can change them.
  CallerCredentials(const backends::Caller& caller, Permissions permissions,
                    std::optional<uint32_t> supplementary_group = std::nullopt);
  ~CallerCredentials();
  CallerCredentials(const CallerCredentials&) = delete;
  CallerCredentials& operator=(const CallerCredentials&) = delete;

  // EPERM if the thread could not become the caller; nothing may be done in its name then.
  ErrnoOr<void> status() const { return status_; }

 private:
  ErrnoOr<void> status_;
  bool groups_changed_ = false;
  bool gid_changed_ = false;
  bool uid_changed_ = false;
  bool capabilities_changed_ = false;
  ThreadCapabilities own_capabilities_;  // if capabilities_changed_
};

// Without CAP_FSETID for as long as this lives: a write, a change of size and O_TRUNC then clear
// setuid and setgid, as they do for whoever is not root.
class WithoutFsetid {
 public:
  // Does nothing unless `wanted`.
  explicit WithoutFsetid(bool wanted);
  ~WithoutFsetid();
  WithoutFsetid(const WithoutFsetid&) = delete;
  WithoutFsetid& operator=(const WithoutFsetid&) = delete;

  // EPERM if it could not be dropped.
  ErrnoOr<void> status() const { return status_; }

 private:
  ErrnoOr<void> status_;
  bool dropped_ = false;
  ThreadCapabilities own_capabilities_;  // if dropped_
};

}  // namespace fsd::passthrough

#endif  // FSD_BACKENDS_PASSTHROUGH_CALLER_CREDENTIALS_H_
