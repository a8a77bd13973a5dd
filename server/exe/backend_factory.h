// Which backend serves an export: the one place that names them all.
#ifndef FSD_SERVER_EXE_BACKEND_FACTORY_H_
#define FSD_SERVER_EXE_BACKEND_FACTORY_H_

#include <memory>

#include "absl/status/statusor.h"
#include "backends/filesystem.h"
#include "backends/passthrough/handle_broker.h"
#include "backends/passthrough/passthrough_filesystem.h"
#include "proto/fsd/internal/export_spec.pb.h"
#include "server/os/unique_fd.h"

namespace fsd::exe {

// What an export's specification asks of the passthrough file system, without its descriptors.
// INVALID_ARGUMENT for what no supervisor lets through.
absl::StatusOr<passthrough::Options> PassthroughOptions(const internal::ExportSpec& spec);

// Whether the export wants host handles, and so somebody who opens them.
bool UsesHostHandles(const internal::ExportSpec& spec);

// `root` is the export's directory, `proc_self_fd` the calling process's own "self/fd"; both
// O_PATH. `broker` may be null.
absl::StatusOr<std::unique_ptr<backends::Filesystem>> MakeBackend(
    const internal::ExportSpec& spec, os::UniqueFd root, os::UniqueFd proc_self_fd,
    std::unique_ptr<passthrough::HandleBroker> broker);

}  // namespace fsd::exe

#endif  // FSD_SERVER_EXE_BACKEND_FACTORY_H_
