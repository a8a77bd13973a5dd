// How a worker that cannot serve tells its supervisor why.
#ifndef FSD_SERVER_EXE_FAILURE_REPORT_H_
#define FSD_SERVER_EXE_FAILURE_REPORT_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace fsd::exe {

// As much of `text` as a report takes, in whole characters: a string of the protocol is UTF-8, or
// the message is none.
std::string CutFailure(absl::string_view text);

// Tells whoever has dialled `control_listener`, which the supervisor does before it starts a
// worker. Never waits, and does nothing if nobody has: the log and the exit status say it too. In
// or out of the jail, before the list of system calls.
void ReportFailure(int control_listener, const absl::Status& why);

}  // namespace fsd::exe

#endif  // FSD_SERVER_EXE_FAILURE_REPORT_H_
