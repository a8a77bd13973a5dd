#include "tests/bench/load.h"

#include <linux/fuse.h>
#include <poll.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/errors/check.h"
#include "server/os/cpu_relax.h"
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

}  // namespace

Load::Load(harness::FrontEnd& front_end, std::vector<Script> scripts, size_t vrings,
           Completion completion)
    : front_end_(front_end), vrings_(vrings), completion_(completion), latencies_ns_(kSamples) {
  for (Script& script : scripts) {
    const size_t number = lanes_.size();
    const size_t steps = script.size();
    Lane lane{.script = std::move(script),
              .prepared = {},
              .outstanding = std::vector<bool>(steps),
              .queue = 1 + number % vrings_,
              .random = 0x9e3779b97f4a7c15 * (number + 1),
              .sent = {}};
    for (const Step& step : lane.script) lane.prepared.push_back(Prepare(step));
    lanes_.push_back(std::move(lane));
    FSD_CHECK(lanes_.size() < front_end_.queue(1).size());
  }
  forgets_.resize(front_end_.queue(0).size());
  for (size_t head = 0; head < forgets_.size(); ++head) {
    forget_heads_.push_back(static_cast<uint16_t>(head));
  }
  to_kick_.resize(1 + vrings_);
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

bool Load::Outstanding(const Lane& lane, size_t step) {
  for (size_t i = 0; i < lane.script.size(); ++i) {
    if (lane.outstanding[i] && lane.script[i].taken.front().from_step == step) return true;
  }
  return false;
}

void Load::Advance(size_t number, Clock::time_point now) {
  Lane& lane = lanes_[number];
  while (!stopping_ || lane.step != 0) {
    if (!lane.script[lane.step].forget) {
      if (Outstanding(lane, lane.step)) return held_back_.push_back(number);
      lane.sent = now;
      return Send(lane, lane.queue, static_cast<uint16_t>(number));
    }
    if (forget_heads_.empty()) return held_back_.push_back(number);
    const uint16_t head = forget_heads_.back();
    forget_heads_.pop_back();
    forgets_[head] = {.lane = number, .step = lane.step};
    lane.outstanding[lane.step] = true;
    Send(lane, 0, head);
    lane.step = (lane.step + 1) % lane.script.size();
  }
}

void Load::Send(Lane& lane, size_t index, uint16_t head) {
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
  harness::DriverQueue& queue = front_end_.queue(index);
  queue.descriptors()[head] = {.addr = prepared.table,
                               .len = prepared.table_bytes,
                               .flags = VRING_DESC_F_INDIRECT,
                               .next = 0};
  queue.Publish(head);
  to_kick_[index] = true;
  ++in_flight_;
}

absl::Status Load::Finish(Lane& lane, uint32_t written, Clock::time_point now) {
  const Step& step = lane.script[lane.step];
  fuse_out_header reply;
  std::memcpy(&reply, front_end_.arena().At(lane.prepared[lane.step].reply), sizeof reply);
  if (written != reply.len || reply.error != -step.error ||
      written < sizeof reply + step.least_reply_bytes) {
    return absl::InternalError(absl::StrCat(
        "opcode ", step.opcode, " was answered with errno ", -reply.error, " and ", written,
        " bytes; expected ", step.error, " and at least ", sizeof reply + step.least_reply_bytes));
  }
  const auto latency = std::chrono::nanoseconds(now - lane.sent).count();
  latencies_ns_[samples_++ % kSamples] =
      static_cast<uint32_t>(std::min<int64_t>(latency, UINT32_MAX));
  ++result_.requests;
  result_.bytes += step.data_bytes + (step.reply_in_pages ? written - sizeof reply : 0);
  lane.step = (lane.step + 1) % lane.script.size();
  return absl::OkStatus();
}

absl::Status Load::Collect(size_t index) {
  harness::DriverQueue& queue = front_end_.queue(index);
  bool any = false;
  Clock::time_point now;
  while (const auto used = queue.PopUsed()) {
    if (!std::exchange(any, true)) now = Clock::now();
    --in_flight_;
    if (index == 0) {
      const Forget& forget = forgets_[used->head];
      lanes_[forget.lane].outstanding[forget.step] = false;
      forget_heads_.push_back(used->head);
      continue;
    }
    // A lane's number is its head.
    if (const absl::Status finished = Finish(lanes_[used->head], used->written, now);
        !finished.ok()) {
      return finished;
    }
    Advance(used->head, now);
  }
  if (any && index == 0) {
    for (const size_t lane : std::exchange(held_back_, {})) Advance(lane, now);
  }
  for (size_t i = 0; i < to_kick_.size(); ++i) {
    if (to_kick_[i]) front_end_.Kick(i);
    to_kick_[i] = false;
  }
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
    Advance(i, now);
  }
  for (size_t i = 0; i <= vrings_; ++i) {
    if (completion_ == Completion::kPolled) front_end_.queue(i).SuppressCalls();
    front_end_.Kick(i);
  }
  while (in_flight_ > 0 || !held_back_.empty()) {
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
      os::CpuRelax();
    }
  }
  result_.seconds = std::chrono::duration<double>(now - start).count();
  const size_t count = std::min(samples_, kSamples);
  result_.p50_us = PercentileUs(latencies_ns_, count, 0.50);
  result_.p99_us = PercentileUs(latencies_ns_, count, 0.99);
  return result_;
}

}  // namespace fsd::bench
