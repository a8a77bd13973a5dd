#include "server/worker/token_bucket.h"

#include <algorithm>

namespace fsd::worker {
namespace {

constexpr __int128 kToken = 1'000'000'000;
// Beyond all sums of a burst and what a rate earns in any time that there is, which is below 2^126.
constexpr __int128 kGreatestDebt = __int128{1} << 125;
constexpr int64_t kLongestTime = int64_t{1} << 61;

__int128 Earned(uint64_t per_second, int64_t nanoseconds) {
  return static_cast<__int128>(per_second) * std::clamp(nanoseconds, int64_t{0}, kLongestTime);
}

}  // namespace

TokenBucket::TokenBucket(uint64_t per_second, uint64_t burst, TimePoint now)
    : per_second_(per_second), burst_(burst), earned_until_(now) {
  held_ = Capacity();
}

TokenBucket::Billionths TokenBucket::Capacity() const {
  return static_cast<Billionths>(burst_ == 0 ? per_second_ : burst_) * kToken;
}

void TokenBucket::Earn(TimePoint now, Duration overflow) {
  if (now <= earned_until_) return;
  // The difference of two times may not fit: from the least one to the greatest.
  const __int128 passed = static_cast<__int128>(now.time_since_epoch().count()) -
                          earned_until_.time_since_epoch().count();
  earned_until_ = now;
  held_ += Earned(per_second_, static_cast<int64_t>(std::min<__int128>(passed, kLongestTime)));
  held_ = std::min(held_, Capacity() + Earned(per_second_, overflow.count()));
}

void TokenBucket::Charge(uint64_t tokens) {
  held_ = std::max(held_ - static_cast<Billionths>(tokens) * kToken, -kGreatestDebt);
}

void TokenBucket::Refund(uint64_t tokens) {
  // It may hold more than that, for who could not take it in time.
  const Billionths most = std::max(held_, Capacity());
  held_ = std::min(held_ + static_cast<Billionths>(tokens) * kToken, most);
}

TokenBucket::Duration TokenBucket::UntilToken() const {
  if (held_ >= kToken) return Duration::zero();
  const __int128 nanoseconds = (kToken - held_ + per_second_ - 1) / per_second_;
  return Duration(static_cast<int64_t>(std::min<__int128>(nanoseconds, INT64_MAX)));
}

void TokenBucket::Change(uint64_t per_second, uint64_t burst) {
  per_second_ = per_second;
  burst_ = burst;
  held_ = std::clamp(held_, Billionths{0}, Capacity());
}

}  // namespace fsd::worker
