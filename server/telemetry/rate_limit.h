// RateLimit: so many at once, and one more each interval after that. For what somebody hostile can
// bring about and somebody else has to bear: lines of the log, messages.
//
// Needs a lock of its owner's.
#ifndef FSD_SERVER_TELEMETRY_RATE_LIMIT_H_
#define FSD_SERVER_TELEMETRY_RATE_LIMIT_H_

#include <algorithm>
#include <chrono>

namespace fsd::telemetry {

class RateLimit {
 public:
  using Clock = std::chrono::steady_clock;

  RateLimit(int burst, Clock::duration interval) : interval_(interval), burst_(burst * interval) {}

  // Takes one, if there is one to be had. `now` does not go back.
  bool Take(Clock::time_point now) {
    const Clock::time_point begin = std::max(spent_until_, now - burst_);
    if (begin + interval_ > now) return false;
    spent_until_ = begin + interval_;
    return true;
  }

 private:
  const Clock::duration interval_;
  const Clock::duration burst_;
  // What was taken last used the time up to here; what lies farther back than a burst is lost.
  Clock::time_point spent_until_{};
};

}  // namespace fsd::telemetry

#endif  // FSD_SERVER_TELEMETRY_RATE_LIMIT_H_
