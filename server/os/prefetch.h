// Prefetch: asks for a cache line before it is needed. Only a hint: it never faults, whatever the
// address.
//
// Words that two processors write in turn, as a ring's are, cost a store some 100 ns of waiting for
// the line. Asked for before a system call they are there after it.
#ifndef FSD_SERVER_OS_PREFETCH_H_
#define FSD_SERVER_OS_PREFETCH_H_

namespace fsd::os {

inline void PrefetchToRead(const void* address) { __builtin_prefetch(address, 0); }

inline void PrefetchToWrite(const void* address) {
#if defined(__x86_64__)
  // gcc makes this of __builtin_prefetch only for processors of which it is told; the others of
  // this architecture execute it as nothing.
  asm volatile("prefetchw %0" : : "m"(*static_cast<const char*>(address)));
#else
  __builtin_prefetch(address, 1);
#endif
}

}  // namespace fsd::os

#endif  // FSD_SERVER_OS_PREFETCH_H_
