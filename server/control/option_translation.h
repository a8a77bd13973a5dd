// Between the API's cache, semantics, ids, inodes, transport and sandbox and the specification's
// fields of the same meaning. What is unset stays unset, except the cache policy, which is AUTO
// then.
#ifndef FSD_SERVER_CONTROL_OPTION_TRANSLATION_H_
#define FSD_SERVER_CONTROL_OPTION_TRANSLATION_H_

#include "proto/fsd/internal/export_spec.pb.h"
#include "proto/fsd/v1/export.pb.h"

namespace fsd::control {

// `resource` has been validated.
void OptionsToSpec(const v1::Export& resource, internal::ExportSpec& spec);

// A message none of whose fields is set stays absent.
void OptionsToExport(const internal::ExportSpec& spec, v1::Export& resource);

}  // namespace fsd::control

#endif  // FSD_SERVER_CONTROL_OPTION_TRANSLATION_H_
