// CloseTogether: closes descriptors many at a time.
//
// What a guest forgets together it mostly looked up together, so that the descriptors have numbers
// in a row. Closed with one call, 64 of them cost 0.35 µs each instead of 0.65, and a LOOKUP with
// its FORGET 3.65 µs instead of 4.35.
#ifndef FSD_SERVER_OS_CLOSE_TOGETHER_H_
#define FSD_SERVER_OS_CLOSE_TOGETHER_H_

#include <array>
#include <cstddef>

namespace fsd::os {

// While one lives on a thread, what the thread gives to CloseSoon() is collected, and closed when
// there are kMost or at Flush(), at the latest by the destructor. One inside another collects
// nothing.
class CloseTogether {
 public:
  static constexpr size_t kMost = 64;

  CloseTogether();
  CloseTogether(const CloseTogether&) = delete;
  CloseTogether& operator=(const CloseTogether&) = delete;
  ~CloseTogether();

  bool empty() const { return count_ == 0; }
  // Takes as long as close(2) may.
  void Flush();

 private:
  friend void CloseSoon(int fd);

  std::array<int, kMost> fds_;
  size_t count_ = 0;
};

// Closes `fd`, which is the caller's no more: at once, if the thread has no CloseTogether.
void CloseSoon(int fd);

}  // namespace fsd::os

#endif  // FSD_SERVER_OS_CLOSE_TOGETHER_H_
