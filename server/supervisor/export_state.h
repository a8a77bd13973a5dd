// The states of an export's life, and the ways between them.
#ifndef FSD_SERVER_SUPERVISOR_EXPORT_STATE_H_
#define FSD_SERVER_SUPERVISOR_EXPORT_STATE_H_

#include <string_view>

#include "server/supervisor/export_view.h"

namespace fsd::supervisor {

std::string_view ExportStateName(ExportState state);
// Whether an export may go from one state to another.
bool IsLegalTransition(ExportState from, ExportState to);

}  // namespace fsd::supervisor

#endif  // FSD_SERVER_SUPERVISOR_EXPORT_STATE_H_
