// Access to words of memory that the guest may change at any moment.
//
// Every access is atomic, so the compiler makes it exactly once: what was checked is what is used.
// A word must be aligned to its size.
#ifndef FSD_SERVER_VIRTQUEUE_GUEST_WORD_H_
#define FSD_SERVER_VIRTQUEUE_GUEST_WORD_H_

#include <atomic>
#include <cstddef>
#include <span>

namespace fsd::virtqueue {

template <typename T>
T Fetch(const T* word, std::memory_order order = std::memory_order_relaxed) {
  return std::atomic_ref<T>(*const_cast<T*>(word)).load(order);
}

template <typename T>
void Store(T* word, T value, std::memory_order order = std::memory_order_relaxed) {
  std::atomic_ref<T>(*word).store(value, order);
}

// A store that is also a full barrier: later sequentially consistent fetches do not overtake it.
// A read-modify-write, because gcc's ThreadSanitizer does not understand atomic_thread_fence.
template <typename T>
void StoreAndFence(T* word, T value) {
  std::atomic_ref<T>(*word).exchange(value, std::memory_order_seq_cst);
}

// Fetches bytes of any alignment, each once.
inline void FetchBytes(const std::byte* from, std::span<std::byte> to) {
  for (size_t i = 0; i < to.size(); ++i) to[i] = Fetch(from + i);
}

}  // namespace fsd::virtqueue

#endif  // FSD_SERVER_VIRTQUEUE_GUEST_WORD_H_
