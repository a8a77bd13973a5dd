#include "server/worker/queue_thread.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/errors/check.h"
#include "server/errors/errno_or.h"
#include "server/errors/status_macros.h"
#include "server/fuse/abi.h"
#include "server/telemetry/log.h"
#include "server/worker/reply_memory.h"

namespace fsd::worker {
namespace {

// After so many requests the driver is told of all that are done, also of what coalesces.
constexpr size_t kMaxBatch = 64;
// Between two looks at a ring whose driver does not kick, or need not.
constexpr int kPollIntervalMs = 1;
// Of requests as quick as this, the driver is told together of up to so many, …
constexpr uint64_t kQuickNs = 8000;
constexpr int kToldTogether = 4;
// … but of no more than one for each so many that it keeps in flight.
constexpr int kInFlightPerTold = 2;
// After one that took as long, a driver that may be asleep is asked whether it wants a call, at 0.1
// µs, whatever it did before.
constexpr uint64_t kLongNs = 20'000;
constexpr absl::Duration kWarningInterval = absl::Seconds(10);

// The queue thread that runs on this thread, in a batch: what is not told before is at its end.
thread_local const QueueThread* batch_of_this_thread = nullptr;

// When this thread has begun its batch, or ended a request of it: the next one begins then.
thread_local uint64_t last_look_at_clock = 0;

}  // namespace

absl::StatusOr<std::unique_ptr<QueueThread>> QueueThread::Start(const QueueServices& services,
                                                                QueueSetup setup) {
  FSD_ASSIGN_OR_RETURN(RingSignals signals, RingSignals::Create(std::move(setup.kick)));
  ErrnoOr<SlotTable> slots =
      SlotTable::Create(setup.queue->size(), setup.queue->max_chain_iovecs(), services.session);
  if (!slots.ok()) {
    return absl::ResourceExhaustedError(
        ErrnoStatus(slots.error(), "reserve a queue's request slots").message());
  }
  std::unique_ptr<QueueThread> made(
      new QueueThread(services, std::move(setup), *std::move(slots), std::move(signals)));
  const os::MutexLock lock(made->custody_mutex_);
  made->Submit();
  return made;
}

QueueThread::QueueThread(const QueueServices& services, QueueSetup setup, SlotTable slots,
                         RingSignals signals)
    : services_(services),
      index_(setup.index),
      queue_(std::move(setup.queue)),
      call_(setup.call),
      error_(setup.error),
      signals_(std::move(signals)),
      enabled_(setup.enabled),
      log_(std::move(setup.log)),
      counters_(services.counters.queue(setup.index)),
      limits_(setup.limits),
      slots_(std::move(slots)),
      poll_(setup.poll) {
  if (setup.coalesce) coalescing_.emplace(queue_->size());
  counters_.ForgetTaken();
}

QueueThread::~QueueThread() {
  FSD_CHECK(holds_.load(std::memory_order_acquire) == 0);
  SetAwake(false);
}

void QueueThread::Stop(std::function<void()> stopped) {
  stopped_ = std::move(stopped);
  stopping_.store(true, std::memory_order_release);
  signals_.Wake();
}

void QueueThread::SetEnabled(bool enabled) {
  enabled_.store(enabled, std::memory_order_release);
  signals_.Wake();
}

void QueueThread::SetDirtyLog(std::shared_ptr<const virtqueue::DirtyLog> log) {
  const os::MutexLock lock(publish_mutex_);
  // What is shown later is not marked.
  if (publishing_ == Publishing::kOn) queue_->ShowCompleted();
  log_.swap(log);
}

void QueueThread::Run() {
  Turn turn;
  if (coalescing_.has_value()) turn.closing.emplace();
  bool begun = false;
  {
    const os::MutexLock lock(custody_mutex_);
    in_lane_ = false;
    begun = custody_ == Custody::kWaiting;
    if (begun) {
      custody_ = Custody::kRunning;
      turn.word = word_.load(std::memory_order_relaxed);
      turn_ = &turn;
    }
  }
  if (!begun) return Release();  // suspended while it waited for a thread
  const bool kept = Loop(turn);
  if (kept) LeaveLine();
  {
    // If the ring was taken away, its taker has done with `turn` once it lets go of this.
    const os::MutexLock lock(custody_mutex_);
    if (kept) {
      custody_ = Custody::kNone;
      turn_ = nullptr;
    }
  }
  turn.memory.reset();
  turn.closing.reset();  // may block, too
  if (kept) services_.session.EndWaits();
  Release();
}

bool QueueThread::Loop(Turn& turn) {
  while (!stopping_.load(std::memory_order_acquire)) {
    SetAwake(true);
    services_.watch.Rouse();
    TakeMemory(turn);
    throttled_until_.reset();
    if (!ServeRing(turn)) return false;
    SetAwake(false);
    if (throttled_until_.has_value() && Serving()) {
      WaitThrottled();
      continue;
    }
    LeaveLine();
    const bool polling = !signals_.has_kick() && Serving();
    signals_.Wait(polling ? kPollIntervalMs : -1);
    if (poll_.on()) poll_.OnPause(std::chrono::steady_clock::now() - idle_since_);
  }
  return true;
}

void QueueThread::Submit() {
  custody_ = Custody::kWaiting;
  // A turn that was to begin when the ring was suspended is as good as another.
  if (std::exchange(in_lane_, true)) return;
  Hold();
  services_.ring_lane.Submit(*this);
}

bool QueueThread::CloseForgotten(Turn& turn) {
  if (!turn.closing.has_value() || turn.closing->empty()) return true;
  Enter(turn, nullptr);
  turn.closing->Flush();
  return Leave(turn);
}

void QueueThread::Enter(Turn& turn, RequestSlot* slot) {
  turn.slot = slot;
  word_.store(++turn.word, std::memory_order_release);
}

bool QueueThread::Leave(Turn& turn) {
  uint64_t entered = turn.word++;
  return word_.compare_exchange_strong(entered, turn.word, std::memory_order_acq_rel);
}

void QueueThread::TakeMemory(Turn& turn) {
  if (turn.memory != nullptr && turn.memory_generation == services_.memory.generation()) return;
  turn.memory = services_.memory.Take(turn.memory_generation);
  memory_generation_.store(turn.memory_generation, std::memory_order_release);
}

bool QueueThread::Serving() const {
  return enabled_.load(std::memory_order_acquire) && !refused_ &&
         !stopping_.load(std::memory_order_acquire);
}

bool QueueThread::ServeRing(Turn& turn) {
  bool more = true;
  while (more && Serving()) {
    {
      const os::MutexLock lock(publish_mutex_);
      queue_->SuppressKicks(log_.get());
      untold_ = kToldTogether - 1;  // of the first one at once: the driver wakes while we go on
      if (served_ != 0) driver_sleeps_ = called_;
      called_ = false;
    }
    batch_of_this_thread = this;
    served_ = 0;
    Batch batch = Batch::kMore;
    while ((batch = ServeBatch(turn)) == Batch::kMore) CallIfNeeded();
    batch_of_this_thread = nullptr;
    if (batch == Batch::kLost) return false;
    CallIfNeeded();
    if (!CloseForgotten(turn)) return false;
    if (batch == Batch::kThrottled) return true;
    if (coalescing_.has_value() && served_ != 0) {
      std::this_thread::sleep_for(coalescing_->After(served_));
      continue;
    }
    if (poll_.on() && Poll()) continue;
    if (GiveWay()) continue;
    const os::MutexLock lock(publish_mutex_);
    more = queue_->RequestKicks(log_.get());
  }
  return true;
}

QueueThread::Batch QueueThread::ServeBatch(Turn& turn) {
  last_look_at_clock = services_.clock.Now();
  for (size_t i = 0; i < kMaxBatch; ++i, ++served_) {
    if (!Serving()) return Batch::kEnd;
    if (limited() && !MayTake(i > 0)) [[unlikely]]
      return Batch::kThrottled;
    TakeMemory(turn);
    const std::optional<uint16_t> head = queue_->Pop();
    if (!head.has_value()) {
      if (queue_->broken()) Refuse(queue_->broken_reason());
      return Batch::kEnd;
    }
    if (!ServeHead(turn, *head)) return Batch::kLost;
  }
  return Batch::kMore;
}

bool QueueThread::ServeHead(Turn& turn, uint16_t head) {
  RequestSlot* const slot = slots_.Take(head);
  if (slot == nullptr) {
    // Neither served, which would take the slot from its request, nor completed, which would tell
    // the driver that its request is done.
    Refuse(absl::StrCat("descriptor head ", head, " was offered again while in flight"));
    return true;
  }
  if (const ErrnoOr<void> gathered = slots_.Gather(*slot, *queue_, *turn.memory); !gathered.ok()) {
    if (const absl::Time now = absl::Now(); now >= next_warning_) {
      next_warning_ = now + kWarningInterval;
      FSD_LOG(kWarning, services_.export_name, "queue %d: chain at head %d refused: %s", index_,
              head, ErrnoStatus(gathered.error(), "gather").ToString());
    }
    const os::MutexLock lock(publish_mutex_);
    slot->Free();
    queue_->Complete(head, 0, log_.get());
    return true;
  }
  slot->Begin(slot->chain().readable, slot->chain().writable, *this);
  counters_.Take();
  const fuse::Session::Lane lane = services_.session.Prepare(*slot);
  slot->Show(last_look_at_clock);
  slot->set_charged_bytes(limited() ? Charge(*slot) : 0);
  if (lane == fuse::Session::Lane::kSlow) {
    Hold();
    slot->Detach(turn.memory);
    services_.slow_lane.Submit(*slot);
    last_look_at_clock = services_.clock.Now();
    return true;
  }
  PrefetchReply(slot->chain());
  queue_->PrefetchCompletion();
  Enter(turn, slot);
  services_.session.Serve(*slot);
  if (!Leave(turn)) return false;
  if (!slot->taken()) return true;
  // Pending. Its reply may come at this very moment.
  Detach(*slot, turn);
  last_look_at_clock = services_.clock.Now();
  return true;
}

void QueueThread::Refuse(const std::string& reason) {
  refused_ = true;
  FSD_LOG(kError, services_.export_name, "queue %d stops: %s", index_, reason);
  error_.Notify();
}

void QueueThread::OnReplied(fuse::Request& request, uint32_t written) {
  auto& slot = static_cast<RequestSlot&>(request);
  const bool in_batch = batch_of_this_thread == this;
  const uint64_t now = services_.clock.Now();
  last_look_at_clock = now;
  const uint64_t nanoseconds = services_.clock.NanosecondsBetween(slot.since(), now);
  if (services_.slow_requests.IsSlow(slot.header().opcode, nanoseconds)) [[unlikely]] {
    TellSlow(slot, nanoseconds);
  }
  if (limited()) [[unlikely]] {
    limits_->Settle(RequestKindOf(slot.header().opcode), slot.charged_bytes(),
                    slot.content_bytes());
  }
  // Once the slot is free, its request no longer keeps this queue from being destroyed.
  if (!in_batch) Hold();
  MemoryLease lease;
  bool call = false;
  {
    const os::MutexLock lock(publish_mutex_);
    if (publishing_ == Publishing::kSuspended) {
      // It stays taken, with its lease and its hold.
      completed_.push_back({&slot, written});
    } else if (publishing_ == Publishing::kDiscarded) {
      lease = slot.Free();
    } else {
      const bool soon = in_batch && !slot.detached() && MayTellLater(nanoseconds);
      lease = Finish(slot, written, nanoseconds, soon ? Show::kSoon : Show::kNow);
      // A detached request's thread may have lost the ring, and with it the batch's end.
      if (!soon) {
        untold_ = 0;
        if (!in_batch || lease != nullptr || driver_sleeps_ || nanoseconds >= kLongNs) {
          call = AskForCall();
        }
      }
    }
  }
  if (call) call_.Notify();
  const bool was_detached = lease != nullptr;
  lease.reset();
  if (was_detached) Release();
  if (!in_batch) Release();
}

void QueueThread::Detach(RequestSlot& slot, const Turn& turn) {
  Hold();
  bool detached = false;
  {
    const os::MutexLock lock(publish_mutex_);
    detached = slot.Detach(turn.memory);
  }
  if (!detached) Release();
}

bool QueueThread::MayTellLater(uint64_t nanoseconds) {
  if (coalescing_.has_value()) return true;
  return nanoseconds < kQuickNs &&
         ++untold_ < std::min(kToldTogether, queue_->in_flight() / kInFlightPerTold);
}

void QueueThread::TellSlow(const RequestSlot& slot, uint64_t nanoseconds) {
  services_.slow_requests.Tell({.queue = index_,
                                .opcode = slot.header().opcode,
                                .node = slot.header().nodeid,
                                .unique = slot.header().unique,
                                .took = std::chrono::nanoseconds(nanoseconds)});
}

void QueueThread::Count(const RequestSlot& slot, uint64_t nanoseconds) {
  const uint32_t opcode = slot.header().opcode;
  counters_.Answer({.opcode = opcode,
                    .error = slot.reply_error(),
                    .nanoseconds = nanoseconds,
                    .slow = services_.slow_requests.IsSlow(opcode, nanoseconds),
                    .bytes_read = opcode == FUSE_READ ? slot.content_bytes() : 0,
                    .bytes_written = opcode == FUSE_WRITE ? slot.content_bytes() : 0});
}

MemoryLease QueueThread::Finish(RequestSlot& slot, uint32_t written, uint64_t nanoseconds,
                                Show show) {
  const uint16_t head = slot.head();
  Count(slot, nanoseconds);
  if (slot.detached() && slot.memory().revoked()) {
    uint64_t generation = 0;
    written = PutBack(slot, written, *services_.memory.Take(generation));
  }
  if (log_ != nullptr) MarkWritten(slot, std::max<size_t>(written, slot.touched_bytes()), *log_);
  // Before it is published: the driver may use the head again at once.
  MemoryLease lease = slot.Free();
  queue_->Complete(head, written, log_.get(), show);
  return lease;
}

bool QueueThread::AskForCall() {
  const bool needed = queue_->CallNeeded();
  called_ |= needed;
  return needed;
}

void QueueThread::CallIfNeeded() {
  bool needed = false;
  {
    const os::MutexLock lock(publish_mutex_);
    needed = AskForCall();
  }
  if (needed) call_.Notify();
}

void QueueThread::Release() {
  if (holds_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  // The control thread may destroy this queue as soon as the task is posted.
  TaskQueue& tasks = services_.tasks;
  tasks.Post(std::move(stopped_));
}

}  // namespace fsd::worker
