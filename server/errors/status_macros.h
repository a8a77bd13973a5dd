// Early returns for absl::Status[Or] and ErrnoOr, and the bridge from an errno to a Status.
#ifndef FSD_SERVER_ERRORS_STATUS_MACROS_H_
#define FSD_SERVER_ERRORS_STATUS_MACROS_H_

#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/errors/errno_or.h"

namespace fsd {

// Debian's Abseil has a string_view of its own; this converts where the two differ and compiles
// where they are one type.
inline absl::string_view Absl(std::string_view text) { return {text.data(), text.size()}; }

// "what: strerror(error)" under the canonical code that fits the errno.
absl::Status ErrnoStatus(Errno error, std::string_view what);

// `status` with "context: " in front of its message; OK stays OK.
absl::Status Annotate(const absl::Status& status, std::string_view context);

namespace internal {
inline absl::Status AsStatus(const absl::Status& status) { return status; }
template <typename T>
absl::Status AsStatus(const absl::StatusOr<T>& result) {
  return result.status();
}
}  // namespace internal

}  // namespace fsd

#define FSD_CONCAT_INNER_(a, b) a##b
#define FSD_CONCAT_(a, b) FSD_CONCAT_INNER_(a, b)

// Returns from the caller if `expression` (a Status) is not OK.
#define FSD_RETURN_IF_ERROR(expression)                                          \
  do {                                                                           \
    if (auto fsd_status_ = ::fsd::internal::AsStatus(expression); !fsd_status_.ok()) \
      return fsd_status_;                                                        \
  } while (false)

// `target` takes the value of `expression` (a StatusOr), or the caller returns its status.
#define FSD_ASSIGN_OR_RETURN(target, expression) \
  FSD_ASSIGN_OR_RETURN_(FSD_CONCAT_(fsd_status_or_, __LINE__), target, expression)
#define FSD_ASSIGN_OR_RETURN_(name, target, expression) \
  auto name = (expression);                             \
  if (!name.ok()) return std::move(name).status();      \
  target = *std::move(name)

// The same two for ErrnoOr.
#define FSD_RETURN_IF_ERRNO(expression)                                  \
  do {                                                                   \
    if (auto fsd_errno_ = (expression); !fsd_errno_.ok()) return fsd_errno_.error(); \
  } while (false)
#define FSD_ASSIGN_OR_RETURN_ERRNO(target, expression) \
  FSD_ASSIGN_OR_RETURN_ERRNO_(FSD_CONCAT_(fsd_errno_or_, __LINE__), target, expression)
#define FSD_ASSIGN_OR_RETURN_ERRNO_(name, target, expression) \
  auto name = (expression);                                   \
  if (!name.ok()) return name.error();                        \
  target = *std::move(name)

#endif  // FSD_SERVER_ERRORS_STATUS_MACROS_H_
