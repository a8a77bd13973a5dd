#include "server/vhost_user/memory_requests.h"

#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "server/vhost_user/features.h"
#include "server/virtqueue/dirty_log.h"
#include "server/virtqueue/guest_memory.h"

namespace fsd::vhost_user {
namespace {

using virtqueue::GuestMemory;
using MemoryOr = absl::StatusOr<std::shared_ptr<const GuestMemory>>;

virtqueue::RegionDescription DescriptionOf(const MemoryRegion& region) {
  return {.guest_address = region.guest_address,
          .size = region.size,
          .user_address = region.user_address,
          .mmap_offset = region.mmap_offset};
}

void Use(ConnectionState& state, MemoryOr memory, Finish finish) {
  if (!memory.ok()) {
    finish(memory.status());
    return;
  }
  state.memory = *memory;
  state.device.SetMemory(*std::move(memory), state.WhileAlive([finish = std::move(finish)] {
    finish(absl::OkStatus());
  }));
}

}  // namespace

void SetMemTable(ConnectionState& state, Message& message, Finish finish) {
  const auto table = message.As<MemoryTable>();
  MemoryOr memory = std::make_shared<const GuestMemory>();
  // As many regions as descriptors: the request table has seen to it.
  for (size_t i = 0; i < message.fds.size() && memory.ok(); ++i) {
    memory = (*memory)->With(DescriptionOf(table.regions[i]), message.fds[i].get());
  }
  Use(state, std::move(memory), std::move(finish));
}

void AddMemReg(ConnectionState& state, Message& message, Finish finish) {
  const auto added = message.As<SingleMemoryRegion>();
  Use(state, state.memory->With(DescriptionOf(added.region), message.fds.front().get()),
      std::move(finish));
}

void RemMemReg(ConnectionState& state, Message& message, Finish finish) {
  const auto removed = message.As<SingleMemoryRegion>();
  Use(state, state.memory->Without(DescriptionOf(removed.region)), std::move(finish));
}

Outcome GetMaxMemSlots(ConnectionState&, Message&) {
  return Outcome::Reply(uint64_t{GuestMemory::kMaxRegions});
}

Outcome SetLogBase(ConnectionState& state, Message& message) {
  const auto wanted = message.As<LogDescription>();
  absl::StatusOr<std::shared_ptr<const virtqueue::DirtyLog>> log =
      virtqueue::DirtyLog::Map(message.fds.front().get(), wanted.offset, wanted.size);
  if (!log.ok()) return log.status();
  state.log = *std::move(log);
  if (state.negotiated(kLogAll)) state.device.SetDirtyLog(state.log);
  return absl::OkStatus();
}

Outcome SetLogFd(ConnectionState&, Message&) { return absl::OkStatus(); }

}  // namespace fsd::vhost_user
