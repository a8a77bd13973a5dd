// The fields that an update is about: reading UpdateExportRequest.update_mask, and copying what it
// names from one export to another.
#ifndef FSD_SERVER_CONTROL_UPDATE_MASK_H_
#define FSD_SERVER_CONTROL_UPDATE_MASK_H_

#include <span>
#include <string>
#include <vector>

#include "google/protobuf/field_mask.pb.h"
#include "proto/fsd/v1/export.pb.h"
#include "server/control/field_violation.h"

namespace fsd::control {

// Paths of served fields, and of single labels ("labels.tier"), that the mask stands for. A path
// that stands for none is a violation: FIELD_OUTPUT_ONLY or FIELD_NOT_SERVED.
std::vector<std::string> ReadUpdateMask(const google::protobuf::FieldMask& mask,
                                        FieldViolations& violations);

// Copies these fields, as ReadUpdateMask gives them; one that is not set in `from` is not set in
// `to` then.
void CopyFields(std::span<const std::string> paths, const v1::Export& from, v1::Export& to);

}  // namespace fsd::control

#endif  // FSD_SERVER_CONTROL_UPDATE_MASK_H_
