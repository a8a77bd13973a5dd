// The bare system calls' world: descriptors, buffers, and the names of the tree.
//
// They run in a process of their own behind the data plane's seccomp list, on buffers in a memfd
// as a guest's memory is, used in rotation; nothing else is between them and the kernel. A second
// thread sleeps there, for a server has one at least, and then the kernel counts the references to
// each descriptor it looks up.
#ifndef FSD_TESTS_BENCH_BARE_CONTEXT_H_
#define FSD_TESTS_BENCH_BARE_CONTEXT_H_

#include <sys/uio.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/os/unique_fd.h"
#include "tests/bench/tree.h"
#include "tests/harness/guest_arena.h"

namespace fsd::bench {

class BareContext {
 public:
  static absl::StatusOr<BareContext> Create(const std::string& directory);

  int root() const { return root_.get(); }
  int names() const { return names_.get(); }
  int entries() const { return entries_.get(); }
  int data() const { return data_.get(); }        // to read
  int written() const { return written_.get(); }  // to write
  int written_part(size_t index) const { return parts_[index].get(); }

  // As many as a back-end has in flight. What they do, they do in turn.
  static constexpr size_t kLanes = 16;
  size_t NextLane() { return turn_++ % kLanes; }
  // A lane's file in names/, its name there, and /proc/self/fd/N of it, by which a server re-opens.
  int file(size_t lane) const { return lanes_[lane].file.get(); }
  const char* name(size_t lane) const { return lanes_[lane].name.c_str(); }
  const char* reopened(size_t lane) const { return lanes_[lane].reopened.c_str(); }
  // Names of a lane's in names/ that are not there.
  const char* absent(size_t lane) const { return lanes_[lane].absent.c_str(); }
  const char* created(size_t lane) const { return lanes_[lane].created.c_str(); }

  // A READ's or WRITE's part of a large file and the buffer for it, as page-sized pieces that are
  // valid until the next.
  struct Transfer {
    std::span<const iovec> pieces;
    off_t offset;
    size_t lane;
  };
  // The next block of the file: at random, or as lanes with a buffer each take them in turn, each
  // in its own part of the file.
  Transfer NextTransfer(size_t bytes, bool random, size_t file_bytes);
  // The next of the names that LOOKUP unknown asks for.
  const char* NextOther();

 private:
  struct Lane {
    os::UniqueFd file;
    std::string name, reopened, absent, created;
  };

  explicit BareContext(harness::GuestArena arena);

  harness::GuestArena arena_;
  os::UniqueFd root_, names_, entries_, data_, written_;
  std::array<os::UniqueFd, kWrittenParts> parts_;
  std::array<Lane, kLanes> lanes_;
  std::byte* buffers_ = nullptr;
  std::vector<iovec> pieces_;
  std::vector<std::string> others_;
  uint64_t turn_ = 0;
  uint64_t random_ = 0x9e3779b97f4a7c15;
};

// The CPU time of one request's bare system calls, in microseconds: `turn` is repeated for
// `duration` in a child process. An error if a call fails.
absl::StatusOr<double> MeasureBare(size_t (*turn)(BareContext&), const std::string& directory,
                                   std::chrono::nanoseconds duration);

}  // namespace fsd::bench

#endif  // FSD_TESTS_BENCH_BARE_CONTEXT_H_
