#include "tests/bench/load.h"

#include <linux/fuse.h>
#include <poll.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/errors/check.h"
#include "server/os/event_fd.h"

namespace fsd::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kPage = 4096;
constexpr size_t kSamples = size_t{1} << 19;
constexpr std::chrono::seconds kPatience{20};

// The descriptors of `bytes` from `address`, one a page if asked.
void Describe(std::vector<vring_desc>& table, uint64_t address, size_t bytes, bool in_pages,
              __u16 flags) {
  const size_t piece = in_pages ? kPage : bytes;
  for (size_t done = 0; done < bytes; done += piece) {
    table.push_back({.addr = address + done,
                     .len = static_cast<__u32>(std::min(piece, bytes - done)),
                     .flags = flags,
                     .next = 0});
  }
}

double PercentileUs(std::vector<uint32_t>& samples, size_t count, double part) {
  if (count == 0) return 0;
  const auto at = samples.begin() + static_cast<std::ptrdiff_t>(part * double(count - 1));
  std::nth_element(samples.begin(), at, samples.begin() + static_cast<std::ptrdiff_t>(count));
  return *at / 1000.0;
}

void Relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

}  // namespace

Load::Load(harness::FrontEnd& front_end, std::vector<Script> scripts, size_t vrings,
           Completion completion)
    : front_end_(front_end), vrings_(vrings), completion_(completion), latencies_ns_(kSamples) {
  for (Script& script : scripts) {
    const size_t number = lanes_.size();
    Lane lane{.script = std::move(script),
              .prepared = {},
              .queue = 1 + number % vrings_,
              .random = 0x9e3779b97f4a7c15 * (number + 1),
              .sent = {}};
    for (const Step& step : lane.script) lane.prepared.push_back(Prepare(step));
    lanes_.push_back(std::move(lane));
    FSD_CHECK(lanes_.size() < front_end_.queue(0).size());
  }
}

Load::Prepared Load::Prepare(const Step& step) {
  harness::GuestArena& arena = front_end_.arena();
  const size_t argument_bytes = step.arguments.size();
  fuse_in_header header{};
  header.len = static_cast<uint32_t>(sizeof header + argument_bytes + step.data_bytes);
  header.opcode = step.opcode;
  header.unique = 2 * (arena.mark() + 1);
  header.nodeid = step.node;
  header.pid = 1;

  Prepared prepared;
  prepared.request = arena.Allocate(sizeof header + argument_bytes);
  std::memcpy(arena.At(prepared.request), &header, sizeof header);
  if (argument_bytes > 0) {
    std::memcpy(arena.At(prepared.request + sizeof header), step.arguments.data(), argument_bytes);
  }
  std::vector<vring_desc> table;
  Describe(table, prepared.request, sizeof header, false, 0);
  if (argument_bytes > 0) {
    Describe(table, prepared.request + sizeof header, argument_bytes, false, 0);
  }
  if (step.data_bytes > 0) {
    Describe(table, arena.Allocate(step.data_bytes, kPage), step.data_bytes, true, 0);
  }
  if (!step.forget) {
    prepared.reply =
        arena.Allocate(sizeof(fuse_out_header) + (step.reply_in_pages ? 0 : step.reply_bytes));
    Describe(table, prepared.reply, sizeof(fuse_out_header), false, VRING_DESC_F_WRITE);
    if (step.reply_bytes > 0) {
      const uint64_t body = step.reply_in_pages ? arena.Allocate(step.reply_bytes, kPage)
                                                : prepared.reply + sizeof(fuse_out_header);
      Describe(table, body, step.reply_bytes, step.reply_in_pages, VRING_DESC_F_WRITE);
    }
  }
  for (size_t i = 0; i + 1 < table.size(); ++i) {
    table[i].flags |= VRING_DESC_F_NEXT;
    table[i].next = static_cast<__u16>(i + 1);
  }
  prepared.table_bytes = static_cast<uint32_t>(table.size() * sizeof(vring_desc));
  prepared.table = arena.Allocate(prepared.table_bytes);
  std::memcpy(arena.At(prepared.table), table.data(), prepared.table_bytes);
  return prepared;
}

void Load::Send(Lane& lane, uint16_t head) {
  const harness::GuestArena& arena = front_end_.arena();
  const Step& step = lane.script[lane.step];
  const Prepared& prepared = lane.prepared[lane.step];
  for (const Taken& taken : step.taken) {
    std::memcpy(arena.At(prepared.request + taken.request_offset),
                arena.At(lane.prepared[taken.from_step].reply + taken.reply_offset),
                sizeof(uint64_t));
  }
  const Offsets& offsets = step.offsets;
  if (offsets.order != Offsets::Order::kFixed) {
    uint64_t turn = lane.turn++;
    if (offsets.order == Offsets::Order::kRandom) {
      lane.random ^= lane.random << 13;
      lane.random ^= lane.random >> 7;
      lane.random ^= lane.random << 17;
      turn = lane.random;
    }
    const uint64_t offset = offsets.first + turn % offsets.blocks * offsets.block;
    std::memcpy(arena.At(prepared.request + offsets.request_offset), &offset, sizeof offset);
  }
  harness::DriverQueue& queue = front_end_.queue(step.forget ? 0 : lane.queue);
  queue.descriptors()[head] = {.addr = prepared.table,
                               .len = prepared.table_bytes,
                               .flags = VRING_DESC_F_INDIRECT,
                               .next = 0};
  queue.Publish(head);
  ++in_flight_;
}

absl::Status Load::Finish(Lane& lane, uint32_t written, Clock::time_point now) {
  const Step& step = lane.script[lane.step];
  if (!step.forget) {
    fuse_out_header reply;
    std::memcpy(&reply, front_end_.arena().At(lane.prepared[lane.step].reply), sizeof reply);
    if (written != reply.len || reply.error != -step.error ||
        written < sizeof reply + step.least_reply_bytes) {
      return absl::InternalError(absl::StrCat("opcode ", step.opcode, " was answered with errno ",
                                              -reply.error, " and ", written, " bytes; expected ",
                                              step.error, " and at least ",
                                              sizeof reply + step.least_reply_bytes));
    }
    const auto latency = std::chrono::nanoseconds(now - lane.sent).count();
    latencies_ns_[samples_++ % kSamples] =
        static_cast<uint32_t>(std::min<int64_t>(latency, UINT32_MAX));
    ++result_.requests;
    result_.bytes += step.data_bytes + (step.reply_in_pages ? written - sizeof reply : 0);
  }
  --in_flight_;
  lane.step = (lane.step + 1) % lane.script.size();
  return absl::OkStatus();
}

absl::Status Load::Collect(size_t index) {
  harness::DriverQueue& queue = front_end_.queue(index);
  bool any = false;
  bool to_hiprio = false;
  bool to_requests = false;
  Clock::time_point now;
  while (const auto used = queue.PopUsed()) {
    if (!std::exchange(any, true)) now = Clock::now();
    // A lane's number is its head on whichever queue its request is.
    Lane& lane = lanes_[used->head];
    if (const absl::Status finished = Finish(lane, used->written, now); !finished.ok()) {
      return finished;
    }
    if (stopping_ && lane.step == 0) continue;
    Send(lane, used->head);
    lane.sent = now;
    (lane.script[lane.step].forget ? to_hiprio : to_requests) = true;
    if (index == 0) front_end_.Kick(lane.queue);
  }
  if (to_hiprio) front_end_.Kick(0);
  if (to_requests && index != 0) front_end_.Kick(index);
  // Not at every look: the device reads the word that this writes.
  if (any && completion_ == Completion::kPolled) queue.SuppressCalls();
  progress_ |= any;
  return absl::OkStatus();
}

absl::Status Load::WaitForCall() {
  std::vector<pollfd>& entries = poll_entries_;
  for (size_t i = 0; i <= vrings_; ++i) {
    if (front_end_.queue(i).RequestCall()) return absl::OkStatus();
    entries[i] = {.fd = front_end_.call_fd(i), .events = POLLIN, .revents = 0};
  }
  if (::poll(entries.data(), entries.size(),
             static_cast<int>(kPatience / std::chrono::milliseconds(1))) == 0) {
    return absl::DeadlineExceededError("the back-end stopped answering");
  }
  for (const pollfd& entry : entries) {
    if (entry.revents != 0) os::EventFd::DrainFd(entry.fd);
  }
  return absl::OkStatus();
}

absl::StatusOr<LoadResult> Load::Run(std::chrono::nanoseconds duration) {
  result_ = {};
  samples_ = 0;
  stopping_ = false;
  poll_entries_.resize(vrings_ + 1);
  const Clock::time_point start = Clock::now();
  Clock::time_point now = start;
  Clock::time_point last_progress = start;
  for (size_t i = 0; i < lanes_.size(); ++i) {
    Send(lanes_[i], static_cast<uint16_t>(i));
    lanes_[i].sent = now;
  }
  for (size_t i = 0; i <= vrings_; ++i) {
    if (completion_ == Completion::kPolled) front_end_.queue(i).SuppressCalls();
    front_end_.Kick(i);
  }
  while (in_flight_ > 0) {
    progress_ = false;
    for (size_t i = 0; i <= vrings_; ++i) {
      if (const absl::Status done = Collect(i); !done.ok()) return done;
    }
    now = Clock::now();
    stopping_ = now - start >= duration;
    if (progress_) {
      last_progress = now;
    } else if (completion_ == Completion::kCalled) {
      if (const absl::Status called = WaitForCall(); !called.ok()) return called;
      now = Clock::now();
    } else if (now - last_progress > kPatience) {
      return absl::DeadlineExceededError("the back-end stopped answering");
    } else {
      Relax();
    }
  }
  result_.seconds = std::chrono::duration<double>(now - start).count();
  const size_t count = std::min(samples_, kSamples);
  result_.p50_us = PercentileUs(latencies_ns_, count, 0.50);
  result_.p99_us = PercentileUs(latencies_ns_, count, 0.99);
  return result_;
}

}  // namespace fsd::bench
