// SlotTable: what a guest's session refers to by number (inodes, open handles), as an array of
// fixed-size slots in one memory file.
//
// An id is a slot's index in the low 32 bits and its generation in the high 32; index 0 is never
// given. A record holds no pointers, and a slot becomes visible by one atomic store at the end, so
// the file means the same to whoever maps it after this process was killed between any two
// instructions: each slot is free or whole. The free list is derived, and rebuilt on construction.
//
// A slot's state is one atomic word:
//
//     generation (32) | live (1) | busy (1) | referenced (1) | pins (29)
//
// Acquire() pins a live slot: its record stays whole until the Pin is destroyed. Retire() makes the
// slot unreachable at once; whoever drops the last pin disposes of the record, under a new
// generation. A stale or invented id acquires nothing.
//
// Whoever holds the only pin may TryExclude() all others for a moment, to change the record:
// Acquire() waits until Readmit(). "Referenced" says that a slot has been acquired since
// AcquireIdle() last came by, for a clock that looks for slots nobody uses.
//
// Any thread. Pinning takes no lock; Publish() and the disposal of a record lock the free list.
#ifndef FSD_BACKENDS_PASSTHROUGH_SLOT_TABLE_H_
#define FSD_BACKENDS_PASSTHROUGH_SLOT_TABLE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "server/errors/check.h"
#include "server/errors/errno_or.h"
#include "server/os/mapped_memory.h"
#include "server/os/memory_file.h"
#include "server/os/mutex.h"
#include "server/os/unique_fd.h"

namespace fsd::passthrough {

// The memory of one table: whoever holds `file` can map it again.
struct SlotMemory {
  os::UniqueFd file;
  os::MappedMemory mapping;
};

// A Record is trivially copyable, all zeroes when fresh, and has `void Dispose()`, which gives back
// what it names (fds). Where more than the record is to be given back, the table is told how.
template <typename Record>
class SlotTable {
  static_assert(std::is_trivially_copyable_v<Record> && std::is_trivially_destructible_v<Record>);

  struct Slot {
    std::atomic<uint64_t> state;
    Record record;
  };
  static_assert(std::atomic<uint64_t>::is_always_lock_free);

  struct alignas(64) Header {
    uint32_t layout_version;  // 0: fresh
    uint32_t slot_bytes;
    std::atomic<uint32_t> end;  // slots from here on were never used
  };
  static_assert(sizeof(Header) % alignof(Slot) == 0);

 public:
  // Keeps one slot's record from being disposed of. Movable; empty if nothing was acquired.
  class Pin {
   public:
    Pin() = default;
    Pin(Pin&& other) noexcept
        : table_(std::exchange(other.table_, nullptr)), index_(other.index_) {}
    Pin& operator=(Pin&& other) noexcept {
      std::swap(table_, other.table_);
      std::swap(index_, other.index_);
      return *this;
    }
    ~Pin() {
      if (table_ != nullptr) table_->Unpin(index_);
    }

    explicit operator bool() const { return table_ != nullptr; }
    Record* operator->() const { return &table_->slots()[index_].record; }
    Record& operator*() const { return table_->slots()[index_].record; }
    uint64_t id() const { return table_->IdOf(index_); }
    uint32_t index() const { return index_; }

   private:
    friend class SlotTable;
    Pin(SlotTable* table, uint32_t index) : table_(table), index_(index) {}

    SlotTable* table_ = nullptr;
    uint32_t index_ = 0;
  };

  // Fresh memory for `capacity` records; pages cost nothing until they are used.
  static ErrnoOr<SlotMemory> Reserve(const char* name, uint32_t capacity) {
    const size_t bytes = sizeof(Header) + (size_t{capacity} + 1) * sizeof(Slot);
    ErrnoOr<os::UniqueFd> file = os::CreateMemoryFile(name, bytes);
    if (!file.ok()) return file.error();
    ErrnoOr<os::MappedMemory> mapping = os::MappedMemory::MapShared(file->get(), 0, bytes);
    if (!mapping.ok()) return mapping.error();
    return SlotMemory{*std::move(file), *std::move(mapping)};
  }

  // Takes `memory` over, fresh or left by a process that is gone: pins are forgotten, ids of live
  // slots stay good, all others become stale. `dispose`, if any, is called in place of
  // Record::Dispose(), with the slot's index.
  using Dispose = std::function<void(uint32_t, Record&)>;
  explicit SlotTable(SlotMemory memory, Dispose dispose = nullptr)
      : memory_(std::move(memory)),
        dispose_(std::move(dispose)),
        slot_count_(
            static_cast<uint32_t>((memory_.mapping.size() - sizeof(Header)) / sizeof(Slot))) {
    if (header().layout_version == 0) {
      header().slot_bytes = sizeof(Slot);
      header().end.store(1);
      header().layout_version = kLayoutVersion;
    }
    FSD_CHECK(header().layout_version == kLayoutVersion && header().slot_bytes == sizeof(Slot));
    Rebuild();
  }

  SlotTable(const SlotTable&) = delete;
  SlotTable& operator=(const SlotTable&) = delete;

  // Nothing if `id` is stale or was never given.
  Pin Acquire(uint64_t id) { return Acquire(id, kReferenced); }

  // Pins the slot at `index` if it is live. AcquireIdle() takes no notice of it.
  Pin AcquireAt(uint32_t index) { return Acquire(IdOf(index), 0); }

  // Pins the slot at `index` if it is live, nobody has it pinned, and nobody has acquired it since
  // the last call for it.
  Pin AcquireIdle(uint32_t index) {
    std::atomic<uint64_t>& state = slots()[index].state;
    uint64_t seen = state.load(std::memory_order_relaxed);
    while ((seen & (kLive | kBusy | kPins)) == kLive) {
      const bool referenced = (seen & kReferenced) != 0;
      const uint64_t wanted = referenced ? seen & ~kReferenced : seen + 1;
      if (state.compare_exchange_weak(seen, wanted, std::memory_order_acquire,
                                      std::memory_order_relaxed)) {
        return referenced ? Pin() : Pin(this, index);
      }
    }
    return {};
  }

  // Keeps everybody else from acquiring what AcquireIdle() pinned, until Readmit(): for a few
  // instructions, as they spin. False if somebody has acquired it meanwhile.
  bool TryExclude(const Pin& pin) {
    std::atomic<uint64_t>& state = slots()[pin.index_].state;
    uint64_t seen = state.load(std::memory_order_relaxed);
    while ((seen & (kLive | kReferenced | kPins)) == (kLive | 1)) {
      if (state.compare_exchange_weak(seen, seen | kBusy, std::memory_order_acquire,
                                      std::memory_order_relaxed)) {
        return true;
      }
    }
    return false;
  }
  void Readmit(const Pin& pin) {
    slots()[pin.index_].state.fetch_and(~kBusy, std::memory_order_release);
  }

  // The time of BeginReset()s: an operation notes it when it starts and publishes under it, so that
  // nothing of a session that has ended comes to stay.
  uint32_t epoch() const { return epoch_.load(std::memory_order_acquire); }

  // Makes `record` a live slot and pins it. ENFILE if all slots are taken, ESTALE if `epoch` has
  // passed; the record is not disposed of then.
  ErrnoOr<Pin> Publish(const Record& record, uint32_t epoch) {
    os::MutexLock lock(mutex_);
    if (epoch != epoch_.load(std::memory_order_relaxed)) return Errno(ESTALE);
    uint32_t index = header().end.load(std::memory_order_relaxed);
    if (!free_.empty()) {
      index = free_.back();
      free_.pop_back();
    } else if (index < slot_count_) {
      header().end.store(index + 1, std::memory_order_release);
    } else {
      return Errno(ENFILE);
    }
    Slot& slot = slots()[index];
    const uint64_t generation = slot.state.load(std::memory_order_relaxed) & kGeneration;
    slot.record = record;
    slot.state.store(generation | kLive | 1, std::memory_order_release);
    live_.fetch_add(1, std::memory_order_relaxed);
    return Pin(this, index);
  }

  // The record and the id of a slot that is live and that the caller keeps from being retired
  // meanwhile.
  Record& LiveRecord(uint32_t index) const { return slots()[index].record; }
  uint64_t LiveId(uint32_t index) const { return IdOf(index); }

  // Makes a pinned slot unreachable. False if somebody else did.
  bool Retire(const Pin& pin) {
    const uint64_t before = slots()[pin.index_].state.fetch_and(~kLive, std::memory_order_acq_rel);
    if ((before & kLive) == 0) return false;
    live_.fetch_sub(1, std::memory_order_relaxed);
    return true;
  }

  // Ends the epoch, then calls `visit(Pin&)` for each slot that was live then.
  template <typename Visit>
  void BeginReset(Visit visit) {
    uint32_t end;
    {
      os::MutexLock lock(mutex_);
      epoch_.fetch_add(1, std::memory_order_acq_rel);
      end = header().end.load(std::memory_order_relaxed);
    }
    for (uint32_t index = 1; index < end; ++index) {
      if (Pin pin = AcquireAt(index)) visit(pin);
    }
  }

  uint32_t slot_count() const { return slot_count_; }
  uint64_t live() const { return live_.load(std::memory_order_relaxed); }
  bool full() const { return live() + 1 >= slot_count_; }
  int memory_fd() const { return memory_.file.get(); }

 private:
  static constexpr uint32_t kLayoutVersion = 1;
  static constexpr uint64_t kGeneration = ~uint64_t{0} << 32;
  static constexpr uint64_t kLive = uint64_t{1} << 31;
  static constexpr uint64_t kBusy = uint64_t{1} << 30;
  static constexpr uint64_t kReferenced = uint64_t{1} << 29;
  static constexpr uint64_t kPins = kReferenced - 1;

  Header& header() const { return *reinterpret_cast<Header*>(memory_.mapping.data()); }
  Slot* slots() const { return reinterpret_cast<Slot*>(memory_.mapping.data() + sizeof(Header)); }
  uint64_t IdOf(uint32_t index) const {
    return (slots()[index].state.load(std::memory_order_relaxed) & kGeneration) | index;
  }

  Pin Acquire(uint64_t id, uint64_t mark) {
    const auto index = static_cast<uint32_t>(id);
    const uint64_t generation = id >> 32;
    if (index == 0 || index >= header().end.load(std::memory_order_acquire)) return {};
    std::atomic<uint64_t>& state = slots()[index].state;
    uint64_t seen = state.load(std::memory_order_relaxed);
    while (true) {
      if ((seen & kLive) == 0 || seen >> 32 != generation) return {};
      if ((seen & kBusy) != 0) {
        std::this_thread::yield();
        seen = state.load(std::memory_order_relaxed);
        continue;
      }
      if (state.compare_exchange_weak(seen, (seen + 1) | mark, std::memory_order_acquire,
                                      std::memory_order_relaxed)) {
        return Pin(this, index);
      }
    }
  }

  void Unpin(uint32_t index) {
    Slot& slot = slots()[index];
    const uint64_t before = slot.state.fetch_sub(1, std::memory_order_acq_rel);
    if ((before & (kLive | kPins)) == 1) [[unlikely]]
      DisposeOf(index, before);
  }
  // By the last one to unpin a slot that is retired; `before`: its state until then. Apart from
  // Unpin, so that letting a pin go is no call and its few instructions are in their place.
  [[gnu::noinline]] void DisposeOf(uint32_t index, uint64_t before) {
    Slot& slot = slots()[index];
    if (dispose_) {
      dispose_(index, slot.record);
    } else {
      slot.record.Dispose();
    }
    slot.state.store((before & kGeneration) + (uint64_t{1} << 32), std::memory_order_relaxed);
    os::MutexLock lock(mutex_);
    free_.push_back(index);
  }

  void Rebuild() {
    os::MutexLock lock(mutex_);
    for (uint32_t index = header().end.load(); --index > 0;) {
      std::atomic<uint64_t>& state = slots()[index].state;
      const uint64_t seen = state.load();
      if ((seen & kLive) != 0) {
        state.store(seen & ~(kBusy | kPins));
        live_.fetch_add(1);
      } else {
        // It may have been retired but not yet disposed of: its last id must not come back.
        state.store((seen & kGeneration) + (uint64_t{1} << 32));
        free_.push_back(index);
      }
    }
  }

  SlotMemory memory_;
  const Dispose dispose_;
  const uint32_t slot_count_;
  std::atomic<uint64_t> live_{0};
  std::atomic<uint32_t> epoch_{0};
  os::Mutex mutex_;
  std::vector<uint32_t> free_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace fsd::passthrough

#endif  // FSD_BACKENDS_PASSTHROUGH_SLOT_TABLE_H_
