// Watching exports across broken streams and restarts of the server.
#ifndef FSD_CLI_EXPORT_WATCH_H_
#define FSD_CLI_EXPORT_WATCH_H_

#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include "cli/client.h"
#include "cli/exit_code.h"
#include "proto/fsd/v1/export_service.pb.h"

namespace fsd::cli {

// Gets each event of the exports that match, as WatchView tells them; BOOKMARK after a snapshot.
// False: it has seen enough.
using WatchHandler = std::function<bool(const v1::WatchExportsResponse&)>;

// Watches until the handler has seen enough: kOk; or `deadline` is over: kTimedOut, of which
// nothing is said; or the server refuses, which is said on stderr, with `doing` as in
// DescribeFailure. A stream that breaks is taken up where it ended, or else from what the handler
// knows; stderr tells of the outage.
ExitCode WatchExports(Client& client, const std::string& doing, const std::string& filter,
                      const std::optional<std::chrono::system_clock::time_point>& deadline,
                      const WatchHandler& handler);

}  // namespace fsd::cli

#endif  // FSD_CLI_EXPORT_WATCH_H_
