// OpenFileCache: what a guest that opens nothing (zero-message open) reads and writes through.
//
// One descriptor per node, opened at the first operation and kept until the node is forgotten, the
// session ends, or `capacity` others were used since. A file that is being used when it leaves the
// cache is closed by its last user. Finding what is there allocates nothing.
//
// Any thread.
#ifndef FSD_BACKENDS_PASSTHROUGH_OPEN_FILE_CACHE_H_
#define FSD_BACKENDS_PASSTHROUGH_OPEN_FILE_CACHE_H_

#include <cstddef>
#include <list>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "backends/filesystem.h"
#include "server/os/mutex.h"
#include "server/os/unique_fd.h"

namespace fsd::passthrough {

class OpenFileCache {
 public:
  struct File {
    os::UniqueFd fd;
    bool writable = false;
    os::Mutex position;  // held while a directory is read: a seek and a read of one position
  };
  using Reference = std::shared_ptr<File>;

  // `capacity` is at least 1.
  explicit OpenFileCache(size_t capacity) : capacity_(capacity) {}

  // Null if the node is not there, or not `writable` as asked.
  Reference Find(backends::NodeId node, bool writable);
  // Keeps `fd` for the node, in place of what was kept. The caller must Drop() it again if the node
  // was forgotten meanwhile.
  Reference Insert(backends::NodeId node, os::UniqueFd fd, bool writable);
  void Drop(backends::NodeId node);
  void Clear();

  size_t size() const;

 private:
  struct Item {
    backends::NodeId node;
    Reference file;
  };
  using Items = std::list<Item>;

  const size_t capacity_;
  mutable os::Mutex mutex_;
  Items items_ ABSL_GUARDED_BY(mutex_);  // the most recently used first
  absl::flat_hash_map<backends::NodeId, Items::iterator> index_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace fsd::passthrough

#endif  // FSD_BACKENDS_PASSTHROUGH_OPEN_FILE_CACHE_H_
