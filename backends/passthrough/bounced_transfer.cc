#include "backends/passthrough/bounced_transfer.h"

#include <errno.h>
#include <linux/magic.h>
#include <sys/vfs.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "backends/passthrough/scatter.h"
#include "server/os/mapped_memory.h"
#include "server/os/uncancelled.h"

namespace fsd::passthrough {
namespace {

// What one request can ask for.
constexpr size_t kBufferBytes = size_t{1} << 20;

// Null with errno set if there is no memory.
std::byte* BufferOfThread() {
  // A mapping: page-aligned, and without cost for threads that never bounce.
  thread_local os::MappedMemory buffer;
  if (buffer.data() == nullptr) {
    auto made = os::MappedMemory::Anonymous(kBufferBytes);
    if (!made.ok()) {
      errno = made.error().value();
      return nullptr;
    }
    buffer = *std::move(made);
  }
  return buffer.data();
}

}  // namespace

bool MayPin(int root) {
  struct statfs status {};
  if (::fstatfs(root, &status) != 0) return true;
  switch (static_cast<uint32_t>(status.f_type)) {
    case FUSE_SUPER_MAGIC:
    case V9FS_MAGIC:
    case CIFS_SUPER_MAGIC:
    case SMB2_SUPER_MAGIC:
    case CEPH_SUPER_MAGIC:
      return true;
    default:
      return false;
  }
}

ssize_t BouncedRead(int fd, const iovec* vectors, int count, off_t offset) {
  std::byte* const buffer = BufferOfThread();
  if (buffer == nullptr) return -1;
  const std::span<const iovec> destination(vectors, static_cast<size_t>(count));
  const iovec ours{.iov_base = buffer, .iov_len = std::min(BytesOf(destination), kBufferBytes)};
  const ssize_t moved = os::PReadV2(fd, &ours, 1, offset, 0);
  if (moved > 0) {
    Scatter({reinterpret_cast<const char*>(buffer), static_cast<size_t>(moved)}, destination);
  }
  return moved;
}

ssize_t BouncedWrite(int fd, const iovec* vectors, int count, off_t offset, int flags) {
  std::byte* const buffer = BufferOfThread();
  if (buffer == nullptr) return -1;
  const std::span<const iovec> source(vectors, static_cast<size_t>(count));
  const iovec ours{.iov_base = buffer,
                   .iov_len = Gather(source, {reinterpret_cast<char*>(buffer), kBufferBytes})};
  return os::PWriteV2(fd, &ours, 1, offset, flags);
}

}  // namespace fsd::passthrough
