// How far the configuration lets an export weaken its worker's jail, and to whom its socket may
// belong.
#ifndef FSD_SERVER_SUPERVISOR_EXPORT_BOUNDS_H_
#define FSD_SERVER_SUPERVISOR_EXPORT_BOUNDS_H_

#include "absl/status/status.h"
#include "proto/fsd/internal/export_spec.pb.h"
#include "server/supervisor/config.h"

namespace fsd::supervisor {

// PERMISSION_DENIED with SANDBOX_NOT_ALLOWED, CAPABILITY_NOT_ALLOWED or SOCKET_OWNER_NOT_ALLOWED;
// the message names the value, the bound and the key that sets it. `spec` is valid otherwise.
absl::Status CheckExportBounds(const Config& config, const internal::ExportSpec& spec);

}  // namespace fsd::supervisor

#endif  // FSD_SERVER_SUPERVISOR_EXPORT_BOUNDS_H_
