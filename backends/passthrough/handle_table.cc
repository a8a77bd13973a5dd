#include "backends/passthrough/handle_table.h"

#include <utility>

#include "server/errors/status_macros.h"
#include "server/os/uncancelled.h"

namespace fsd::passthrough {

void HandleRecord::Dispose() {
  os::Close(fd);
  if (direct_fd >= 0) os::Close(direct_fd);
}

ErrnoOr<FileHandle> HandleTable::Insert(os::UniqueFd fd, const Opened& opened, uint32_t epoch,
                                        os::UniqueFd direct_fd) {
  const HandleRecord record{.node = static_cast<uint64_t>(opened.node),
                            .fd = fd.get(),
                            .direct_fd = direct_fd.get(),
                            .kind = opened.kind,
                            .append = opened.append,
                            .writable = opened.writable,
                            .append_only = opened.append_only,
                            .reserved = {}};
  if (opened.kind == HandleKind::kFile) {
    FSD_ASSIGN_OR_RETURN_ERRNO(const Pin pin, slots_.Publish(record, epoch));
    (void)fd.release();
    (void)direct_fd.release();
    return FileHandle{pin.id()};
  }
  auto directory_lock = std::make_shared<os::Mutex>();
  // Held over both, so that a Reset in between does not miss the directory's lock.
  os::MutexLock lock(mutex_);
  FSD_ASSIGN_OR_RETURN_ERRNO(const Pin pin, slots_.Publish(record, epoch));
  (void)fd.release();
  directory_locks_.emplace(pin.id(), std::move(directory_lock));
  return FileHandle{pin.id()};
}

ErrnoOr<HandleTable::Pin> HandleTable::Acquire(NodeId node, FileHandle handle) {
  Pin pin = slots_.Acquire(static_cast<uint64_t>(handle));
  if (!pin || NodeId{pin->node} != node) return Errno(EBADF);
  return pin;
}

std::shared_ptr<os::Mutex> HandleTable::DirectoryLock(const Pin& pin) {
  os::MutexLock lock(mutex_);
  const auto found = directory_locks_.find(pin.id());
  return found == directory_locks_.end() ? nullptr : found->second;
}

void HandleTable::Release(const Pin& pin) {
  if (!slots_.Retire(pin) || pin->kind != HandleKind::kDirectory) return;
  os::MutexLock lock(mutex_);
  directory_locks_.erase(pin.id());
}

void HandleTable::Reset() {
  slots_.BeginReset([this](Pin& pin) { Release(pin); });
}

}  // namespace fsd::passthrough
