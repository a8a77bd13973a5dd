// What a worker's specification makes of its jail.
#ifndef FSD_SERVER_EXE_WORKER_JAIL_H_
#define FSD_SERVER_EXE_WORKER_JAIL_H_

#include <optional>

#include "absl/status/statusor.h"
#include "proto/fsd/internal/worker.pb.h"
#include "server/os/unique_fd.h"
#include "server/sandbox/sandbox.h"
#include "server/sandbox/seccomp_filter.h"

namespace fsd::exe {

// sandbox::Enter as `spec` asks for it, with `source` as the export's directory. INVALID_ARGUMENT
// for what no supervisor lets through.
absl::StatusOr<sandbox::Jail> EnterJail(const internal::WorkerSpec& spec, os::UniqueFd source);

// The lists of all processes that there are to be, compiled.
struct Filters {
  sandbox::SeccompFilter keeper;
  sandbox::SeccompFilter data_plane;
  std::optional<sandbox::SeccompFilter> handle_keeper;  // with Jail::host_handles
};
absl::StatusOr<Filters> CompileFilters(const internal::ExportSpec& spec, const sandbox::Jail& jail);

}  // namespace fsd::exe

#endif  // FSD_SERVER_EXE_WORKER_JAIL_H_
