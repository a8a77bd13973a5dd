#include "backends/passthrough/lock_table.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <optional>

#include "server/errors/status_macros.h"

namespace fsd::passthrough {

using backends::FileLock;
using backends::NodeId;

namespace {

struct ::flock HostLock(const FileLock& lock) {
  struct ::flock host {};
  host.l_type = static_cast<short>(lock.type);
  host.l_whence = SEEK_SET;
  host.l_start = static_cast<off_t>(lock.first);
  host.l_len = lock.last == INT64_MAX ? 0 : static_cast<off_t>(lock.last - lock.first + 1);
  return host;
}

ErrnoOr<void> Control(int fd, int command, struct ::flock& lock) {
  while (::fcntl(fd, command, &lock) != 0) {
    if (errno != EINTR) return Errno::Last();
  }
  return {};
}

// What hinders `lock` on the host, other than what `fd` holds itself.
ErrnoOr<std::optional<FileLock>> FindConflict(int fd, const FileLock& lock) {
  struct ::flock host = HostLock(lock);
  FSD_RETURN_IF_ERRNO(Control(fd, F_OFD_GETLK, host));
  if (host.l_type == F_UNLCK) return std::optional<FileLock>();
  const auto first = static_cast<uint64_t>(host.l_start);
  return std::optional<FileLock>(FileLock{
      .first = first,
      .last = host.l_len == 0 ? uint64_t{INT64_MAX} : first + static_cast<uint64_t>(host.l_len) - 1,
      .type = static_cast<uint32_t>(host.l_type),
      .pid = 0});
}

// Whether the open file allows such a lock, as fcntl(2) demands.
ErrnoOr<void> CheckAccess(int file, uint32_t type) {
  const int flags = ::fcntl(file, F_GETFL);
  if (flags < 0) return Errno::Last();
  const int mode = flags & O_ACCMODE;
  if ((type == F_RDLCK && mode == O_WRONLY) || (type == F_WRLCK && mode == O_RDONLY)) {
    return Errno(EBADF);
  }
  return {};
}

}  // namespace

LockTable::Reference LockTable::Find(const Key& key) const {
  os::MutexLock lock(mutex_);
  const auto found = descriptions_.find(key);
  return found == descriptions_.end() ? nullptr : found->second;
}

std::vector<LockTable::Reference> LockTable::OfNode(NodeId node) const {
  std::vector<Reference> found;
  os::MutexLock lock(mutex_);
  for (auto at = descriptions_.lower_bound(KeyOf(node, 0));
       at != descriptions_.end() && at->first.first == static_cast<uint64_t>(node); ++at) {
    found.push_back(at->second);
  }
  return found;
}

ErrnoOr<LockTable::Reference> LockTable::Create(const Locker& locker, uint32_t epoch) {
  if (owners() >= limits_.owners) return Errno(ENOLCK);
  // Both kinds of locks, if it can be: a later one may need what this one does not.
  ErrnoOr<os::UniqueFd> fd = Errno(EBADF);
  // With O_APPEND for an append-only file.
  for (const int flags : {O_RDWR, O_RDWR | O_APPEND, O_RDONLY, O_WRONLY, O_WRONLY | O_APPEND}) {
    fd = locker.reopen(flags);
    if (fd.ok() || fd.error() == Errno(EMFILE) || fd.error() == Errno(ENFILE)) break;
  }
  if (!fd.ok()) return fd.error();
  const Key key = KeyOf(locker.node, locker.owner);
  auto description = std::make_shared<Description>(key, locker.handle, *std::move(fd));
  os::MutexLock lock(mutex_);
  if (epoch != epoch_.load(std::memory_order_relaxed)) return Errno(ESTALE);
  if (descriptions_.size() >= limits_.owners) return Errno(ENOLCK);
  return descriptions_.try_emplace(key, std::move(description)).first->second;
}

ErrnoOr<void> LockTable::Set(const Locker& locker, const FileLock& lock, uint32_t epoch) {
  FSD_RETURN_IF_ERRNO(backends::CheckLock(lock));
  FSD_RETURN_IF_ERRNO(CheckAccess(locker.file, lock.type));
  while (true) {
    if (epoch != this->epoch()) return Errno(ESTALE);
    Reference description = Find(KeyOf(locker.node, locker.owner));
    if (description == nullptr) {
      if (lock.type == F_UNLCK) return {};
      // Saves whoever waits from opening the file at each try.
      FSD_ASSIGN_OR_RETURN_ERRNO(const auto conflict, FindConflict(locker.file, lock));
      if (conflict) return Errno(EAGAIN);
      FSD_ASSIGN_OR_RETURN_ERRNO(description, Create(locker, epoch));
    }
    os::MutexLock description_lock(description->mutex);
    if (!description->fd.valid()) continue;  // dropped meanwhile: start over
    const ErrnoOr<void> result = SetOn(*description, lock);
    if (lock.type != F_UNLCK && description->handle == locker.handle && !locker.is_open()) {
      Close(*description);
      return Errno(EBADF);
    }
    if (description->held.empty()) Close(*description);
    return result;
  }
}

ErrnoOr<void> LockTable::SetOn(Description& description, const FileLock& lock) {
  const int64_t growth = description.held.GrowthOf(lock);
  if (ranges_.fetch_add(growth) + growth > static_cast<int64_t>(limits_.ranges) && growth > 0) {
    ranges_.fetch_sub(growth);
    return Errno(ENOLCK);
  }
  const auto before = static_cast<int64_t>(description.held.size());
  struct ::flock host = HostLock(lock);
  const ErrnoOr<void> result = Control(description.fd.get(), F_OFD_SETLK, host);
  if (result.ok()) {
    description.held.Set(lock);
    description.pid = lock.pid;
  }
  ranges_.fetch_add(static_cast<int64_t>(description.held.size()) - before - growth);
  return result;
}

void LockTable::Close(Description& description) {
  if (!description.fd.valid()) return;
  description.fd.reset();
  ranges_.fetch_sub(static_cast<int64_t>(description.held.size()));
  description.held = {};
  os::MutexLock lock(mutex_);
  descriptions_.erase(description.key);
}

void LockTable::Drop(Description& description) {
  os::MutexLock lock(description.mutex);
  Close(description);
}

ErrnoOr<FileLock> LockTable::Get(const Locker& locker, const FileLock& lock) {
  FSD_RETURN_IF_ERRNO(backends::CheckLock(lock));
  if (lock.type == F_UNLCK) return Errno(EINVAL);
  FSD_ASSIGN_OR_RETURN_ERRNO(std::optional<FileLock> conflict, ConflictOf(locker, lock));
  if (!conflict) {
    FileLock free = lock;
    free.type = F_UNLCK;
    return free;
  }
  conflict->pid = PidOfHolder(locker, *conflict);
  return *conflict;
}

ErrnoOr<std::optional<FileLock>> LockTable::ConflictOf(const Locker& locker,
                                                       const FileLock& lock) const {
  if (const Reference own = Find(KeyOf(locker.node, locker.owner))) {
    os::MutexLock own_lock(own->mutex);
    if (own->fd.valid()) return FindConflict(own->fd.get(), lock);
  }
  return FindConflict(locker.file, lock);
}

uint32_t LockTable::PidOfHolder(const Locker& locker, const FileLock& held) const {
  // The host says of an OFD lock only that it is one; the session's have the same range here.
  FileLock probe = held;
  probe.type = F_WRLCK;
  for (const Reference& description : OfNode(locker.node)) {
    if (description->key.second == locker.owner) continue;
    os::MutexLock lock(description->mutex);
    const std::optional<FileLock> found = description->held.FirstConflict(probe);
    if (found && found->first == held.first && found->last == held.last &&
        found->type == held.type) {
      return description->pid;
    }
  }
  return 0;
}

void LockTable::DropOwner(NodeId node, uint64_t owner) {
  if (const Reference description = Find(KeyOf(node, owner))) Drop(*description);
}

void LockTable::DropHandle(NodeId node, backends::FileHandle handle) {
  for (const Reference& description : OfNode(node)) {
    if (description->handle == handle) Drop(*description);
  }
}

void LockTable::Reset() {
  std::vector<Reference> all;
  {
    os::MutexLock lock(mutex_);
    epoch_.fetch_add(1, std::memory_order_acq_rel);
    for (const auto& [key, description] : descriptions_) all.push_back(description);
  }
  for (const Reference& description : all) Drop(*description);
}

size_t LockTable::owners() const {
  os::MutexLock lock(mutex_);
  return descriptions_.size();
}

}  // namespace fsd::passthrough
