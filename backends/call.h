// Call, Completion, Outcome: how an operation of a Filesystem is asked for and how it answers.
//
// An operation either returns its result or returns Pending after taking a Completion from its
// Call; a pending operation is completed exactly once, later, from any thread (possibly before the
// operation has returned Pending).
#ifndef FSD_BACKENDS_CALL_H_
#define FSD_BACKENDS_CALL_H_

#include <cerrno>
#include <cstdint>
#include <optional>
#include <type_traits>
#include <utility>

#include "server/errors/check.h"
#include "server/errors/errno_or.h"

namespace fsd::backends {

// Who asked, in the guest's ids.
struct Caller {
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint32_t pid = 0;
};

// What a Call and its Completion share. The FUSE layer's request derives from it; one lives in a
// preallocated slot for as long as its operation is not completed.
struct CallState {
  Caller caller;
  uint64_t unique = 0;  // FUSE's number of the request
};

// The obligation to complete one pending operation. Movable; destroying it unused completes the
// operation with EIO, because a request that is never answered hangs the guest for ever.
template <typename T>
class Completion {
 public:
  // By reference: attributes are long enough for each copy of them to show.
  using Resume = void (*)(CallState&, ErrnoOr<T>&&);

  Completion(CallState& state, Resume resume) : state_(&state), resume_(resume) {}
  Completion(Completion&& other) noexcept
      : state_(std::exchange(other.state_, nullptr)), resume_(other.resume_) {}
  Completion& operator=(Completion&& other) noexcept {
    if (this != &other) {
      Abandon();
      state_ = std::exchange(other.state_, nullptr);
      resume_ = other.resume_;
    }
    return *this;
  }
  ~Completion() { Abandon(); }

  // Completes the operation. At most once.
  void operator()(ErrnoOr<T> result) {
    FSD_CHECK(state_ != nullptr);
    resume_(*std::exchange(state_, nullptr), std::move(result));
  }

 private:
  void Abandon() {
    if (state_ != nullptr) (*this)(Errno(EIO));
  }

  CallState* state_;
  Resume resume_;
};

// One call of an operation that results in a T. A small value; copy it freely.
template <typename T>
class Call {
 public:
  Call(CallState& state, typename Completion<T>::Resume resume) : state_(&state), resume_(resume) {}

  const Caller& caller() const { return state_->caller; }
  uint64_t unique() const { return state_->unique; }
  // The operation will return Pending and be completed by what this returns. At most once a call.
  Completion<T> Defer() const { return Completion<T>(*state_, resume_); }

 private:
  CallState* state_;
  typename Completion<T>::Resume resume_;
};

struct Pending {};
inline constexpr Pending kPending{};

// An operation's result, an errno, or Pending.
template <typename T>
class [[nodiscard]] Outcome {
 public:
  Outcome(Pending) {}                                         // NOLINT: implicit by intent
  Outcome(Errno error) : result_(ErrnoOr<T>(error)) {}        // NOLINT: implicit by intent
  Outcome(ErrnoOr<T> result) : result_(std::move(result)) {}  // NOLINT: implicit by intent
  template <typename U = T>
  requires(!std::is_void_v<U> && std::is_convertible_v<U&&, T> &&
           std::is_constructible_v<ErrnoOr<T>, U&&>) Outcome(U&& value)
      : result_(std::in_place, std::forward<U>(value)) {}  // NOLINT: implicit by intent

  bool pending() const { return !result_.has_value(); }
  // Only when !pending().
  ErrnoOr<T>&& result() && {
    FSD_CHECK(result_.has_value());
    return *std::move(result_);
  }

 private:
  std::optional<ErrnoOr<T>> result_;
};

}  // namespace fsd::backends

#endif  // FSD_BACKENDS_CALL_H_
