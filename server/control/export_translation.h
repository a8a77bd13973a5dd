// Between the API's Export and the supervisor's view of one: field by field, nothing else.
#ifndef FSD_SERVER_CONTROL_EXPORT_TRANSLATION_H_
#define FSD_SERVER_CONTROL_EXPORT_TRANSLATION_H_

#include <string>

#include "proto/fsd/internal/export_spec.pb.h"
#include "proto/fsd/v1/export.pb.h"
#include "server/supervisor/export_view.h"

namespace fsd::control {

// The specification that a validated export asks for, defaults filled in. Output-only fields are
// ignored; socket_path stays empty if the client leaves it to the server.
internal::ExportSpec ToSpec(const std::string& export_id, const v1::Export& resource);

v1::Export ToExport(const supervisor::ExportView& view);

// A quoted hash of the record's bytes: equal exactly when the record is (up to chance). Draining
// does not count.
std::string Etag(const internal::ExportRecord& record);

}  // namespace fsd::control

#endif  // FSD_SERVER_CONTROL_EXPORT_TRANSLATION_H_
