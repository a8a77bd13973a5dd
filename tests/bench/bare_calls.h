// The system calls that no server can do without, workload by workload.
//
// Each function makes one turn of them and returns the number of requests that it stands for; 0 if
// a call failed.
#ifndef FSD_TESTS_BENCH_BARE_CALLS_H_
#define FSD_TESTS_BENCH_BARE_CALLS_H_

#include <cstddef>

#include "tests/bench/bare_context.h"

namespace fsd::bench {

size_t BareGetattr(BareContext& context);
size_t BareStatfs(BareContext& context);
size_t BareLookupKnown(BareContext& context);
size_t BareLookupUnknown(BareContext& context);
size_t BareLookupAbsent(BareContext& context);
size_t BareOpen(BareContext& context);
template <size_t kBytes, bool kRandom>
size_t BareRead(BareContext& context);
template <size_t kBytes, bool kRandom>
size_t BareWrite(BareContext& context);
size_t BareCreate(BareContext& context);
size_t BareMakeDirectory(BareContext& context);
size_t BareRename(BareContext& context);
size_t BareList(BareContext& context);
size_t BareXattr(BareContext& context);

}  // namespace fsd::bench

#endif  // FSD_TESTS_BENCH_BARE_CALLS_H_
