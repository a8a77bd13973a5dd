#include "server/worker/queue_thread.h"

#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
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
#include "server/os/prefetch.h"
#include "server/telemetry/log.h"

namespace fsd::worker {
namespace {

// After so many requests the driver is told of those that are done.
constexpr size_t kMaxBatch = 64;
// Between two looks at a ring whose driver does not kick, or need not.
constexpr int kPollIntervalMs = 1;
// At the ring, between two at the clock.
constexpr int kLooksPerClock = 16;
constexpr absl::Duration kWarningInterval = absl::Seconds(10);

// The queue thread that runs on this thread, in a batch: it calls at the batch's end.
thread_local const QueueThread* batch_of_this_thread = nullptr;

// When this thread has begun its batch, or ended a request of it: the next one begins then.
thread_local uint64_t last_look_at_clock = 0;

// Where the reply goes: a header, and a body that is behind it or in a piece of its own.
void PrefetchReply(const virtqueue::Chain& chain) {
  constexpr size_t kPieces = 2;
  constexpr size_t kLine = 64;
  for (const iovec& piece : chain.writable.first(std::min(kPieces, chain.writable.size()))) {
    const auto* const begin = static_cast<const std::byte*>(piece.iov_base);
    os::PrefetchToWrite(begin);
    if (piece.iov_len > kLine) os::PrefetchToWrite(begin + kLine);
  }
}

// Leaves the processor's other thread its share while this one spins.
void CpuRelax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

ErrnoOr<void> WatchEdges(int epoll, int fd) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  if (::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0) return Errno::Last();
  return {};
}

// An epoll that wakes for each signal of the two, so neither need be read.
ErrnoOr<os::UniqueFd> WatchBoth(int wake, int kick) {
  os::UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.valid()) return Errno::Last();
  FSD_RETURN_IF_ERRNO(WatchEdges(epoll.get(), wake));
  if (kick >= 0) FSD_RETURN_IF_ERRNO(WatchEdges(epoll.get(), kick));
  return epoll;
}

absl::Status Exhausted(Errno error, std::string_view what) {
  return absl::ResourceExhaustedError(ErrnoStatus(error, what).message());
}

}  // namespace

absl::StatusOr<std::unique_ptr<QueueThread>> QueueThread::Start(const QueueServices& services,
                                                                QueueSetup setup) {
  if (setup.kick.valid()) FSD_RETURN_IF_ERROR(CheckNotificationFd(setup.kick.get()));
  ErrnoOr<SlotTable> slots =
      SlotTable::Create(setup.queue->size(), setup.queue->max_chain_iovecs(), services.session);
  if (!slots.ok()) return Exhausted(slots.error(), "reserve a queue's request slots");
  ErrnoOr<os::EventFd> wake = os::EventFd::Create();
  if (!wake.ok()) return Exhausted(wake.error(), "make a queue's wake-up");
  ErrnoOr<os::UniqueFd> epoll = WatchBoth(wake->fd(), setup.kick.get());
  if (!epoll.ok()) return Exhausted(epoll.error(), "watch a queue's kick");

  std::unique_ptr<QueueThread> made(new QueueThread(services, std::move(setup), *std::move(slots),
                                                    *std::move(wake), *std::move(epoll)));
  const os::MutexLock lock(made->custody_mutex_);
  made->Submit();
  return made;
}

QueueThread::QueueThread(const QueueServices& services, QueueSetup setup, SlotTable slots,
                         os::EventFd wake, os::UniqueFd epoll)
    : services_(services),
      index_(setup.index),
      queue_(std::move(setup.queue)),
      kick_(std::move(setup.kick)),
      call_(setup.call),
      error_(setup.error),
      wake_(std::move(wake)),
      epoll_(std::move(epoll)),
      enabled_(setup.enabled),
      log_(std::move(setup.log)),
      counters_(services.counters.queue(setup.index)),
      slots_(std::move(slots)),
      poll_(setup.poll) {
  if (setup.coalesce) coalescing_.emplace(queue_->size());
  counters_.ForgetTaken();
}

QueueThread::~QueueThread() { FSD_CHECK(holds_.load(std::memory_order_acquire) == 0); }

void QueueThread::Stop(std::function<void()> stopped) {
  stopped_ = std::move(stopped);
  stopping_.store(true, std::memory_order_release);
  wake_.Signal();
}

void QueueThread::SetEnabled(bool enabled) {
  enabled_.store(enabled, std::memory_order_release);
  wake_.Signal();
}

void QueueThread::SetDirtyLog(std::shared_ptr<const virtqueue::DirtyLog> log) {
  const os::MutexLock lock(publish_mutex_);
  log_.swap(log);
}

void QueueThread::Run() {
  Turn turn;
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
  {
    // If the ring was taken away, its taker has done with `turn` once it lets go of this.
    const os::MutexLock lock(custody_mutex_);
    if (kept) {
      custody_ = Custody::kNone;
      turn_ = nullptr;
    }
  }
  turn.memory.reset();
  if (kept) services_.session.EndWaits();
  Release();
}

bool QueueThread::Loop(Turn& turn) {
  // For what a turn before this one has completed.
  CallIfNeeded();
  while (!stopping_.load(std::memory_order_acquire)) {
    awake_.store(true, std::memory_order_seq_cst);
    services_.watch.Rouse();
    TakeMemory(turn);
    if (!ServeRing(turn)) return false;
    awake_.store(false, std::memory_order_release);
    const bool polling = !kick_.valid() && Serving();
    std::array<epoll_event, 2> events;
    ::epoll_wait(epoll_.get(), events.data(), events.size(), polling ? kPollIntervalMs : -1);
    if (poll_.on()) poll_.OnPause(std::chrono::steady_clock::now() - idle_since_);
  }
  return true;
}

void QueueThread::HandOverIfStuck() {
  const uint64_t word = word_.load(std::memory_order_acquire);
  const bool stuck = word % 2 != 0 && word == seen_word_;
  seen_word_ = word;
  if (!stuck) return;
  {
    const os::MutexLock lock(custody_mutex_);
    if (TakeAway(word)) Submit();
  }
}

void QueueThread::Submit() {
  custody_ = Custody::kWaiting;
  // A turn that was to begin when the ring was suspended is as good as another.
  if (std::exchange(in_lane_, true)) return;
  Hold();
  services_.ring_lane.Submit(*this);
}

bool QueueThread::Quiesce() {
  const uint64_t word = word_.load(std::memory_order_acquire);
  {
    const os::MutexLock lock(custody_mutex_);
    if (custody_ == Custody::kRunning && !TakeAway(word)) return false;
    custody_ = Custody::kNone;
  }
  awake_.store(false, std::memory_order_release);
  services_.session.EndWaits();
  return true;
}

bool QueueThread::MayUseEarlier(uint64_t generation) {
  const os::MutexLock lock(custody_mutex_);
  return custody_ == Custody::kRunning &&
         memory_generation_.load(std::memory_order_acquire) < generation;
}

bool QueueThread::Suspend() {
  const os::MutexLock lock(publish_mutex_);
  if (publishing_ == Publishing::kSuspended) return true;
  size_t holds = holds_.load(std::memory_order_acquire);
  do {
    if (holds == 0) return false;
  } while (!holds_.compare_exchange_weak(holds, holds + 1, std::memory_order_acq_rel));
  publishing_ = Publishing::kSuspended;
  return true;
}

void QueueThread::KeepArguments() {
  const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  slots_.VisitTaken([page](RequestSlot& slot) {
    if (!slot.memory().revoked()) return;
    for (const iovec& piece : slot.chain().readable) {
      const auto begin = reinterpret_cast<uintptr_t>(piece.iov_base);
      const uintptr_t first = begin & ~(page - 1);
      const uintptr_t last = (begin + piece.iov_len + page - 1) & ~(page - 1);
      // At best: on a kernel before 5.14 the pages stay the guest's until they are read.
      ::madvise(reinterpret_cast<void*>(first), last - first, MADV_POPULATE_WRITE);
    }
  });
}

bool QueueThread::ContinuedBy(const virtqueue::Virtqueue& queue) {
  uint16_t unanswered = 0;
  slots_.VisitTaken([&unanswered](RequestSlot&) { ++unanswered; });
  return unanswered > 0 && queue.size() == queue_->size() &&
         queue.next_available() == queue_->next_available() && queue.unanswered() == unanswered;
}

absl::Status QueueThread::Resume(QueueSetup setup) {
  if (setup.kick.valid()) FSD_RETURN_IF_ERROR(CheckNotificationFd(setup.kick.get()));
  ErrnoOr<os::UniqueFd> epoll = WatchBoth(wake_.fd(), setup.kick.get());
  if (!epoll.ok()) return Exhausted(epoll.error(), "watch a queue's kick");
  epoll_ = *std::move(epoll);
  kick_ = std::move(setup.kick);
  refused_ = false;
  enabled_.store(setup.enabled, std::memory_order_release);
  stopping_.store(false, std::memory_order_release);
  std::vector<MemoryLease> leases;
  {
    const os::MutexLock lock(publish_mutex_);
    queue_ = std::move(setup.queue);
    log_ = std::move(setup.log);
    publishing_ = Publishing::kOn;
    const uint64_t now = services_.clock.Now();
    for (const Completed& completed : std::exchange(completed_, {})) {
      const RequestSlot& slot = *completed.slot;
      leases.push_back(Finish(*completed.slot, completed.written,
                              services_.clock.NanosecondsBetween(slot.since(), now)));
    }
  }
  {
    const os::MutexLock lock(custody_mutex_);
    Submit();
  }
  for (size_t i = 0; i < leases.size(); ++i) Release();
  Release();  // the suspension
  return absl::OkStatus();
}

void QueueThread::Discard(std::function<void()> gone) {
  stopped_ = std::move(gone);
  std::vector<MemoryLease> leases;
  {
    const os::MutexLock lock(publish_mutex_);
    publishing_ = Publishing::kDiscarded;
    // The ring's next thread counts in the same place.
    counters_.ForgetTaken();
    for (const Completed& completed : std::exchange(completed_, {})) {
      leases.push_back(completed.slot->Free());
    }
  }
  for (size_t i = 0; i < leases.size(); ++i) Release();
  Release();  // the suspension
}

bool QueueThread::TakeAway(uint64_t word) {
  if (custody_ != Custody::kRunning || word % 2 == 0) return false;
  if (!word_.compare_exchange_strong(word, word + 1, std::memory_order_acq_rel)) return false;
  Hold();
  // It may have been replied to meanwhile, or be pending.
  if (!turn_->slot->Detach(turn_->memory)) Release();
  turn_ = nullptr;
  return true;
}

void QueueThread::Enter(Turn& turn, RequestSlot& slot) {
  turn.slot = &slot;
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
    }
    batch_of_this_thread = this;
    const uint16_t begun = queue_->next_available();
    Batch batch = Batch::kMore;
    while ((batch = ServeBatch(turn)) == Batch::kMore) CallIfNeeded();
    batch_of_this_thread = nullptr;
    if (batch == Batch::kLost) return false;
    CallIfNeeded();
    const auto served = static_cast<uint16_t>(queue_->next_available() - begun);
    if (coalescing_.has_value() && served != 0) {
      std::this_thread::sleep_for(coalescing_->After(served));
      continue;
    }
    if (poll_.on() && Poll()) continue;
    const os::MutexLock lock(publish_mutex_);
    more = queue_->RequestKicks(log_.get());
  }
  return true;
}

bool QueueThread::Poll() {
  idle_since_ = std::chrono::steady_clock::now();
  const auto end = idle_since_ + poll_.window();
  // Kicks are not asked for until it is over: what comes meanwhile costs the guest none.
  for (auto now = idle_since_; now < end && Serving(); now = std::chrono::steady_clock::now()) {
    for (int look = 0; look < kLooksPerClock; ++look) {
      if (queue_->AnyAvailable()) return true;
      CpuRelax();
    }
  }
  return false;
}

QueueThread::Batch QueueThread::ServeBatch(Turn& turn) {
  last_look_at_clock = services_.clock.Now();
  for (size_t served = 0; served < kMaxBatch; ++served) {
    if (!Serving()) return Batch::kEnd;
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
  const ErrnoOr<virtqueue::Chain> chain = queue_->Gather(head, *turn.memory, slots_.scratch());
  RequestSlot* const slot = slots_.Take(head);
  if (slot == nullptr) {
    // Neither served, which would take the slot from its request, nor completed, which would tell
    // the driver that its request is done.
    Refuse(absl::StrCat("descriptor head ", head, " was offered again while in flight"));
    return true;
  }
  if (!chain.ok()) {
    if (const absl::Time now = absl::Now(); now >= next_warning_) {
      next_warning_ = now + kWarningInterval;
      FSD_LOG(kWarning, services_.export_name, "queue %d: chain at head %d refused: %s", index_,
              head, ErrnoStatus(chain.error(), "gather").ToString());
    }
    slot->Free();
    const os::MutexLock lock(publish_mutex_);
    queue_->Complete(head, 0, log_.get());
    return true;
  }
  slots_.Keep(*slot, *chain, *turn.memory);
  slot->Begin(slot->chain().readable, slot->chain().writable, *this);
  counters_.Take();
  const fuse::Session::Lane lane = services_.session.Prepare(*slot);
  slot->Show(last_look_at_clock);
  if (lane == fuse::Session::Lane::kSlow) {
    Hold();
    slot->Detach(turn.memory);
    services_.slow_lane.Submit(*slot);
    last_look_at_clock = services_.clock.Now();
    return true;
  }
  PrefetchReply(slot->chain());
  queue_->PrefetchCompletion();
  Enter(turn, *slot);
  services_.session.Serve(*slot);
  if (!Leave(turn)) return false;
  if (!slot->taken()) return true;
  // Pending. Its reply may come at this very moment.
  Hold();
  if (!slot->Detach(turn.memory)) Release();
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
      lease = Finish(slot, written, nanoseconds);
      // A detached request's thread may have lost the ring, and with it the batch's end.
      call = (!in_batch || lease != nullptr) && queue_->CallNeeded();
    }
  }
  if (call) call_.Notify();
  const bool was_detached = lease != nullptr;
  lease.reset();
  if (was_detached) Release();
  if (!in_batch) Release();
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

MemoryLease QueueThread::Finish(RequestSlot& slot, uint32_t written, uint64_t nanoseconds) {
  const uint16_t head = slot.head();
  Count(slot, nanoseconds);
  if (slot.detached() && slot.memory().revoked()) written = PutBack(slot, written);
  if (log_ != nullptr) MarkWritten(slot, std::max<size_t>(written, slot.touched_bytes()));
  // Before it is published: the driver may use the head again at once.
  MemoryLease lease = slot.Free();
  queue_->Complete(head, written, log_.get());
  return lease;
}

uint32_t QueueThread::PutBack(const RequestSlot& slot, uint32_t written) {
  uint64_t generation = 0;
  const MemoryLease present = services_.memory.Take(generation);
  size_t left = written;
  for (const iovec& piece : slot.chain().writable) {
    const size_t length = std::min(piece.iov_len, left);
    left -= length;
    uint64_t guest_address = 0;
    if (length != 0 &&
        (!slot.memory().GuestAddressOf(piece.iov_base, guest_address) ||
         !present->Write(guest_address, {static_cast<const std::byte*>(piece.iov_base), length}))) {
      return 0;
    }
  }
  return written;
}

void QueueThread::MarkWritten(const RequestSlot& slot, size_t written) {
  size_t left = written;
  for (const iovec& piece : slot.chain().writable) {
    const size_t length = std::min(piece.iov_len, left);
    if (length == 0) return;
    left -= length;
    uint64_t guest_address = 0;
    if (slot.memory().GuestAddressOf(piece.iov_base, guest_address)) {
      log_->Mark(guest_address, length);
    }
  }
}

void QueueThread::CallIfNeeded() {
  bool needed = false;
  {
    const os::MutexLock lock(publish_mutex_);
    needed = queue_->CallNeeded();
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
