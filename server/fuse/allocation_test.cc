// The hot path allocates nothing: a request's slot has all it needs.
#include <atomic>
#include <cstdlib>
#include <new>

#include "gtest/gtest.h"
#include "server/fuse/abi.h"
#include "server/fuse/recording_filesystem.h"
#include "server/fuse/request_driver.h"
#include "server/fuse/session.h"

namespace {

std::atomic<int> allocations{0};
std::atomic<int> live{0};
std::atomic<size_t> largest_bytes{0};  // by one thread at a time

}  // namespace

void* operator new(size_t size) {
  ++allocations;
  ++live;
  if (size > largest_bytes) largest_bytes = size;
  void* memory = std::malloc(size);
  if (memory == nullptr) std::abort();
  return memory;
}
void* operator new[](size_t size) { return operator new(size); }
void operator delete(void* memory) noexcept {
  if (memory != nullptr) --live;
  std::free(memory);
}
void operator delete(void* memory, size_t) noexcept { operator delete(memory); }
void operator delete[](void* memory) noexcept { operator delete(memory); }
void operator delete[](void* memory, size_t) noexcept { operator delete(memory); }

namespace fsd::fuse {
namespace {

class Counter final : public RequestOwner {
 public:
  void OnReplied(Request&, uint32_t) override { ++replies; }
  int replies = 0;
};

struct Use {
  int allocations = 0;
  int kept = 0;  // of them, those that the request still holds
  size_t largest_bytes = 0;
};

// What serving `message` ten times in one slot takes.
Use UseOf(const std::string& message, const std::vector<size_t>& readable_cuts,
          const std::vector<size_t>& writable_cuts) {
  RecordingFilesystem filesystem;
  RequestDriver driver(filesystem, {.xattr = true});
  filesystem.record = false;
  filesystem.content = std::string(1 << 20, 'c');
  const ScatteredBytes readable(message, readable_cuts);
  const ScatteredBytes writable(std::string((1 << 20) + 16, '.'), writable_cuts);
  Counter counter;
  Request request;
  const int allocations_before = allocations;
  const int live_before = live;
  largest_bytes = 0;
  for (int i = 0; i < 10; ++i) {
    request.Begin(readable.iovecs(), writable.iovecs(), counter);
    driver.session().Prepare(request);
    driver.session().Serve(request);
  }
  const Use use = {.allocations = allocations - allocations_before,
                   .kept = live - live_before,
                   .largest_bytes = largest_bytes};
  EXPECT_EQ(counter.replies, 10);
  return use;
}

int AllocationsOf(const std::string& message, const std::vector<size_t>& readable_cuts,
                  const std::vector<size_t>& writable_cuts) {
  return UseOf(message, readable_cuts, writable_cuts).allocations;
}

// Pages, after a first buffer of `first` bytes.
std::vector<size_t> PageCuts(size_t first) {
  std::vector<size_t> cuts;
  for (size_t page = 0; page < 256; ++page) cuts.push_back(first + page * 4096);
  return cuts;
}

TEST(Allocation, TheCounterCounts) {
  const int before = allocations;
  ::operator delete(::operator new(1));
  EXPECT_GT(allocations, before);
}

TEST(Allocation, LookupHasNone) {
  EXPECT_EQ(AllocationsOf(Message(FUSE_LOOKUP, 1, Text(std::string(255, 'n'))), {}, {}), 0);
}

TEST(Allocation, GetAttributesHasNone) {
  EXPECT_EQ(AllocationsOf(Message(FUSE_GETATTR, 1, Raw(fuse_getattr_in{})), {20}, {20}), 0);
}

TEST(Allocation, ReadOfAMegabyteInPagesHasNone) {
  fuse_read_in in{};
  in.size = 1 << 20;
  EXPECT_EQ(AllocationsOf(Message(FUSE_READ, 1, Raw(in)), {}, PageCuts(16)), 0);
}

TEST(Allocation, ReadIntoOneBufferBehindTheHeaderHasNone) {
  fuse_read_in in{};
  in.size = 4096;
  EXPECT_EQ(AllocationsOf(Message(FUSE_READ, 1, Raw(in)), {}, {}), 0);
}

TEST(Allocation, WriteOfAMegabyteInPagesHasNone) {
  fuse_write_in in{};
  in.size = 1 << 20;
  EXPECT_EQ(
      AllocationsOf(Message(FUSE_WRITE, 1, Raw(in) + std::string(1 << 20, 'd')), PageCuts(80), {}),
      0);
}

TEST(Allocation, WriteFromOneBufferBehindTheHeaderHasNone) {
  fuse_write_in in{};
  in.size = 4096;
  EXPECT_EQ(AllocationsOf(Message(FUSE_WRITE, 1, Raw(in) + std::string(4096, 'd')), {}, {}), 0);
}

TEST(Allocation, TheGuestDoesNotChooseTheSizeOfOne) {
  const std::string name = Text(std::string(1 << 20, 'n'));

  EXPECT_LT(UseOf(Message(FUSE_LOOKUP, 1, name), {}, {}).largest_bytes, 8192u);
}

TEST(Allocation, ALongRequestKeepsNone) {
  const std::string names = Text("name") + Text(std::string(4000, 't'));

  const Use use = UseOf(Message(FUSE_SYMLINK, 1, names), {}, {});

  EXPECT_GT(use.largest_bytes, 4000u);
  EXPECT_EQ(use.kept, 0);
}

TEST(Allocation, AnAttributesValueKeepsNone) {
  fuse_setxattr_in in{};
  in.size = 65536;

  const Use use =
      UseOf(Message(FUSE_SETXATTR, 1, Raw(in) + Text("user.a") + std::string(65536, 'v')), {}, {});

  EXPECT_GT(use.largest_bytes, 65536u);
  EXPECT_EQ(use.kept, 0);
}

TEST(Allocation, APayloadInManyOddPiecesKeepsNone) {
  fuse_read_in in{};
  in.size = 1 << 20;

  EXPECT_EQ(UseOf(Message(FUSE_READ, 1, Raw(in)), {}, PageCuts(7)).kept, 0);
}

}  // namespace
}  // namespace fsd::fuse
