// Whether what is written to a descriptor goes to systemd's journal, and what a line needs there.
#ifndef FSD_SERVER_TELEMETRY_JOURNAL_H_
#define FSD_SERVER_TELEMETRY_JOURNAL_H_

#include <string_view>

#include "server/telemetry/log.h"

namespace fsd::telemetry {

// Names the stream that the service manager has connected to the journal, as DEVICE:INODE
// (systemd.exec(5)).
inline constexpr char kJournalStream[] = "JOURNAL_STREAM";

// Whether `fd` is the stream that `journal_stream`, the variable's value, names. Not if it is null.
bool IsJournal(int fd, const char* journal_stream);

// "<6>": how a line says its priority to the journal (sd-daemon(3)).
std::string_view JournalPrefix(LogLevel level);

}  // namespace fsd::telemetry

#endif  // FSD_SERVER_TELEMETRY_JOURNAL_H_
