// CpuRelax: what a thread does between two looks at memory that another one writes. Leaves the
// processor's other thread its share.
#ifndef FSD_SERVER_OS_CPU_RELAX_H_
#define FSD_SERVER_OS_CPU_RELAX_H_

namespace fsd::os {

inline void CpuRelax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace fsd::os

#endif  // FSD_SERVER_OS_CPU_RELAX_H_
