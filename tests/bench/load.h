// Load: keeps N requests in flight on M vrings of any back-end, and must not be what is slow.
//
// Each of the N lanes repeats a script of steps, one request at a time; lane i lives on request
// queue 1 + i mod M. FORGETs go to the high-priority queue and nobody waits for them, as in Linux;
// only a request that would find again what is being forgotten is held back. Every request, its
// descriptors and the room for its reply are built beforehand in guest memory; what a step takes
// from an earlier reply (a handle, a node) and its offset are written into it when it is sent.
// Nothing is allocated while it runs. Of a reply only the errno and the length are looked at: one
// that is not as expected ends the run with an error, for a benchmark of errors is worthless.
//
// Completions are either polled for, with calls suppressed, or waited for in poll(2) with calls
// requested, as a guest does. One thread. Times are wall-clock time of this process.
#ifndef FSD_TESTS_BENCH_LOAD_H_
#define FSD_TESTS_BENCH_LOAD_H_

#include <poll.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tests/harness/front_end.h"

namespace fsd::bench {

// Eight bytes (a node, a handle) of the reply of an earlier step of the same lane, to be put into
// this request. Both offsets count from the message's own header.
struct Taken {
  size_t from_step = 0;
  size_t reply_offset = 0;
  size_t request_offset = 0;
};

// Where a READ or WRITE goes: blocks of `block` bytes in [first, first + blocks * block).
struct Offsets {
  enum class Order { kFixed, kSequential, kRandom };
  Order order = Order::kFixed;
  size_t request_offset = 0;  // of the field, from the header
  uint64_t first = 0;
  uint64_t block = 0;
  uint64_t blocks = 1;
};

struct Step {
  uint32_t opcode = 0;
  uint64_t node = 0;
  std::vector<std::byte> arguments;  // all that follows the header but data
  size_t data_bytes = 0;             // sent behind the arguments, one descriptor a page
  size_t reply_bytes = 0;            // room behind the reply's header
  bool reply_in_pages = false;       // that room has one descriptor a page
  int error = 0;                     // the errno expected
  size_t least_reply_bytes = 0;      // behind the header; less is an error
  // FORGET: no reply, goes to the high-priority queue, and is no request of its own in the figures
  // but a part of the others' price.
  bool forget = false;
  std::vector<Taken> taken;
  Offsets offsets;
};
using Script = std::vector<Step>;

enum class Completion { kPolled, kCalled };

struct LoadResult {
  uint64_t requests = 0;  // without FORGETs
  uint64_t bytes = 0;     // of file data
  double seconds = 0;
  double p50_us = 0;
  double p99_us = 0;
};

class Load {
 public:
  // `front_end` has been started with 1 + `vrings` queues and is used by nobody else from now on.
  // Queues must be larger than the number of scripts.
  Load(harness::FrontEnd& front_end, std::vector<Script> scripts, size_t vrings,
       Completion completion);

  // Runs for about `duration`; every lane ends at the end of its script, so that a next run
  // finds files and rings as this one did.
  absl::StatusOr<LoadResult> Run(std::chrono::nanoseconds duration);

 private:
  struct Prepared {
    uint64_t request = 0;  // guest addresses
    uint64_t reply = 0;
    uint64_t table = 0;
    uint32_t table_bytes = 0;
  };
  struct Lane {
    Script script;
    std::vector<Prepared> prepared;
    // By step: whether it is a FORGET that has been sent and not used.
    std::vector<bool> outstanding;
    size_t step = 0;
    size_t queue = 0;
    uint64_t turn = 0;    // of the sequential order
    uint64_t random = 0;  // xorshift's state
    std::chrono::steady_clock::time_point sent;
  };

  struct Forget {
    size_t lane = 0;
    size_t step = 0;
  };

  Prepared Prepare(const Step& step);
  // Sends the lane's FORGETs and then its next request, if nothing holds it back.
  void Advance(size_t lane, std::chrono::steady_clock::time_point now);
  // Makes the lane's step available at `head` of its queue.
  void Send(Lane& lane, size_t queue, uint16_t head);
  // Whether the FORGET of what this step was answered before is still on its way.
  static bool Outstanding(const Lane& lane, size_t step);
  // Checks the reply of the lane's step and moves on to the next.
  absl::Status Finish(Lane& lane, uint32_t written, std::chrono::steady_clock::time_point now);
  // Takes what queue `index` has used and sends what comes next.
  absl::Status Collect(size_t index);
  absl::Status WaitForCall();

  harness::FrontEnd& front_end_;
  const size_t vrings_;
  const Completion completion_;
  std::vector<Lane> lanes_;
  std::vector<size_t> held_back_;       // lanes
  std::vector<uint16_t> forget_heads_;  // free ones of the high-priority queue
  std::vector<Forget> forgets_;         // by head
  std::vector<bool> to_kick_;           // by queue
  std::vector<uint32_t> latencies_ns_;  // the last of a run
  std::vector<pollfd> poll_entries_;    // by queue
  size_t in_flight_ = 0;
  size_t samples_ = 0;
  bool progress_ = false;
  bool stopping_ = false;
  LoadResult result_;
};

}  // namespace fsd::bench

#endif  // FSD_TESTS_BENCH_LOAD_H_
