// What a thread does between two looks at memory that another one writes.
#ifndef FSD_TESTS_BENCH_RELAX_H_
#define FSD_TESTS_BENCH_RELAX_H_

namespace fsd::bench {

inline void Relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

}  // namespace fsd::bench

#endif  // FSD_TESTS_BENCH_RELAX_H_
