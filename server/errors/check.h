// FSD_CHECK: ends the process when an invariant of our own code is broken.
//
// Never reachable by what a guest, a front-end, a worker or a client sends: their mistakes become
// an errno, a stopped vring, a closed connection or a failed export.
#ifndef FSD_SERVER_ERRORS_CHECK_H_
#define FSD_SERVER_ERRORS_CHECK_H_

namespace fsd::internal {

// Writes "file:line: check failed: text" to stderr and aborts. Allocates nothing.
[[noreturn]] void CheckFailed(const char* file, int line, const char* text);

}  // namespace fsd::internal

#define FSD_CHECK(condition)                                                   \
  (__builtin_expect(static_cast<bool>(condition), 1)                           \
       ? static_cast<void>(0)                                                  \
       : ::fsd::internal::CheckFailed(__FILE__, __LINE__, #condition))

#endif  // FSD_SERVER_ERRORS_CHECK_H_
