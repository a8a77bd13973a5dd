// RequestLimits: the limits (QoS) on one export's requests, which its request rings share.
//
// A ring asks before it takes a request, and may take it while every bucket holds a token; what the
// request costs is charged once it is known: an operation when it has been decoded, bytes when they
// have been moved. So one request can take a bucket into debt, by as much as it moves. What a copy
// asks for is charged at once, and settled later: copies are served elsewhere, as many at a time as
// a ring holds.
//
// Rings that may not take a request wait in line. The first alone knows when it may ask again; it
// wakes the second when it is let go. A ring that is served while others wait goes to the end of
// the line after a batch. So none starves, and a thread wakes up for a token, not all of them.
//
// Any thread may call anything. The lock is a leaf; rings are woken with it held.
#ifndef FSD_SERVER_WORKER_REQUEST_LIMITS_H_
#define FSD_SERVER_WORKER_REQUEST_LIMITS_H_

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>

#include "absl/base/thread_annotations.h"
#include "server/os/mutex.h"
#include "server/worker/token_bucket.h"

namespace fsd::worker {

// What a request counts as.
enum class RequestKind {
  kRead,   // READ
  kWrite,  // WRITE, COPY_FILE_RANGE
  kOther,
  kFree,  // INIT, DESTROY
};
RequestKind RequestKindOf(uint32_t opcode);

class RequestLimits {
 public:
  using TimePoint = TokenBucket::TimePoint;
  using Clock = TimePoint (*)();

  // 0: no limit; a burst of 0: one second's worth.
  struct Rate {
    uint64_t operations_per_second = 0;
    uint64_t bytes_per_second = 0;
    uint64_t burst_operations = 0;
    uint64_t burst_bytes = 0;
  };
  struct Rates {
    Rate read;
    Rate write;
    Rate total;  // operations of all requests, bytes of both
  };

  // One that waits. Ask and Leave are not called for it at the same time.
  class Ring {
   public:
    // It is to ask again. Does not block, and calls nothing of this.
    virtual void OnTurn() = 0;

   protected:
    ~Ring() = default;

   private:
    friend class RequestLimits;
    bool in_line_ = false;
  };

  // What a thread that wakes late does not lose: without it, a burst that is shorter than a
  // thread's sleep would keep the rate from being reached.
  static constexpr std::chrono::milliseconds kLateness{100};

  explicit RequestLimits(Clock clock) : clock_(clock) {}
  RequestLimits(const RequestLimits&) = delete;
  RequestLimits& operator=(const RequestLimits&) = delete;

  // Whether there are any: if not, nobody need ask, nor charge.
  bool on() const { return on_.load(std::memory_order_acquire); }
  TimePoint Now() const { return clock_(); }

  // Buckets whose numbers stay go on as they are; the others as TokenBucket::Change, and new ones
  // are full. Every ring in line is woken.
  void Set(const Rates& rates);

  // Nothing: `ring` may take a request. Otherwise it is in line, and may ask again at this time, or
  // before it when it is woken. `goes_on`: it has taken others in the same batch.
  std::optional<TimePoint> Ask(Ring& ring, bool goes_on);
  // It does not wait any more.
  void Leave(Ring& ring);

  void ChargeOperation(RequestKind kind);
  void ChargeBytes(RequestKind kind, uint64_t bytes);
  // Of the bytes of one request, `charged` have been charged and `moved` are to be.
  void Settle(RequestKind kind, uint64_t charged, uint64_t moved);

  // Rings in line.
  size_t waiting() const;

 private:
  using Bucket = std::optional<TokenBucket>;
  struct Buckets {
    Bucket operations;
    Bucket bytes;
  };
  enum : size_t { kReads, kWrites, kTotal, kBuckets };

  // The buckets that bytes of this kind are of.
  std::array<Bucket*, 2> BytesOf(RequestKind kind) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Change(Bucket& bucket, uint64_t per_second, uint64_t burst, TimePoint now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Remove(Ring& ring) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Clock clock_;
  std::atomic<bool> on_ = false;
  mutable os::Mutex mutex_;
  std::array<Buckets, kBuckets> buckets_ ABSL_GUARDED_BY(mutex_);
  std::deque<Ring*> line_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace fsd::worker

#endif  // FSD_SERVER_WORKER_REQUEST_LIMITS_H_
