// Prison: attempts to get out, made from inside a data plane, behind every wall of the jail of one
// of its modes or only some of them.
//
// A run forks as the launcher does, enters the jail on an export of the test's own, forks data
// planes as the worker does and confines each, with the worker's code wherever all walls stand;
// where some are left out it takes the same steps without those. What an attempt without walls
// reaches is the test's: the process that makes a Prison leaves the host's mount, net, ipc, uts and
// cgroup namespaces for new ones first, and plays the host from then on.
//
// Needs real root. One thread, no other in the process.
#ifndef FSD_TESTS_SECURITY_PRISON_H_
#define FSD_TESTS_SECURITY_PRISON_H_

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "server/sandbox/sandbox.h"

namespace fsd::security {

// Walls, to be combined.
using Walls = unsigned;
inline constexpr Walls kNoWalls = 0;
inline constexpr Walls kMounts = 1u << 0;  // the export is "/", its mount's flags; proc read-only
inline constexpr Walls kPids = 1u << 1;    // pid namespace
inline constexpr Walls kNamespaces = 1u << 2;     // net, ipc, uts, cgroup
inline constexpr Walls kCapabilities = 1u << 3;   // a data plane's, securebits, no_new_privs
inline constexpr Walls kClosedProcess = 1u << 4;  // no core file, not traceable
inline constexpr Walls kLandlock = 1u << 5;
inline constexpr Walls kSystemCalls = 1u << 6;
inline constexpr Walls kEveryWall = (1u << 7) - 1;  // of the mode NAMESPACE
// Every wall of the other modes; not to be combined, but with the next.
inline constexpr Walls kEveryWallOfChroot = 1u << 7;
inline constexpr Walls kEveryWallOfNone = 1u << 8;
// For who lives in a cgroup (Prison::PutInto): no device is opened. The worker is told.
inline constexpr Walls kDeviceWall = 1u << 9;

// For a table: every wall of each of the three modes.
inline constexpr Walls kEveryMode = kEveryWall | kEveryWallOfChroot | kEveryWallOfNone;

// All that a worker of one mode has, by the worker's own code.
constexpr bool IsWholeJail(Walls walls) {
  walls &= ~kDeviceWall;
  return walls == kEveryWall || walls == kEveryWallOfChroot || walls == kEveryWallOfNone;
}

// What the code of a data plane has at hand.
struct Inmate {
  int root = -1;           // the export's directory, O_PATH
  int proc_self_fd = -1;   // "self/fd" in a proc of its pid namespace
  int proc = -1;           // that proc's root, as ".." leads there
  pid_t keeper = -1;       // as its pid namespace knows it
  int handle_keeper = -1;  // the socket to it; behind all walls only
  int report = -1;         // where the outcome goes; for programs that it becomes
};

// One attempt; its outcome in a word. It may make any call, and need not return.
using Attempt = std::function<std::string(const Inmate&)>;

// "done", or the name of the errno.
std::string Outcome(long result);
// What the file says that open(2) has resulted in, or the name of the errno.
std::string Contents(int fd);

class Prison {
 public:
  Prison();
  ~Prison();
  Prison(const Prison&) = delete;
  Prison& operator=(const Prison&) = delete;

  // Paths of the host's. The export has "file" and "sub/secret", which says "inside"; outside,
  // beside it, there are "secret", which says "secret", and the empty directory "mountpoint". What
  // an attempt makes stays for the next.
  std::string export_path() const { return directory_ + "/export"; }
  std::string outside_path() const { return directory_ + "/outside"; }

  // An fd that an attempt may have for its own. A worker is given no such one.
  void LetIn(int fd) { let_in_.push_back(fd); }

  // Where runs behind kDeviceWall are to live: the open cgroup.procs of a cgroup that has the wall.
  void PutInto(int cgroup_procs) { cgroup_procs_ = cgroup_procs; }

  // The outcomes of the attempts, each made in a process of its own that is confined as `process`:
  // what it answered, or the signal that ended it, or "exit N". One run, one keeper.
  std::vector<std::string> Run(Walls standing, const std::vector<Attempt>& attempts,
                               sandbox::Process process = sandbox::Process::kDataPlane);
  std::string Run(Walls standing, const Attempt& attempt) {
    return Run(standing, std::vector<Attempt>{attempt})[0];
  }

 private:
  std::string directory_;
  std::vector<int> let_in_;
  int cgroup_procs_ = -1;
};

}  // namespace fsd::security

#endif  // FSD_TESTS_SECURITY_PRISON_H_
