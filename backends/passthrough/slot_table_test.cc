#include "backends/passthrough/slot_table.h"

#include <atomic>
#include <new>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

namespace fsd::passthrough {
namespace {

std::atomic<int> disposed{0};

struct Record {
  uint64_t value;
  uint64_t twice;  // always 2 * value while the slot is live

  void Dispose() {
    value = 0;
    twice = 0;
    disposed.fetch_add(1);
  }
};
using Table = SlotTable<Record>;

SlotMemory Memory(uint32_t capacity) {
  ErrnoOr<SlotMemory> memory = Table::Reserve("slot-table-test", capacity);
  FSD_CHECK(memory.ok());
  return *std::move(memory);
}

// The same memory once more.
os::MappedMemory Map(const SlotMemory& memory) {
  ErrnoOr<os::MappedMemory> mapping =
      os::MappedMemory::MapShared(memory.file.get(), 0, memory.mapping.size());
  FSD_CHECK(mapping.ok());
  return *std::move(mapping);
}

uint64_t PublishIn(Table& table, uint64_t value) {
  ErrnoOr<Table::Pin> pin = table.Publish({value, 2 * value}, table.epoch());
  FSD_CHECK(pin.ok());
  return pin->id();
}

void RetireIn(Table& table, uint64_t id) {
  const Table::Pin pin = table.Acquire(id);
  FSD_CHECK(pin);
  EXPECT_TRUE(table.Retire(pin));
}

class SlotTableTest : public ::testing::Test {
 protected:
  SlotTableTest() { disposed = 0; }
};

TEST_F(SlotTableTest, AnIdFindsItsRecord) {
  Table table(Memory(4));
  const uint64_t first = PublishIn(table, 7);
  const uint64_t second = PublishIn(table, 8);
  EXPECT_EQ(first, 1u);
  EXPECT_EQ(table.Acquire(first)->value, 7u);
  EXPECT_EQ(table.Acquire(second)->value, 8u);
  EXPECT_EQ(table.live(), 2u);
}

TEST_F(SlotTableTest, InventedIdsFindNothing) {
  Table table(Memory(4));
  PublishIn(table, 7);
  for (const uint64_t id : {uint64_t{0}, uint64_t{2}, uint64_t{5}, uint64_t{6}, uint64_t{1} << 20,
                            (uint64_t{1} << 32) + 1, uint64_t{1} << 32, ~uint64_t{0}}) {
    EXPECT_FALSE(table.Acquire(id)) << id;
  }
}

TEST_F(SlotTableTest, AReusedSlotHasAnotherIdAndTheOldOneIsStale) {
  Table table(Memory(1));
  const uint64_t first = PublishIn(table, 7);
  RetireIn(table, first);
  const uint64_t second = PublishIn(table, 8);
  EXPECT_EQ(static_cast<uint32_t>(second), static_cast<uint32_t>(first));
  EXPECT_NE(second, first);
  EXPECT_FALSE(table.Acquire(first));
  EXPECT_EQ(table.Acquire(second)->value, 8u);
}

TEST_F(SlotTableTest, AFullTableSaysSo) {
  Table table(Memory(2));
  PublishIn(table, 1);
  const uint64_t second = PublishIn(table, 2);
  const ErrnoOr<Table::Pin> third = table.Publish({3, 6}, table.epoch());
  ASSERT_FALSE(third.ok());
  EXPECT_EQ(third.error(), Errno(ENFILE));
  RetireIn(table, second);
  PublishIn(table, 3);
}

TEST_F(SlotTableTest, OnlyWhatIsAcquiredByIdCountsAsUsed) {
  Table table(Memory(1));
  const uint64_t id = PublishIn(table, 7);
  (void)table.AcquireIdle(1);
  EXPECT_TRUE(table.Acquire(id));
  EXPECT_FALSE(table.AcquireIdle(1));
  EXPECT_TRUE(table.AcquireAt(1));
  EXPECT_TRUE(table.AcquireIdle(1));
}

TEST_F(SlotTableTest, APinKeepsARetiredRecordWhole) {
  Table table(Memory(1));
  const uint64_t id = PublishIn(table, 7);
  Table::Pin pin = table.Acquire(id);
  RetireIn(table, id);
  EXPECT_FALSE(table.Acquire(id));
  EXPECT_EQ(pin->value, 7u);
  EXPECT_EQ(disposed, 0);
  EXPECT_FALSE(table.Publish({8, 16}, table.epoch()).ok());
  pin = {};
  EXPECT_EQ(disposed, 1);
  PublishIn(table, 8);
}

TEST_F(SlotTableTest, OnlyOneRetires) {
  Table table(Memory(1));
  const uint64_t id = PublishIn(table, 7);
  const Table::Pin pin = table.Acquire(id);
  EXPECT_TRUE(table.Retire(pin));
  EXPECT_FALSE(table.Retire(pin));
  EXPECT_EQ(table.live(), 0u);
}

TEST_F(SlotTableTest, NothingOfAnEndedEpochIsPublished) {
  Table table(Memory(4));
  PublishIn(table, 7);
  const uint32_t before = table.epoch();
  table.BeginReset([&](Table::Pin& pin) { table.Retire(pin); });
  EXPECT_EQ(table.live(), 0u);
  const ErrnoOr<Table::Pin> late = table.Publish({8, 16}, before);
  ASSERT_FALSE(late.ok());
  EXPECT_EQ(late.error(), Errno(ESTALE));
  PublishIn(table, 9);
}

TEST_F(SlotTableTest, TheMemoryOfAProcessThatIsGoneIsTakenOver) {
  SlotMemory memory = Memory(4);
  SlotMemory same{os::UniqueFd(), Map(memory)};
  uint64_t kept;
  uint64_t retired;
  uint64_t dying;
  {
    Table killed(std::move(memory));
    kept = PublishIn(killed, 1);
    retired = PublishIn(killed, 2);
    dying = PublishIn(killed, 3);
    RetireIn(killed, retired);
    // Pins that nobody drops, as SIGKILL leaves them.
    alignas(Table::Pin) char pins[2][sizeof(Table::Pin)];
    new (pins[0]) Table::Pin(killed.Acquire(kept));
    killed.Retire(*new (pins[1]) Table::Pin(killed.Acquire(dying)));
  }

  Table table(std::move(same));

  EXPECT_EQ(table.live(), 1u);
  EXPECT_EQ(table.Acquire(kept)->value, 1u);
  EXPECT_FALSE(table.Acquire(retired));
  EXPECT_FALSE(table.Acquire(dying));
  for (const uint64_t value : {10, 11, 12}) {
    const uint64_t id = PublishIn(table, value);
    EXPECT_NE(id, retired);
    EXPECT_NE(id, dying);
  }
  EXPECT_FALSE(table.Publish({13, 26}, table.epoch()).ok());
  const int before = disposed;
  RetireIn(table, kept);
  EXPECT_EQ(disposed, before + 1);
}

TEST_F(SlotTableTest, ManyThreadsSeeRecordsWholeOrNotAtAll) {
  constexpr int kThreads = 4;
  constexpr int kRounds = 20000;
  Table table(Memory(8));
  std::atomic<uint64_t> shared_id{0};
  std::atomic<int> published{0};
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&] {
      for (uint64_t round = 1; round <= kRounds; ++round) {
        if (const Table::Pin pin = table.Acquire(shared_id.load())) {
          EXPECT_EQ(pin->twice, 2 * pin->value);
          EXPECT_NE(pin->value, 0u);
          if (round % 3 == 0) table.Retire(pin);
        }
        if (const ErrnoOr<Table::Pin> pin = table.Publish({round, 2 * round}, table.epoch());
            pin.ok()) {
          published.fetch_add(1);
          const uint64_t previous = shared_id.exchange(pin->id());
          if (const Table::Pin old = table.Acquire(previous)) table.Retire(old);
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  table.BeginReset([&](Table::Pin& pin) { table.Retire(pin); });
  EXPECT_EQ(table.live(), 0u);
  EXPECT_EQ(disposed, published);
  for (uint64_t i = 1; i <= 8; ++i) PublishIn(table, i);
}

}  // namespace
}  // namespace fsd::passthrough
