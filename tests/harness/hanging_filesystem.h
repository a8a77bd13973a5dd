// HangingFilesystem: a FUSE file system of the tests' own, whose operations hang on command.
//
// Speaks the kernel's protocol over /dev/fuse, without a library. One directory with files in
// memory, made in advance; the kernel keeps no attributes or names, so that each LOOKUP and GETATTR
// arrives. Files can be read and written, not made or removed.
//
// Any thread may call anything. Needs real root, to mount.
#ifndef FSD_TESTS_HARNESS_HANGING_FILESYSTEM_H_
#define FSD_TESTS_HARNESS_HANGING_FILESYSTEM_H_

#include <linux/fuse.h>

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "server/os/unique_fd.h"

namespace fsd::harness {

class HangingFilesystem {
 public:
  // Mounts it on `directory`, which is there. `files`: name to contents.
  static absl::StatusOr<std::unique_ptr<HangingFilesystem>> Mount(
      const std::string& directory, const std::map<std::string, std::string>& files);
  // What hangs fails; then it is unmounted.
  ~HangingFilesystem();

  // From now on these requests (FUSE_LOOKUP, FUSE_GETATTR, FUSE_OPEN, FUSE_READ, FUSE_WRITE,
  // FUSE_FSYNC, FUSE_RELEASE, FUSE_READDIR, …) are not answered.
  void Hang(uint32_t opcode);
  // Answers what hangs, in the order of its arrival; nothing hangs from now on.
  void GoOn();
  // The same with an error (EIO) for what hangs.
  void Fail();
  // Waits until so many requests hang. False after a minute.
  [[nodiscard]] bool AwaitHanging(size_t count);
  size_t hanging();

  std::string contents(const std::string& name);
  // How many requests of this opcode have been answered.
  size_t answered(uint32_t opcode);

 private:
  // A message of the kernel's: its header and what follows.
  using Message = std::vector<std::byte>;

  HangingFilesystem(std::string directory, os::UniqueFd device,
                    const std::map<std::string, std::string>& files);
  void Serve();
  void GoOn(int error);
  // These with the mutex held.
  void Answer(const Message& message);
  void Reply(const fuse_in_header& header, int error, std::span<const std::byte> body = {});
  template <typename Body>
  void Reply(const fuse_in_header& header, const Body& body) {
    Reply(header, 0, std::as_bytes(std::span(&body, 1)));
  }
  void List(const fuse_in_header& header, const fuse_read_in& in);
  fuse_attr AttributesOf(uint64_t node) const;

  struct File {
    std::string name;
    std::string contents;
  };

  const std::string directory_;
  const os::UniqueFd device_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<File> files_;  // node 2 and on
  std::set<uint32_t> hung_opcodes_;
  std::vector<Message> hanging_;
  std::map<uint32_t, size_t> answered_;
  std::thread thread_;
};

}  // namespace fsd::harness

#endif  // FSD_TESTS_HARNESS_HANGING_FILESYSTEM_H_
