// CgroupSubtree: the cgroup (v2) that is the supervisor's to divide, and its parts.
//
//   DIRECTORY/supervisor    the supervisor itself: a cgroup that has controllers for its children
//                           has no processes of its own
//   DIRECTORY/export-<id>   one export's worker
//
// Belongs to one supervisor at a time. For the loop's thread.
// Source: the kernel's admin-guide/cgroup-v2.rst.
#ifndef FSD_SERVER_SUPERVISOR_CGROUP_SUBTREE_H_
#define FSD_SERVER_SUPERVISOR_CGROUP_SUBTREE_H_

#include <sys/types.h>

#include <array>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "server/errors/errno_or.h"
#include "server/os/unique_fd.h"

namespace fsd::supervisor {

enum class CgroupController { kMemory, kPids, kCpu, kIo };
inline constexpr std::array kCgroupControllers = {CgroupController::kMemory,
                                                  CgroupController::kPids, CgroupController::kCpu,
                                                  CgroupController::kIo};

class CgroupSubtree {
 public:
  // Moves this process into the leaf, gives the children each controller that there is, and removes
  // parts of an earlier supervisor's that nobody lives in. Fails if `directory` is not that of a
  // cgroup (v2), may not be changed, or is another supervisor's.
  static absl::StatusOr<std::unique_ptr<CgroupSubtree>> Take(const std::string& directory);
  CgroupSubtree(const CgroupSubtree&) = delete;
  CgroupSubtree& operator=(const CgroupSubtree&) = delete;

  const std::string& directory() const { return path_; }
  // Why the children do not have it; empty if they do.
  const std::string& WhyNot(CgroupController controller) const {
    return why_not_[static_cast<size_t>(controller)];
  }

  // The directory of the export's part. Whoever is left in it is killed; it is a new one, without
  // limits, if it can be.
  ErrnoOr<os::UniqueFd> Make(const std::string& export_id);
  // The directory of the export's part as it is, if process `pid` lives in it. ESRCH: it does not.
  ErrnoOr<os::UniqueFd> Find(const std::string& export_id, pid_t pid) const;
  // Once the export's worker has ended. Whoever is left in it is killed; while there is somebody,
  // it stays, and goes at a later Make or Remove.
  void Remove(const std::string& export_id);

 private:
  CgroupSubtree(std::string path, os::UniqueFd directory)
      : path_(std::move(path)), directory_(std::move(directory)) {}

  ErrnoOr<void> MoveIn();
  void EnableControllers(std::string_view available);
  void RemoveLeftovers();
  void RetryRemovals();

  const std::string path_;
  const os::UniqueFd directory_;  // holds the lock
  std::array<std::string, kCgroupControllers.size()> why_not_;
  std::set<std::string> lingering_;  // names of parts to be removed
};

}  // namespace fsd::supervisor

#endif  // FSD_SERVER_SUPERVISOR_CGROUP_SUBTREE_H_
