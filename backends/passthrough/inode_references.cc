#include "backends/passthrough/inode_references.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <thread>

#include "backends/passthrough/safe_open.h"
#include "server/errors/status_macros.h"

namespace fsd::passthrough {
namespace {

// How often to try for room while inodes are being used, and to wait for removals of names.
constexpr int kAttempts = 4;
constexpr int kSpins = 100;
// How long to wait for room by FORGETs of inodes without a name. They travel on a queue of their
// own, which may be behind what the guest asks for next.
constexpr std::chrono::milliseconds kForgetPoll{1};
constexpr int kForgetPolls = 250;
// How long to wait for the end of a lease: longer than the host's kernel does by default (sysctl
// fs.lease-break-time, 45 s).
constexpr std::chrono::milliseconds kLeasePoll{10};
constexpr int kLeasePolls = 6000;

std::atomic_ref<int32_t> FdOf(InodeRecord& record) { return std::atomic_ref(record.fd); }

}  // namespace

struct InodeReferences::Victim {
  Pin pin;
  IssuedHandle issued{};
  os::UniqueFd fd;  // once demoted; closed at the end
};

ErrnoOr<InodeReferences::Handles> InodeReferences::Handles::Create(
    std::unique_ptr<HandleBroker> broker, int proc_self_fd, os::UniqueFd root_mount,
    uint32_t slots) {
  const size_t bytes = (size_t{slots} + 1) * sizeof(IssuedHandle);
  FSD_ASSIGN_OR_RETURN_ERRNO(os::UniqueFd file, os::CreateMemoryFile("fsd-inode-handles", bytes));
  FSD_ASSIGN_OR_RETURN_ERRNO(os::MappedMemory mapping,
                             os::MappedMemory::MapShared(file.get(), 0, bytes));
  FSD_ASSIGN_OR_RETURN_ERRNO(ClockHand candidates, ClockHand::Create(slots + 1));
  return Handles{.broker = std::move(broker),
                 .proc_self_fd = proc_self_fd,
                 .root_mount = std::move(root_mount),
                 .memory = {std::move(file), std::move(mapping)},
                 .candidates = std::move(candidates)};
}

InodeReferences::InodeReferences(Slots& slots, LockOf lock_of, uint64_t max_fds,
                                 std::optional<Handles> handles)
    : slots_(slots),
      lock_of_(std::move(lock_of)),
      max_fds_(max_fds),
      handles_(std::move(handles)) {}

void InodeReferences::PublishedRoot(const InodeRecord& root) {
  if (handles_) mounts_.Add(root.key.mount, std::move(handles_->root_mount));
}

InodeReferences::Share InodeReferences::TryTakeShare() {
  const uint64_t before = fds_.fetch_add(1, std::memory_order_relaxed);
  if (before >= max_fds_ / 2 && !near_budget_.load()) near_budget_.store(true);
  if (before < max_fds_) return Share(this);
  fds_.fetch_sub(1, std::memory_order_relaxed);
  return {};
}

ErrnoOr<InodeReferences::Share> InodeReferences::TakeShare() {
  int polls = 0;
  while (true) {
    if (Share share = TryTakeShare()) return share;
    if (MakeRoom()) continue;
    if (nameless_.load(std::memory_order_relaxed) != 0 && polls++ < kForgetPolls) {
      std::this_thread::sleep_for(kForgetPoll);
      continue;
    }
    Refuse();
    return Errno(ENFILE);
  }
}

void InodeReferences::Refuse() {
  refused_.fetch_add(1, std::memory_order_relaxed);
  if (!spent_.exchange(true, std::memory_order_relaxed)) when_refused_();
}

bool InodeReferences::MakeRoom() {
  if (!handles_) return false;
  const uint64_t before = fds();
  near_budget_.store(true);
  os::MutexLock lock(batch_);
  // Waiting for the lock, one has waited for somebody who made room.
  if (fds() < std::min(before, max_fds_)) return true;
  // A batch may have had nothing but inodes that cannot be demoted, which are then no candidates
  // any more, or that were just being used.
  int in_use = 0;
  while (in_use < kAttempts && handles_->candidates.size() != 0) {
    const uint64_t candidates = handles_->candidates.size();
    if (DemoteBatch() > 0) return true;
    if (handles_->candidates.size() >= candidates) ++in_use;
  }
  return false;
}

bool InodeReferences::BeginUnguarded() {
  if (near_budget_.load()) return false;
  unguarded_.fetch_add(1);
  // Either this sees that demotion has come near, or that sees the count.
  if (!near_budget_.load()) return true;
  EndUnguarded();
  return false;
}

size_t InodeReferences::DemoteBatch() {
  // They began before near_budget_ was set, and so are about to end.
  for (int spins = 0; unguarded_.load() != 0; ++spins) {
    if (spins == kSpins) return 0;
    std::this_thread::yield();
  }
  std::array<Victim, HandleBroker::kMaxBatch> room;
  // Of a small budget, not all at once.
  const size_t most = std::clamp<uint64_t>(max_fds_ / 8, 1, room.size());
  const std::span<Victim> victims =
      std::span(room).first(ChooseVictims(std::span(room).first(most)));
  FindHandles(victims);
  size_t demoted = 0;
  for (Victim& victim : victims) {
    if (victim.pin && Demote(victim)) ++demoted;
  }
  return demoted;
}

size_t InodeReferences::ChooseVictims(std::span<Victim> victims) {
  ClockHand& candidates = handles_->candidates;
  size_t chosen = 0;
  // The first time round takes the slots' marks of use away.
  const uint64_t most_steps = 2 * candidates.size() + 1;
  for (uint64_t step = 0; step < most_steps && chosen < victims.size(); ++step) {
    const std::optional<uint32_t> index = candidates.Next();
    if (!index) break;
    victims[chosen].pin = slots_.AcquireIdle(*index);
    if (victims[chosen].pin) ++chosen;
  }
  return chosen;
}

void InodeReferences::FindHandles(std::span<Victim> victims) {
  std::array<int, HandleBroker::kMaxBatch> fds;
  std::array<IssuedHandle, HandleBroker::kMaxBatch> issued{};
  std::array<Victim*, HandleBroker::kMaxBatch> asking;
  size_t count = 0;
  for (Victim& victim : victims) {
    victim.issued = Issued(victim.pin.index());  // written by who holds batch_ only
    if (victim.issued.handle.size != 0) continue;
    asking[count] = &victim;
    fds[count++] = victim.pin->fd;
  }
  const bool answered =
      count == 0 ||
      handles_->broker->Issue(std::span(fds).first(count), std::span(issued).first(count)).ok();
  for (size_t i = 0; i < count; ++i) {
    if (answered && issued[i].handle.size != 0) {
      asking[i]->issued = issued[i];
      continue;
    }
    // What has no handle never gets one.
    if (answered) handles_->candidates.Remove(asking[i]->pin.index());
    asking[i]->pin = {};
  }
}

bool InodeReferences::ReferenceMount(const InodeRecord& record) {
  if (mounts_.Add(record.key.mount)) return true;
  ErrnoOr<os::UniqueFd> fd = record.type == S_IFDIR
                                 ? OpenOnMount(handles_->proc_self_fd, record.fd, record.type)
                                 : OpenAnythingOn(record.key.mount);
  if (!fd.ok()) return false;
  mounts_.Add(record.key.mount, *std::move(fd));
  return true;
}

ErrnoOr<os::UniqueFd> InodeReferences::OpenAnythingOn(uint64_t mount) {
  ErrnoOr<os::UniqueFd> file = Errno(ENXIO);
  // The hand may begin anew on its way, so only twice as many are all.
  for (uint64_t left = 2 * handles_->candidates.size(); left != 0; --left) {
    const std::optional<uint32_t> index = handles_->candidates.Next();
    if (!index) break;
    const Pin pin = slots_.AcquireAt(*index);
    if (!pin || pin->key.mount != mount || !IsOpen(*pin)) continue;
    if (pin->type != S_IFDIR && file.ok()) continue;
    ErrnoOr<os::UniqueFd> fd = OpenOnMount(handles_->proc_self_fd, pin->fd, pin->type);
    if (!fd.ok()) continue;
    if (pin->type == S_IFDIR) return fd;
    // Only if there is no directory: the host keeps the blocks of an open file that is deleted.
    file = std::move(fd);
  }
  return file;
}

bool InodeReferences::Demote(Victim& victim) {
  InodeRecord& record = *victim.pin;
  const uint32_t index = victim.pin.index();
  if (!ReferenceMount(record)) return false;
  {
    os::MutexLock lock(lock_of_(record.key));
    Issued(index) = victim.issued;
    if (slots_.TryExclude(victim.pin)) {
      // Within, so that whoever takes the last name away either did before or finds it demoted.
      const ErrnoOr<uint32_t> names = CachedLinkCount(record.fd);
      if (names.ok() && *names != 0) {
        victim.fd.reset(FdOf(record).exchange(-1, std::memory_order_acq_rel));
        demoted_.fetch_add(1, std::memory_order_relaxed);
        fds_.fetch_sub(1, std::memory_order_relaxed);
      } else {
        // It may have none, so it stays an fd.
        nameless_.fetch_add(1, std::memory_order_relaxed);
      }
      handles_->candidates.Remove(index);
      slots_.Readmit(victim.pin);
    }
  }
  if (victim.fd.valid()) return true;
  mounts_.Release(record.key.mount);
  return false;
}

ErrnoOr<os::UniqueFd> InodeReferences::OpenHandle(const Pin& pin) {
  const std::optional<int> mount_fd = mounts_.Add(pin->key.mount);
  // Only if somebody else has just opened it.
  if (!mount_fd) return Errno(ESTALE);
  const IssuedHandle& issued = Issued(pin.index());
  ErrnoOr<os::UniqueFd> fd = handles_->broker->Open(*mount_fd, issued);
  if (!fd.ok() && fd.error() == Errno(EMFILE) && MakeRoom()) {
    fd = handles_->broker->Open(*mount_fd, issued);
  }
  mounts_.Release(pin->key.mount);
  if (!fd.ok()) return fd;
  FSD_ASSIGN_OR_RETURN_ERRNO(const Attributes attributes, StatFd(fd->get()));
  if (KeyOf(attributes) != pin->key || !SameInode(*pin, attributes)) return Errno(ESTALE);
  return fd;
}

ErrnoOr<void> InodeReferences::Open(const Pin& pin, Budget budget) {
  if (IsOpen(*pin)) return {};
  Share share;
  if (budget == Budget::kKept) {
    FSD_ASSIGN_OR_RETURN_ERRNO(share, TakeShare());
  } else {
    fds_.fetch_add(1, std::memory_order_relaxed);
    share = Share(this);
  }
  ErrnoOr<os::UniqueFd> fd = OpenHandle(pin);
  if (IsOpen(*pin)) return {};
  if (!fd.ok()) return fd.error();
  {
    // Of those that opened it at the same time, the first.
    os::MutexLock lock(lock_of_(pin->key));
    if (IsOpen(*pin)) return {};
    FdOf(*pin).store(fd->release(), std::memory_order_release);
  }
  share.Keep();
  FoundRoom();
  demoted_.fetch_sub(1, std::memory_order_relaxed);
  mounts_.Release(pin->key.mount);
  handles_->candidates.Add(pin.index());
  return {};
}

IssuedHandle InodeReferences::FormerHandle(const Pin& pin) {
  if (!handles_) return {};
  os::MutexLock lock(lock_of_(pin->key));
  return Issued(pin.index());
}

ErrnoOr<int> InodeReferences::AddMount(uint64_t mount) {
  if (const std::optional<int> fd = mounts_.Add(mount)) return *fd;
  os::MutexLock lock(batch_);
  FSD_ASSIGN_OR_RETURN_ERRNO(os::UniqueFd fd, OpenAnythingOn(mount));
  mounts_.Add(mount, std::move(fd));
  // Of this one and whoever was as quick, the first.
  const std::optional<int> kept = mounts_.Add(mount);
  mounts_.Release(mount);
  return *kept;
}

ErrnoOr<os::UniqueFd> InodeReferences::OpenForIo(const Pin& pin, int flags) {
  const IssuedHandle issued = FormerHandle(pin);
  if (issued.handle.size == 0 || pin->type != S_IFREG) return Errno(EACCES);
  FSD_ASSIGN_OR_RETURN_ERRNO(const int mount_fd, AddMount(pin->key.mount));
  ErrnoOr<os::UniqueFd> fd = handles_->broker->OpenForIo(mount_fd, issued, flags);
  for (int polls = 0; !fd.ok() && fd.error() == Errno(EWOULDBLOCK) && polls < kLeasePolls;
       ++polls) {
    std::this_thread::sleep_for(kLeasePoll);
    fd = handles_->broker->OpenForIo(mount_fd, issued, flags);
  }
  mounts_.Release(pin->key.mount);
  if (!fd.ok()) return fd;
  FSD_ASSIGN_OR_RETURN_ERRNO(const Attributes attributes, StatFd(fd->get()));
  if (KeyOf(attributes) != pin->key || !SameInode(*pin, attributes)) return Errno(ESTALE);
  return fd;
}

ErrnoOr<void> InodeReferences::Link(const Pin& pin, int directory, const ComponentName& name,
                                    Errno refused) {
  if (FormerHandle(pin).handle.size == 0) return refused;
  return handles_->broker->Link(pin->fd, directory, name);
}

void InodeReferences::Dispose(uint32_t index, InodeRecord& record) {
  if (IsOpen(record)) {
    fds_.fetch_sub(1, std::memory_order_relaxed);
    // Of those that were candidates once, only nameless ones have a handle.
    if (handles_ && !handles_->candidates.Remove(index) && Issued(index).handle.size != 0) {
      nameless_.fetch_sub(1, std::memory_order_relaxed);
    }
  } else {
    demoted_.fetch_sub(1, std::memory_order_relaxed);
    mounts_.Release(record.key.mount);
  }
  if (handles_) Issued(index).handle.size = 0;
  record.Dispose();
}

}  // namespace fsd::passthrough
