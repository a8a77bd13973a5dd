#include "server/supervisor/cgroup_subtree.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "server/errors/status_macros.h"
#include "server/supervisor/cgroup_file.h"
#include "server/supervisor/own_cgroup.h"

namespace fsd::supervisor {
namespace {

constexpr std::string_view kPartPrefix = "export-";
constexpr char kEnabledControllers[] = "cgroup.subtree_control";

std::string_view NameOf(CgroupController controller) {
  constexpr std::array<std::string_view, kCgroupControllers.size()> kNames = {"memory", "pids",
                                                                              "cpu", "io"};
  return kNames[static_cast<size_t>(controller)];
}

std::string PartName(const std::string& export_id) {
  return absl::StrCat(Absl(kPartPrefix), export_id);
}

// EBUSY: somebody lives in it. Not there is as good as removed.
ErrnoOr<void> RemoveCgroup(int directory, const std::string& name) {
  if (::unlinkat(directory, name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT) {
    return Errno::Last();
  }
  return {};
}

ErrnoOr<os::UniqueFd> OpenCgroup(int directory, const std::string& name) {
  os::UniqueFd found(
      ::openat(directory, name.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!found.valid()) return Errno::Last();
  return found;
}

ErrnoOr<os::UniqueFd> MakeCgroup(int directory, const std::string& name) {
  if (::mkdirat(directory, name.c_str(), 0755) != 0 && errno != EEXIST) return Errno::Last();
  return OpenCgroup(directory, name);
}

}  // namespace

absl::StatusOr<std::unique_ptr<CgroupSubtree>> CgroupSubtree::Take(const std::string& directory) {
  os::UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return ErrnoStatus(Errno::Last(), absl::StrCat("open ", directory));
  const auto available = ReadCgroupFile(fd.get(), "cgroup.controllers");
  if (!available.ok()) {
    return absl::FailedPreconditionError(
        absl::StrCat(directory, " is not the directory of a cgroup (v2)"));
  }
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("another supervisor has ", directory, "; give each one of its own"));
  }
  std::unique_ptr<CgroupSubtree> subtree(new CgroupSubtree(directory, std::move(fd)));
  if (const auto moved = subtree->MoveIn(); !moved.ok()) {
    return ErrnoStatus(moved.error(),
                       absl::StrCat("move into a cgroup ", kSupervisorLeaf, " of ", directory));
  }
  subtree->RemoveLeftovers();
  subtree->EnableControllers(*available);
  return subtree;
}

ErrnoOr<void> CgroupSubtree::MoveIn() {
  FSD_ASSIGN_OR_RETURN_ERRNO(const os::UniqueFd leaf,
                             MakeCgroup(directory_.get(), kSupervisorLeaf));
  return WriteCgroupFile(leaf.get(), "cgroup.procs", "0");
}

void CgroupSubtree::EnableControllers(std::string_view available) {
  const std::vector<std::string> names =
      absl::StrSplit(Absl(available), absl::ByAnyChar(" \n"), absl::SkipEmpty());
  std::string all;
  for (const CgroupController controller : kCgroupControllers) {
    if (std::find(names.begin(), names.end(), NameOf(controller)) == names.end()) {
      why_not_[static_cast<size_t>(controller)] =
          absl::StrCat(path_, " has no ", Absl(NameOf(controller)), " controller");
    } else {
      absl::StrAppend(&all, all.empty() ? "+" : " +", Absl(NameOf(controller)));
    }
  }
  if (all.empty() || WriteCgroupFile(directory_.get(), kEnabledControllers, all).ok()) return;
  // All or none, says the kernel; one that is not to be had shall not cost the others.
  for (const CgroupController controller : kCgroupControllers) {
    std::string& why_not = why_not_[static_cast<size_t>(controller)];
    if (!why_not.empty()) continue;
    const auto enabled = WriteCgroupFile(directory_.get(), kEnabledControllers,
                                         absl::StrCat("+", Absl(NameOf(controller))));
    if (enabled.ok()) continue;
    why_not = std::string(
        ErrnoStatus(enabled.error(),
                    absl::StrCat("enable the ", Absl(NameOf(controller)), " controller in ", path_))
            .message());
  }
}

void CgroupSubtree::RemoveLeftovers() {
  // A description of its own: the stream closes what it is given.
  const int fd = ::openat(directory_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(fd), ::closedir);
  if (stream == nullptr) return;
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(stream.get())) names.emplace_back(entry->d_name);
  for (const std::string& name : names) {
    if (name.starts_with(kPartPrefix)) (void)RemoveCgroup(directory_.get(), name);
  }
}

void CgroupSubtree::RetryRemovals() {
  std::erase_if(lingering_, [this](const std::string& name) {
    return RemoveCgroup(directory_.get(), name).ok();
  });
}

ErrnoOr<os::UniqueFd> CgroupSubtree::Make(const std::string& export_id) {
  const std::string name = PartName(export_id);
  lingering_.erase(name);
  RetryRemovals();
  // A worker that died may have left children, if it had no pid namespace. Kernels before 5.14
  // cannot do it.
  const std::string kill = name + "/cgroup.kill";
  (void)WriteCgroupFile(directory_.get(), kill, "1");
  (void)RemoveCgroup(directory_.get(), name);
  return MakeCgroup(directory_.get(), name);
}

ErrnoOr<os::UniqueFd> CgroupSubtree::Find(const std::string& export_id, pid_t pid) const {
  FSD_ASSIGN_OR_RETURN_ERRNO(os::UniqueFd part, OpenCgroup(directory_.get(), PartName(export_id)));
  FSD_ASSIGN_OR_RETURN_ERRNO(const std::string inhabitants,
                             ReadCgroupFile(part.get(), "cgroup.procs"));
  const std::vector<std::string> pids = absl::StrSplit(inhabitants, '\n');
  if (std::find(pids.begin(), pids.end(), absl::StrCat(pid)) == pids.end()) return Errno(ESRCH);
  return part;
}

void CgroupSubtree::Remove(const std::string& export_id) {
  // Its worker has ended, but what that left behind, if it had no pid namespace, may live.
  (void)WriteCgroupFile(directory_.get(), PartName(export_id) + "/cgroup.kill", "1");
  lingering_.insert(PartName(export_id));
  RetryRemovals();
}

}  // namespace fsd::supervisor
