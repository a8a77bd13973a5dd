// What an earlier supervisor's worker has handed over, and whether it can be gone on with.
#ifndef FSD_SERVER_SUPERVISOR_HANDOVER_CHECK_H_
#define FSD_SERVER_SUPERVISOR_HANDOVER_CHECK_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "proto/fsd/internal/export_spec.pb.h"
#include "proto/fsd/internal/worker.pb.h"
#include "server/os/unique_fd.h"
#include "server/supervisor/config.h"
#include "server/supervisor/export_socket.h"
#include "server/supervisor/worker_process.h"

namespace fsd::supervisor {

// Where an export's vhost-user socket may be, and who may connect to it.
std::vector<std::string> SocketDirectories(const Config& config);

os::SocketAccess AccessOf(const internal::ExportSpec& spec);

struct CheckedHandover {
  ExportSocket vhost;
  os::UniqueFd counters;  // invalid if they are of another release's layout, and cannot be read
  internal::WorkerSpec spec;
  // Names of what the worker does otherwise than record and configuration have it now, and only the
  // next one can do.
  std::vector<std::string_view> outdated;
};

// `handover` may hold anything. An error is the worker's misdeed; what was sent is closed without
// that the caller waits for it.
absl::StatusOr<CheckedHandover> CheckHandover(const Config& config,
                                              const internal::ExportRecord& record,
                                              Handover handover);

}  // namespace fsd::supervisor

#endif  // FSD_SERVER_SUPERVISOR_HANDOVER_CHECK_H_
