// The hot path allocates nothing: LOOKUP of a known inode, GETATTR, READ, WRITE.
#include <fcntl.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <utility>

#include "backends/passthrough/passthrough_fixture.h"
#include "gtest/gtest.h"

namespace {

thread_local int allocations = 0;

}  // namespace

void* operator new(size_t size) {
  ++allocations;
  void* memory = std::malloc(size);
  if (memory == nullptr) std::abort();
  return memory;
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }

namespace fsd::passthrough {
namespace {

using backends::Call;
using backends::CallState;
using backends::CreatedFile;
using backends::Entry;

template <typename T>
Call<T> MakeCall(CallState& state) {
  return Call<T>(state, [](CallState&, ErrnoOr<T>&&) {});
}

class AllocationTest : public PassthroughFixture {
 protected:
  AllocationTest() : file_(Must(fs->Create(kRoot, "file", O_RDWR))) { allocations = 0; }

  CreatedFile file_;
  CallState state_;
};

TEST_F(AllocationTest, TheTestCountsAllocations) {
  ::operator delete(::operator new(1));
  EXPECT_EQ(allocations, 1);
}

TEST_F(AllocationTest, LookingUpAKnownNameAllocatesNothing) {
  auto outcome = filesystem_->Lookup(MakeCall<Entry>(state_), kRoot, "file");
  EXPECT_EQ(allocations, 0);
  EXPECT_SUCCESS(std::move(outcome).result());
}

TEST_F(AllocationTest, GetattrAllocatesNothing) {
  auto outcome =
      filesystem_->GetAttributes(MakeCall<Attributes>(state_), file_.entry.node, file_.handle);
  EXPECT_EQ(allocations, 0);
  EXPECT_SUCCESS(std::move(outcome).result());
}

TEST_F(AllocationTest, ReadingAndWritingAllocateNothing) {
  char bytes[4096] = {};
  const iovec vector{bytes, sizeof(bytes)};
  auto written = filesystem_->Write(MakeCall<size_t>(state_), file_.entry.node, file_.handle, 0,
                                    {&vector, 1}, {.kill_suidgid = true});
  auto read =
      filesystem_->Read(MakeCall<size_t>(state_), file_.entry.node, file_.handle, 0, {&vector, 1});
  EXPECT_EQ(allocations, 0);
  EXPECT_SUCCESS(std::move(written).result());
  EXPECT_SUCCESS(std::move(read).result());
}

// With every option that has a part in it.
TEST_F(AllocationTest, NorDoOptionsOnTheHotPath) {
  const IdTranslation everybody{IdTranslation::Kind::kMap, 0, 100'000, 65536};
  ServeWith({.xattr = true,
             .xattr_map =
                 XattrMap({{XattrRule::Type::kMap, XattrRule::Scope::kAll, "", "user.virtiofs."}}),
             .uids = *IdMap::Create({&everybody, 1}),
             .open_policy = {.writeback = true, .direct_io = true},
             .zero_message_open = true});
  const NodeId node = Must(fs->Lookup(kRoot, "file")).node;
  const FileHandle direct = Must(fs->Open(node, O_RDWR | uint32_t{O_DIRECT}));
  Must(fs->Write(node, backends::kNoHandle, 0, "x"));
  char bytes[4096] = {};
  const iovec vector{bytes, sizeof(bytes)};
  for (const FileHandle handle : {direct, backends::kNoHandle}) {
    allocations = 0;
    auto written = filesystem_->Write(MakeCall<size_t>(state_), node, handle, 0, {&vector, 1}, {});
    auto read = filesystem_->Read(MakeCall<size_t>(state_), node, handle, 0, {&vector, 1});
    auto found = filesystem_->Lookup(MakeCall<Entry>(state_), kRoot, "file");
    EXPECT_EQ(allocations, 0);
    EXPECT_SUCCESS(std::move(written).result());
    EXPECT_SUCCESS(std::move(read).result());
    EXPECT_SUCCESS(std::move(found).result());
  }
}

}  // namespace
}  // namespace fsd::passthrough
