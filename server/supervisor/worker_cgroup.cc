#include "server/supervisor/worker_cgroup.h"

#include <fcntl.h>

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "server/errors/status_macros.h"
#include "server/supervisor/block_device.h"
#include "server/supervisor/cgroup_file.h"
#include "server/supervisor/device_wall.h"
#include "server/telemetry/log.h"

namespace fsd::supervisor {
namespace {

using internal::ExportSpec;
using Limits = internal::ExportSpec::Limits;

constexpr uint64_t kMicrosPerSecond = 1'000'000;

struct Limit {
  std::string_view name;
  CgroupController controller;
  uint64_t (Limits::*value)() const;
};

constexpr Limit kLimits[] = {
    {"memory_bytes", CgroupController::kMemory, &Limits::memory_bytes},
    {"threads", CgroupController::kPids, &Limits::threads},
    {"cpu_microseconds_per_second", CgroupController::kCpu, &Limits::cpu_microseconds_per_second},
    {"io_read_bytes_per_second", CgroupController::kIo, &Limits::io_read_bytes_per_second},
    {"io_write_bytes_per_second", CgroupController::kIo, &Limits::io_write_bytes_per_second},
    {"io_read_operations_per_second", CgroupController::kIo,
     &Limits::io_read_operations_per_second},
    {"io_write_operations_per_second", CgroupController::kIo,
     &Limits::io_write_operations_per_second},
};

// The names of those that are set, of one controller; empty if none is.
std::string NamesOfSet(const Limits& limits, CgroupController controller) {
  std::string names;
  for (const Limit& limit : kLimits) {
    if (limit.controller != controller || (limits.*limit.value)() == 0) continue;
    absl::StrAppend(&names, names.empty() ? "" : ", ", Absl(limit.name));
  }
  return names;
}

std::string NumberOrMax(uint64_t value) { return value == 0 ? "max" : absl::StrCat(value); }

absl::Status Write(int cgroup, const std::string& file, const std::string& text) {
  const auto written = WriteCgroupFile(cgroup, file, text);
  if (written.ok()) return absl::OkStatus();
  return ErrnoStatus(written.error(), absl::StrCat("write ", text, " to ", file));
}

absl::Status LimitMemory(int cgroup, uint64_t bytes) {
  FSD_RETURN_IF_ERROR(Write(cgroup, "memory.oom.group", "1"));
  // A kernel without swap does not have it.
  const auto no_swap = WriteCgroupFile(cgroup, "memory.swap.max", "0");
  if (!no_swap.ok() && no_swap.error() != Errno(ENOENT)) {
    return ErrnoStatus(no_swap.error(), "write 0 to memory.swap.max");
  }
  return Write(cgroup, "memory.max", absl::StrCat(bytes));
}

absl::Status LimitCpu(int cgroup, uint64_t micros_per_second) {
  // A tenth of a second is the kernel's own period; a quota of less than 1 ms is refused.
  constexpr uint64_t kMinQuota = 1000;
  const bool is_small = micros_per_second / 10 < kMinQuota;
  return Write(cgroup, "cpu.max",
               is_small ? absl::StrCat(micros_per_second, " ", kMicrosPerSecond)
                        : absl::StrCat(micros_per_second / 10, " ", kMicrosPerSecond / 10));
}

absl::Status LimitIo(int cgroup, const Limits& limits, int source, const std::string& sysfs) {
  FSD_ASSIGN_OR_RETURN(const std::string device, DeviceOf(source));
  FSD_ASSIGN_OR_RETURN(const std::string disk, WholeDiskOf(device, sysfs));
  return Write(cgroup, "io.max",
               absl::StrCat(disk, " rbps=", NumberOrMax(limits.io_read_bytes_per_second()),
                            " wbps=", NumberOrMax(limits.io_write_bytes_per_second()),
                            " riops=", NumberOrMax(limits.io_read_operations_per_second()),
                            " wiops=", NumberOrMax(limits.io_write_operations_per_second())));
}

// What one controller is to enforce.
absl::Status Apply(CgroupController controller, int cgroup, const Limits& limits, int source,
                   const std::string& sysfs) {
  switch (controller) {
    case CgroupController::kMemory:
      return LimitMemory(cgroup, limits.memory_bytes());
    case CgroupController::kPids:
      return Write(cgroup, "pids.max", absl::StrCat(limits.threads()));
    case CgroupController::kCpu:
      return LimitCpu(cgroup, limits.cpu_microseconds_per_second());
    case CgroupController::kIo:
      return LimitIo(cgroup, limits, source, sysfs);
  }
  return absl::InternalError("no such controller");
}

void Report(std::string_view names, std::string_view why, std::string& unenforced) {
  if (names.empty()) return;
  absl::StrAppend(&unenforced, unenforced.empty() ? "" : "; ", Absl(names), ": ", Absl(why));
}

void Enforce(std::span<const CgroupController> controllers, const CgroupSubtree& subtree,
             const ExportSpec& spec, int source, const std::string& sysfs, WorkerCgroup& cgroup) {
  for (const CgroupController controller : controllers) {
    const std::string names = NamesOfSet(spec.limits(), controller);
    if (names.empty()) continue;
    absl::Status status;
    if (const std::string why = subtree.WhyNot(controller); !why.empty()) {
      status = absl::FailedPreconditionError(why);
    } else {
      status = Apply(controller, cgroup.directory.get(), spec.limits(), source, sysfs);
    }
    if (!status.ok()) Report(names, std::string(status.message()), cgroup.unenforced);
  }
}

// A cgroup that could not be removed yet, as somebody in it is still ending, has the limits of the
// worker before. Those of controllers that are not there cannot be lifted, nor need be.
void LiftLimits(int cgroup) {
  for (const char* file : {"memory.max", "memory.swap.max", "pids.max", "cpu.max"}) {
    (void)WriteCgroupFile(cgroup, file, "max");
  }
  (void)WriteCgroupFile(cgroup, "memory.oom.group", "0");
  const auto lines = ReadCgroupFile(cgroup, "io.max");
  if (!lines.ok()) return;
  for (const auto& line : absl::StrSplit(*lines, '\n', absl::SkipEmpty())) {
    const std::string device(line.substr(0, line.find(' ')));
    (void)WriteCgroupFile(cgroup, "io.max", device + " rbps=max wbps=max riops=max wiops=max");
  }
}

// The export's cgroup and its cgroup.procs.
struct Place {
  os::UniqueFd directory;
  os::UniqueFd procs;
};

absl::StatusOr<Place> MakePlace(CgroupSubtree& subtree, const std::string& export_id) {
  auto directory = subtree.Make(export_id);
  if (!directory.ok()) {
    return ErrnoStatus(directory.error(),
                       absl::StrCat("make the worker's cgroup in ", subtree.directory()));
  }
  os::UniqueFd procs(::openat(directory->get(), "cgroup.procs", O_WRONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!procs.valid()) return ErrnoStatus(Errno::Last(), "open its cgroup.procs");
  return Place{.directory = *std::move(directory), .procs = std::move(procs)};
}

bool BuildDeviceWall(int cgroup, const std::string& export_id) {
  const ErrnoOr<void> built = ForbidDevices(cgroup);
  if (built.ok()) return true;
  FSD_LOG(
      kWarning, export_id, "%s",
      std::string(ErrnoStatus(built.error(),
                              "keeping its worker from opening devices (bpf(2), for its cgroup)")
                      .message()));
  return false;
}

constexpr std::string_view kNoSubtree =
    "the server has no cgroup to divide; see cgroup in its configuration";

std::string AllUnenforced(const ExportSpec& spec, std::string_view why) {
  std::string unenforced;
  for (const CgroupController controller : kCgroupControllers) {
    Report(NamesOfSet(spec.limits(), controller), why, unenforced);
  }
  return unenforced;
}

}  // namespace

WorkerCgroup MakeWorkerCgroup(CgroupSubtree* subtree, const ExportSpec& spec) {
  WorkerCgroup cgroup;
  std::string why_none(kNoSubtree);
  if (subtree != nullptr) {
    absl::StatusOr<Place> place = MakePlace(*subtree, spec.id());
    if (place.ok()) {
      cgroup.directory = std::move(place->directory);
      cgroup.procs = std::move(place->procs);
      LiftLimits(cgroup.directory.get());
      cgroup.has_device_wall = BuildDeviceWall(cgroup.directory.get(), spec.id());
    } else {
      why_none = std::string(place.status().message());
      FSD_LOG(kWarning, spec.id(), "its worker has no cgroup: %s", why_none);
    }
  }
  if (!cgroup.directory.valid()) {
    cgroup.unenforced = AllUnenforced(spec, why_none);
    return cgroup;
  }
  constexpr std::array kAtStart = {CgroupController::kMemory, CgroupController::kPids};
  Enforce(kAtStart, *subtree, spec, -1, "", cgroup);
  return cgroup;
}

void ThrottleWorker(CgroupSubtree* subtree, const ExportSpec& spec, int source,
                    WorkerCgroup& cgroup, const std::string& sysfs) {
  if (!cgroup.directory.valid()) return;
  constexpr std::array kOnceRunning = {CgroupController::kCpu, CgroupController::kIo};
  Enforce(kOnceRunning, *subtree, spec, source, sysfs, cgroup);
}

std::string UnenforcedLimits(const CgroupSubtree* subtree, const ExportSpec& spec, pid_t pid,
                             int source, const std::string& sysfs) {
  if (subtree == nullptr) return AllUnenforced(spec, kNoSubtree);
  auto directory = subtree->Find(spec.id(), pid);
  if (!directory.ok()) {
    return AllUnenforced(spec, "its worker was started outside of the server's present cgroup");
  }
  WorkerCgroup cgroup;
  cgroup.directory = *std::move(directory);
  Enforce(kCgroupControllers, *subtree, spec, source, sysfs, cgroup);
  return cgroup.unenforced;
}

}  // namespace fsd::supervisor
