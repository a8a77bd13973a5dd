// TokenBucket: what of a rate has not been used yet.
//
// It earns `per_second` tokens a second, evenly, and holds `burst` of them at most. More may be
// charged than it holds: it is then in debt, which what it earns pays off first. Whole tokens are
// what it is asked for, though it counts in billionths of one: a rate is kept exactly, whatever its
// size and however often it is looked at.
//
// Pure arithmetic on the times that it is given. No number can make it overflow.
#ifndef FSD_SERVER_WORKER_TOKEN_BUCKET_H_
#define FSD_SERVER_WORKER_TOKEN_BUCKET_H_

#include <chrono>
#include <cstdint>

namespace fsd::worker {

class TokenBucket {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  using Duration = std::chrono::nanoseconds;

  // Full at `now`. `per_second` is not 0; `burst` 0: one second's worth.
  TokenBucket(uint64_t per_second, uint64_t burst, TimePoint now);

  // Takes in what was earned since the last time. A time before that changes nothing.
  // `overflow`: it may hold what this time is worth besides its burst, for one who could not take
  // in time what was due.
  void Earn(TimePoint now, Duration overflow = Duration::zero());
  void Charge(uint64_t tokens);
  // Gives back what was charged too much, as far as the burst allows.
  void Refund(uint64_t tokens);
  // How long from the last Earn until it holds a whole token; 0 if it does.
  Duration UntilToken() const;

  uint64_t per_second() const { return per_second_; }
  uint64_t burst() const { return burst_; }
  // Other numbers from `now` on, after an Earn. A debt is forgiven; what is held stays, as far as
  // the new burst allows.
  void Change(uint64_t per_second, uint64_t burst);

 private:
  // Billionths of a token: what a rate of one a second earns in a nanosecond.
  using Billionths = __int128;

  uint64_t per_second_;
  uint64_t burst_;  // as given
  Billionths held_ = 0;
  TimePoint earned_until_;

  Billionths Capacity() const;
};

}  // namespace fsd::worker

#endif  // FSD_SERVER_WORKER_TOKEN_BUCKET_H_
