// Arguments: takes a request's arguments apart, after they were copied out of guest memory.
//
// Reads forward through bytes it does not own. Names are checked here, for every opcode alike.
#ifndef FSD_SERVER_FUSE_ARGUMENTS_H_
#define FSD_SERVER_FUSE_ARGUMENTS_H_

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>

#include "server/errors/errno_or.h"

namespace fsd::fuse {

// What a name is for; decides what "." and ".." answer, as Linux's like-named system calls do.
enum class NameUse {
  kLookup,           // both allowed
  kCreateFile,       // EISDIR
  kMakeOrLink,       // EEXIST
  kUnlink,           // EISDIR
  kRemoveDirectory,  // EINVAL for ".", ENOTEMPTY for ".."
  kRename,           // EBUSY
};

class Arguments {
 public:
  explicit Arguments(std::span<const char> bytes) : bytes_(bytes) {}

  // The next T. What is missing at the end is zero; the opcode table refuses requests that are
  // shorter than their opcode demands.
  template <typename T>
  requires std::is_trivially_copyable_v<T> T Take() {
    T value{};
    const size_t length = std::min(sizeof(T), bytes_.size());
    if (length > 0) std::memcpy(&value, bytes_.data(), length);
    bytes_ = bytes_.subspan(length);
    return value;
  }

  // The next NUL-terminated path component. EINVAL: no NUL, empty, or contains '/'. ENAMETOOLONG:
  // longer than kMaxNameBytes.
  ErrnoOr<std::string_view> TakeName(NameUse use);
  // The next NUL-terminated symlink target. EINVAL: no NUL. ENOENT: empty. ENAMETOOLONG: longer
  // than kMaxTargetBytes.
  ErrnoOr<std::string_view> TakeTarget();
  // The next NUL-terminated name of an extended attribute. EINVAL: no NUL. ERANGE: empty, or longer
  // than kMaxXattrNameBytes.
  ErrnoOr<std::string_view> TakeXattrName();
  // What is before the next NUL, whatever it is. EINVAL if there is none.
  ErrnoOr<std::string_view> TakeText();
  // The next `bytes` bytes. EINVAL if there are fewer.
  ErrnoOr<std::span<const char>> TakeBytes(size_t bytes);

  // What is still to be taken.
  std::span<const char> rest() const { return bytes_; }

 private:
  std::span<const char> bytes_;
};

}  // namespace fsd::fuse

#endif  // FSD_SERVER_FUSE_ARGUMENTS_H_
