#include "server/worker/slow_request_log.h"

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "server/telemetry/log.h"
#include "server/telemetry/opcode_name.h"

namespace fsd::worker {

void SlowRequestLog::Tell(const SlowRequest& request) {
  uint64_t missing = 0;
  {
    const os::MutexLock lock(mutex_);
    if (!limit_.Take(telemetry::RateLimit::Clock::now())) {
      ++missing_;
      return;
    }
    missing = std::exchange(missing_, 0);
  }
  FSD_LOG(kWarning, export_name_, "slow request: %s of inode %d took %s (queue %d, unique %d)%s",
          telemetry::OpcodeName(request.opcode), request.node,
          absl::FormatDuration(absl::FromChrono(request.took)), request.queue, request.unique,
          missing == 0 ? "" : absl::StrCat("; ", missing, " others were not logged"));
}

}  // namespace fsd::worker
