// HandleTable: the files and directories the guest has open, by FileHandle.
//
// A handle works only together with the node it was opened on, and keeps working after that node is
// forgotten. What is needed beside the slots is one lock per open directory: reading a directory is
// a seek and a read of the one position the fd has.
//
// Any thread.
#ifndef FSD_BACKENDS_PASSTHROUGH_HANDLE_TABLE_H_
#define FSD_BACKENDS_PASSTHROUGH_HANDLE_TABLE_H_

#include <cstdint>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "backends/filesystem.h"
#include "backends/passthrough/slot_table.h"
#include "server/errors/errno_or.h"
#include "server/os/mutex.h"
#include "server/os/unique_fd.h"

namespace fsd::passthrough {

using backends::FileHandle;
using backends::NodeId;

enum class HandleKind : uint8_t { kFile = 1, kDirectory = 2 };

// A handle's slot; no pointers, see slot_table.h.
struct HandleRecord {
  uint64_t node;
  int32_t fd;         // the record owns it
  int32_t direct_fd;  // the same with O_DIRECT, owned too; -1 if there is none
  HandleKind kind;
  bool append;  // opened with O_APPEND, which `fd` itself does not have
  bool writable;
  bool append_only;  // but of an append-only file it has, and `direct_fd` too
  uint8_t reserved[4];

  void Dispose();
};
static_assert(sizeof(HandleRecord) == 24);

class HandleTable {
 public:
  using Slots = SlotTable<HandleRecord>;
  using Pin = Slots::Pin;

  // `memory` is fresh, from Slots::Reserve().
  explicit HandleTable(SlotMemory memory) : slots_(std::move(memory)) {}
  ~HandleTable() { Reset(); }

  // See SlotTable::epoch().
  uint32_t epoch() const { return slots_.epoch(); }

  struct Opened {
    NodeId node{};
    HandleKind kind = HandleKind::kFile;
    bool append = false;
    bool writable = false;
    bool append_only = false;
  };
  // `direct_fd`: HandleRecord's; may be invalid. ENFILE if the table is full.
  ErrnoOr<FileHandle> Insert(os::UniqueFd fd, const Opened& opened, uint32_t epoch,
                             os::UniqueFd direct_fd = {});

  // EBADF if `handle` is stale, was never given, or is another node's.
  ErrnoOr<Pin> Acquire(NodeId node, FileHandle handle);

  // The lock to hold while reading the directory that `pin` holds; null if it has been released.
  std::shared_ptr<os::Mutex> DirectoryLock(const Pin& pin);

  // Ends the handle; it is closed when its last pin goes.
  void Release(const Pin& pin);

  // Releases all.
  void Reset();

  uint64_t size() const { return slots_.live(); }

 private:
  Slots slots_;
  os::Mutex mutex_;
  absl::flat_hash_map<uint64_t, std::shared_ptr<os::Mutex>> directory_locks_
      ABSL_GUARDED_BY(mutex_);
};

}  // namespace fsd::passthrough

#endif  // FSD_BACKENDS_PASSTHROUGH_HANDLE_TABLE_H_
