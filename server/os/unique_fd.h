// UniqueFd: the owner of a file descriptor.
//
// A UniqueFd by value takes ownership; a plain `int fd` borrows for the call.
#ifndef FSD_SERVER_OS_UNIQUE_FD_H_
#define FSD_SERVER_OS_UNIQUE_FD_H_

#include <utility>

namespace fsd::os {

class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    reset(other.release());
    return *this;
  }
  ~UniqueFd() { reset(); }

  bool valid() const { return fd_ >= 0; }
  // The descriptor, borrowed; -1 if there is none.
  int get() const { return fd_; }
  // Gives the descriptor up without closing it.
  [[nodiscard]] int release() { return std::exchange(fd_, -1); }
  // Closes what is held and holds `fd` instead.
  void reset(int fd = -1);

 private:
  int fd_ = -1;
};

}  // namespace fsd::os

#endif  // FSD_SERVER_OS_UNIQUE_FD_H_
