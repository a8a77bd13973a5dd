// What a client may ask for as an export, beyond what its proto says.
#ifndef FSD_SERVER_SUPERVISOR_EXPORT_SPEC_H_
#define FSD_SERVER_SUPERVISOR_EXPORT_SPEC_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "google/protobuf/message_lite.h"
#include "proto/fsd/internal/export_spec.pb.h"
#include "server/supervisor/config.h"

namespace fsd::supervisor {

inline constexpr size_t kMaxTagBytes = 36;  // virtio 1.2 §5.11.4
inline constexpr uint32_t kDefaultSocketMode = 0600;

// 1 … 63 of a-z, 0-9 and '-', neither first nor last a '-'.
bool IsValidExportId(std::string_view id);

// RUNTIME_DIR/exports/ID.sock and RUNTIME_DIR/control/ID.sock.
std::string DefaultSocketPath(const Config& config, std::string_view id);
std::string ControlSocketPath(const Config& config, std::string_view id);

// Fills in what was left to the server and brings the rest into one form (normal paths, sorted
// labels and capabilities), so that equal specs are equal bytes. INVALID_ARGUMENT or
// PERMISSION_DENIED, naming the field, for what cannot be served. Looks at no file.
absl::Status CompleteExportSpec(const Config& config, internal::ExportSpec& spec);

// Of one type, without unknown fields or maps.
bool IsSame(const google::protobuf::MessageLite& a, const google::protobuf::MessageLite& b);

// The record of a new export with this complete spec: made now, with a random uid.
internal::ExportRecord NewExportRecord(internal::ExportSpec spec, std::string request_id);

}  // namespace fsd::supervisor

#endif  // FSD_SERVER_SUPERVISOR_EXPORT_SPEC_H_
