// WorkerCgroup: the cgroup that a worker is to live in, with its export's limits.
//
//   memory_bytes                 memory.max; memory.swap.max 0, or the host's swap would be the
//                                rest of the guest's; memory.oom.group 1: a worker is whole or not
//                                there
//   threads                      pids.max
//   cpu_microseconds_per_second  cpu.max
//   io_…                         io.max, of the disk of the source's file system
//
// The device wall (device_wall.h) stands around it as well, if the kernel has it.
//
// Source: the kernel's admin-guide/cgroup-v2.rst. For the loop's thread.
#ifndef FSD_SERVER_SUPERVISOR_WORKER_CGROUP_H_
#define FSD_SERVER_SUPERVISOR_WORKER_CGROUP_H_

#include <sys/types.h>

#include <functional>
#include <string>

#include "proto/fsd/internal/export_spec.pb.h"
#include "server/os/unique_fd.h"
#include "server/supervisor/cgroup_subtree.h"

namespace fsd::supervisor {

struct WorkerCgroup {
  // Unset if there is no cgroup.
  os::UniqueFd directory;
  // Its cgroup.procs, open for writing.
  os::UniqueFd procs;
  // Who lives in it can open no device.
  bool has_device_wall = false;
  // Each of the export's limits that does not hold, and why; empty if all do. For people.
  std::string unenforced;
};

// Made, with the limits of memory and threads, and none of an earlier worker's. `subtree` may be
// null: there is none. Never fails: an export is served without the limits that this host cannot
// enforce, and says so.
WorkerCgroup MakeWorkerCgroup(CgroupSubtree* subtree, const internal::ExportSpec& spec);

// The limits of processor time and io, once the worker's program runs: the loop waits for that.
// `source`: the export's directory, borrowed. `sysfs`: as /sys/dev/block.
void ThrottleWorker(CgroupSubtree* subtree, const internal::ExportSpec& spec, int source,
                    WorkerCgroup& cgroup, const std::string& sysfs = "/sys/dev/block");

// Limits that have changed, or may have, of a worker that runs, process `pid`: those of `spec` hold
// at once, and no others.
// Results in those that do not, as WorkerCgroup::unenforced.
// The limit of memory, or "max", is handed to `write_memory` with memory.max: who writes it waits
// until memory has been given back.
std::string RelimitWorker(
    const CgroupSubtree* subtree, const internal::ExportSpec& spec, pid_t pid, int source,
    const std::function<void(os::UniqueFd file, std::string text)>& write_memory,
    const std::string& sysfs = "/sys/dev/block");

}  // namespace fsd::supervisor

#endif  // FSD_SERVER_SUPERVISOR_WORKER_CGROUP_H_
