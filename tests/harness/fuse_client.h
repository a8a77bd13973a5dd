// FuseClient: a guest's FUSE driver without a guest. Typed requests over a FrontEnd's queue.
//
// Each call places one request in guest memory, waits for its reply and checks that the used length
// is the reply's own. One thread.
#ifndef FSD_TESTS_HARNESS_FUSE_CLIENT_H_
#define FSD_TESTS_HARNESS_FUSE_CLIENT_H_

#include <linux/fuse.h>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "server/errors/check.h"
#include "tests/harness/front_end.h"

namespace fsd::harness {

// A reply: the errno (positive, 0 for success) and what follows the header.
struct FuseReply {
  int error = 0;
  std::vector<std::byte> body;

  // The body's beginning as a T. Aborts the test if the body is shorter.
  template <typename T>
  T As() const;
};

// One side of a copy.
struct FileRange {
  uint64_t node = 0;
  uint64_t handle = 0;
  uint64_t offset = 0;
};

class FuseClient {
 public:
  // `queue`: 1 for the first request queue.
  explicit FuseClient(FrontEnd& front_end, size_t queue = 1)
      : front_end_(front_end), queue_(queue) {}

  void set_caller(uint32_t uid, uint32_t gid, uint32_t pid) {
    uid_ = uid;
    gid_ = gid;
    pid_ = pid;
  }

  // Sends `arguments` (all that follows the header) and waits for a reply with at most `room` bytes
  // behind its header. A Status other than OK means that the back-end broke the protocol or is
  // gone.
  absl::StatusOr<FuseReply> Call(uint32_t opcode, uint64_t node,
                                 std::span<const std::byte> arguments, size_t room);
  // For requests without a reply (FORGET): waits until the chain is used.
  absl::Status CallWithoutReply(uint32_t opcode, uint64_t node,
                                std::span<const std::byte> arguments);

  // A request in flight, for those that keep many.
  struct Submitted {
    uint16_t head = 0;
    uint64_t unique = 0;
    uint64_t reply_address = 0;  // the header, then `room` bytes
  };
  // Sends without waiting (and without kicking: see FrontEnd::Kick). RESOURCE_EXHAUSTED if the
  // queue or the arena is full.
  absl::StatusOr<Submitted> Submit(uint32_t opcode, uint64_t node,
                                   std::span<const std::byte> arguments, size_t room);
  // The reply of a chain that was used with `written` bytes.
  absl::StatusOr<FuseReply> ReplyOf(const Submitted& submitted, uint32_t written);

  // --- typed ---
  // As a guest of the newest protocol that the server knows.
  absl::StatusOr<fuse_init_out> Init(uint64_t flags = FUSE_INIT_EXT | FUSE_MAX_PAGES |
                                                      FUSE_BIG_WRITES | FUSE_DO_READDIRPLUS);
  absl::StatusOr<FuseReply> Destroy();
  absl::StatusOr<FuseReply> Lookup(uint64_t parent, std::string_view name);
  absl::Status Forget(uint64_t node, uint64_t lookups);
  absl::StatusOr<FuseReply> GetAttributes(uint64_t node);
  absl::StatusOr<FuseReply> Create(uint64_t parent, std::string_view name, uint32_t mode,
                                   uint32_t flags);
  absl::StatusOr<FuseReply> Open(uint64_t node, uint32_t flags);
  absl::StatusOr<FuseReply> Read(uint64_t node, uint64_t handle, uint64_t offset, uint32_t size);
  absl::StatusOr<FuseReply> Write(uint64_t node, uint64_t handle, uint64_t offset,
                                  std::string_view data);
  absl::StatusOr<FuseReply> Release(uint64_t node, uint64_t handle);
  absl::StatusOr<FuseReply> Fsync(uint64_t node, uint64_t handle);
  absl::StatusOr<FuseReply> Unlink(uint64_t parent, std::string_view name);
  absl::StatusOr<FuseReply> MakeDirectory(uint64_t parent, std::string_view name, uint32_t mode);
  absl::StatusOr<FuseReply> OpenDirectory(uint64_t node);
  absl::StatusOr<FuseReply> ReadDirectoryPlus(uint64_t node, uint64_t handle, uint64_t offset,
                                              uint32_t size);
  absl::StatusOr<FuseReply> Statistics();
  absl::StatusOr<FuseReply> SyncFilesystem(uint64_t node);
  absl::StatusOr<FuseReply> Statx(uint64_t node);
  absl::StatusOr<FuseReply> CreateTemporary(uint64_t parent, uint32_t mode, uint32_t flags);
  absl::StatusOr<FuseReply> Flush(uint64_t node, uint64_t handle, uint64_t owner);
  // COPY_FILE_RANGE_64.
  absl::StatusOr<FuseReply> CopyRange(const FileRange& from, const FileRange& to, uint64_t length);
  absl::StatusOr<FuseReply> Ioctl(uint64_t node, uint64_t handle, uint32_t command,
                                  std::span<const std::byte> input, uint32_t output_bytes);
  // In the form that Init agreed on.
  absl::StatusOr<FuseReply> SetXattr(uint64_t node, std::string_view name, std::string_view value,
                                     uint32_t flags = 0);
  // `size` 0: the length, as a fuse_getxattr_out.
  absl::StatusOr<FuseReply> GetXattr(uint64_t node, std::string_view name, uint32_t size);
  absl::StatusOr<FuseReply> ListXattr(uint64_t node, uint32_t size);
  absl::StatusOr<FuseReply> RemoveXattr(uint64_t node, std::string_view name);
  // `in.lk_flags` FUSE_LK_FLOCK for flock(2)'s. SetLock waits for the reply; to wait for a lock
  // beside other requests, Submit FUSE_SETLKW.
  absl::StatusOr<FuseReply> GetLock(uint64_t node, const fuse_lk_in& in);
  absl::StatusOr<FuseReply> SetLock(uint64_t node, const fuse_lk_in& in, bool wait = false);

 private:
  FrontEnd& front_end_;
  const size_t queue_;
  uint64_t next_unique_ = 2;
  uint64_t agreed_flags_ = 0;
  uint32_t uid_ = 0;
  uint32_t gid_ = 0;
  uint32_t pid_ = 1;
};

// A struct's bytes followed by NUL-terminated names: the arguments of most requests.
std::vector<std::byte> Arguments(std::span<const std::byte> body,
                                 std::initializer_list<std::string_view> names = {});

template <typename T>
T FuseReply::As() const {
  T value{};
  FSD_CHECK(body.size() >= sizeof value);
  __builtin_memcpy(&value, body.data(), sizeof value);
  return value;
}

}  // namespace fsd::harness

#endif  // FSD_TESTS_HARNESS_FUSE_CLIENT_H_
