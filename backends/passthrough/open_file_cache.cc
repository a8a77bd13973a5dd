#include "backends/passthrough/open_file_cache.h"

#include <utility>

namespace fsd::passthrough {

using backends::NodeId;

OpenFileCache::Reference OpenFileCache::Find(NodeId node, bool writable) {
  os::MutexLock lock(mutex_);
  const auto found = index_.find(node);
  if (found == index_.end()) return nullptr;
  const Reference& file = found->second->file;
  if (writable && !file->writable) return nullptr;
  items_.splice(items_.begin(), items_, found->second);
  return file;
}

OpenFileCache::Reference OpenFileCache::Insert(NodeId node, os::UniqueFd fd, bool writable) {
  auto file = std::make_shared<File>();
  file->fd = std::move(fd);
  file->writable = writable;
  Items gone;  // closed after the lock
  os::MutexLock lock(mutex_);
  const auto [entry, inserted] = index_.try_emplace(node);
  if (!inserted) gone.splice(gone.begin(), items_, entry->second);
  items_.push_front({.node = node, .file = file});
  entry->second = items_.begin();
  if (items_.size() > capacity_) {
    index_.erase(items_.back().node);
    gone.splice(gone.begin(), items_, std::prev(items_.end()));
  }
  return file;
}

void OpenFileCache::Drop(NodeId node) {
  Items gone;
  os::MutexLock lock(mutex_);
  const auto found = index_.find(node);
  if (found == index_.end()) return;
  gone.splice(gone.begin(), items_, found->second);
  index_.erase(found);
}

void OpenFileCache::Clear() {
  Items gone;
  os::MutexLock lock(mutex_);
  index_.clear();
  gone.swap(items_);
}

size_t OpenFileCache::size() const {
  os::MutexLock lock(mutex_);
  return items_.size();
}

}  // namespace fsd::passthrough
