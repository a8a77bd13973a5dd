// ComponentName: one name of a directory entry as the guest gave it, checked and NUL-terminated.
//
// Never a path: a '/' or a NUL in it is EINVAL. "." and ".." are names here; what may not be done
// with them is for the operation, or the kernel, to refuse. Lives on the stack, allocates nothing.
#ifndef FSD_BACKENDS_PASSTHROUGH_COMPONENT_NAME_H_
#define FSD_BACKENDS_PASSTHROUGH_COMPONENT_NAME_H_

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <string_view>

#include "server/errors/errno_or.h"

namespace fsd::passthrough {

class ComponentName {
 public:
  // The longest a guest's kernel sends (FUSE_NAME_MAX). Most file systems take 255 bytes, and say
  // so themselves; those that count characters take more.
  static constexpr size_t kMaxBytes = 1024;

  explicit ComponentName(std::string_view name) : status_(Check(name)) {
    const size_t size = status_.ok() ? std::min(name.size(), kMaxBytes) : 0;
    std::memcpy(text_, name.data(), size);
    text_[size] = '\0';
  }
  ComponentName(const ComponentName&) = delete;
  ComponentName& operator=(const ComponentName&) = delete;

  // ENOENT: empty. ENAMETOOLONG: over kMaxBytes. EINVAL: no name at all.
  ErrnoOr<void> status() const { return status_; }
  // Only when status() is ok.
  const char* c_str() const { return text_; }
  bool IsDot() const { return text_[0] == '.' && text_[1] == '\0'; }
  bool IsDotDot() const { return text_[0] == '.' && text_[1] == '.' && text_[2] == '\0'; }

 private:
  static ErrnoOr<void> Check(std::string_view name) {
    if (name.empty()) return Errno(ENOENT);
    if (name.size() > kMaxBytes) return Errno(ENAMETOOLONG);
    if (name.find('/') != name.npos || name.find('\0') != name.npos) return Errno(EINVAL);
    return {};
  }

  ErrnoOr<void> status_;
  char text_[kMaxBytes + 1];
};

}  // namespace fsd::passthrough

#endif  // FSD_BACKENDS_PASSTHROUGH_COMPONENT_NAME_H_
