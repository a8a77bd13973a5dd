#include "server/fuse/arguments.h"

#include "server/errors/status_macros.h"
#include "server/fuse/abi.h"

namespace fsd::fuse {
namespace {

// How "." (or "..", if `parent`) answers where it is not allowed; 0 where it is.
int DotError(NameUse use, bool parent) {
  switch (use) {
    case NameUse::kLookup:
      return 0;
    case NameUse::kCreateFile:
    case NameUse::kUnlink:
      return EISDIR;
    case NameUse::kMakeOrLink:
      return EEXIST;
    case NameUse::kRemoveDirectory:
      return parent ? ENOTEMPTY : EINVAL;
    case NameUse::kRename:
      return EBUSY;
  }
  return EINVAL;
}

}  // namespace

ErrnoOr<std::string_view> Arguments::TakeText() {
  const std::string_view all(bytes_.data(), bytes_.size());
  const size_t length = all.find('\0');
  if (length == std::string_view::npos) return Errno(EINVAL);
  bytes_ = bytes_.subspan(length + 1);
  return all.substr(0, length);
}

ErrnoOr<std::string_view> Arguments::TakeName(NameUse use) {
  FSD_ASSIGN_OR_RETURN_ERRNO(const std::string_view name, TakeText());
  if (name.empty()) return Errno(EINVAL);
  if (name.size() > kMaxNameBytes) return Errno(ENAMETOOLONG);
  if (name.find('/') != std::string_view::npos) return Errno(EINVAL);
  if (name == "." || name == "..") {
    if (const int error = DotError(use, name == ".."); error != 0) return Errno(error);
  }
  return name;
}

ErrnoOr<std::string_view> Arguments::TakeTarget() {
  FSD_ASSIGN_OR_RETURN_ERRNO(const std::string_view target, TakeText());
  if (target.empty()) return Errno(ENOENT);
  if (target.size() > kMaxTargetBytes) return Errno(ENAMETOOLONG);
  return target;
}

ErrnoOr<std::string_view> Arguments::TakeXattrName() {
  FSD_ASSIGN_OR_RETURN_ERRNO(const std::string_view name, TakeText());
  if (name.empty() || name.size() > kMaxXattrNameBytes) return Errno(ERANGE);
  return name;
}

ErrnoOr<std::span<const char>> Arguments::TakeBytes(size_t bytes) {
  if (bytes > bytes_.size()) return Errno(EINVAL);
  const std::span<const char> taken = bytes_.first(bytes);
  bytes_ = bytes_.subspan(bytes);
  return taken;
}

}  // namespace fsd::fuse
