// From an export's specification to the options of its FUSE sessions.
#ifndef FSD_SERVER_WORKER_SESSION_OPTIONS_H_
#define FSD_SERVER_WORKER_SESSION_OPTIONS_H_

#include "proto/fsd/internal/export_spec.pb.h"
#include "server/fuse/session_options.h"

namespace fsd::worker {

// What is unspecified or unknown to this worker takes its default (export_spec.proto).
fuse::SessionOptions SessionOptionsOf(const internal::ExportSpec& spec);

}  // namespace fsd::worker

#endif  // FSD_SERVER_WORKER_SESSION_OPTIONS_H_
