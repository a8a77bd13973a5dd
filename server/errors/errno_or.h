// Errno and ErrnoOr<T>: how file operations fail.
//
// The guest needs the exact errno of a failed operation and the hot path can afford no
// allocation, so file operations return these instead of absl::Status. Set-up, the control plane
// and the vhost-user connection use absl::Status; see server/README.md, "How things fail".
#ifndef FSD_SERVER_ERRORS_ERRNO_OR_H_
#define FSD_SERVER_ERRORS_ERRNO_OR_H_

#include <cerrno>
#include <optional>
#include <utility>

#include "server/errors/check.h"

namespace fsd {

// A Linux errno, 1 … 4095. There is no "no error" value.
class Errno {
 public:
  explicit constexpr Errno(int value) : value_(value) {}

  // The calling thread's errno, to be taken right after the system call that failed.
  static Errno Last() { return Errno(errno); }

  constexpr int value() const { return value_; }
  friend constexpr bool operator==(Errno, Errno) = default;

 private:
  int value_;
};

// A T or the errno that kept it from being made.
template <typename T>
class [[nodiscard]] ErrnoOr {
 public:
  using value_type = T;

  ErrnoOr(Errno error) : error_(error) {}                      // NOLINT: implicit by intent
  ErrnoOr(const T& value) : error_(0), value_(value) {}        // NOLINT: implicit by intent
  ErrnoOr(T&& value) : error_(0), value_(std::move(value)) {}  // NOLINT: implicit by intent

  bool ok() const { return value_.has_value(); }
  // Only when !ok().
  Errno error() const {
    FSD_CHECK(!ok());
    return error_;
  }

  // Only when ok().
  T& value() & {
    FSD_CHECK(ok());
    return *value_;
  }
  const T& value() const& {
    FSD_CHECK(ok());
    return *value_;
  }
  T&& value() && {
    FSD_CHECK(ok());
    return *std::move(value_);
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

 private:
  Errno error_;
  std::optional<T> value_;
};

// Success without a value, or an errno.
template <>
class [[nodiscard]] ErrnoOr<void> {
 public:
  using value_type = void;

  constexpr ErrnoOr() : error_(0) {}
  constexpr ErrnoOr(Errno error) : error_(error) {}  // NOLINT: implicit by intent

  constexpr bool ok() const { return error_.value() == 0; }
  // Only when !ok().
  Errno error() const {
    FSD_CHECK(!ok());
    return error_;
  }

 private:
  Errno error_;
};

}  // namespace fsd

#endif  // FSD_SERVER_ERRORS_ERRNO_OR_H_
