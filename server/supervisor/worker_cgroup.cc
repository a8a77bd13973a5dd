#include "server/supervisor/worker_cgroup.h"

#include <fcntl.h>

#include <cstdint>
#include <initializer_list>
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

// The names of those of one controller that `counts`.
template <typename Counts>
std::string NamesOf(CgroupController controller, const Counts& counts) {
  std::string names;
  for (const Limit& limit : kLimits) {
    if (limit.controller != controller || !counts(limit)) continue;
    absl::StrAppend(&names, names.empty() ? "" : ", ", Absl(limit.name));
  }
  return names;
}

// Of those that are set; empty if none is.
std::string NamesOfSet(const Limits& limits, CgroupController controller) {
  return NamesOf(controller, [&](const Limit& limit) { return (limits.*limit.value)() != 0; });
}

std::string NumberOrMax(uint64_t value) { return value == 0 ? "max" : absl::StrCat(value); }

absl::Status Write(int cgroup, const std::string& file, const std::string& text) {
  const auto written = WriteCgroupFile(cgroup, file, text);
  if (written.ok()) return absl::OkStatus();
  return ErrnoStatus(written.error(), absl::StrCat("write ", text, " to ", file));
}

// All of it but memory.max.
absl::Status PrepareMemory(int cgroup) {
  FSD_RETURN_IF_ERROR(Write(cgroup, "memory.oom.group", "1"));
  // A kernel without swap does not have it.
  const auto no_swap = WriteCgroupFile(cgroup, "memory.swap.max", "0");
  if (!no_swap.ok() && no_swap.error() != Errno(ENOENT)) {
    return ErrnoStatus(no_swap.error(), "write 0 to memory.swap.max");
  }
  return absl::OkStatus();
}

absl::Status LimitMemory(int cgroup, uint64_t bytes) {
  FSD_RETURN_IF_ERROR(PrepareMemory(cgroup));
  return Write(cgroup, "memory.max", absl::StrCat(bytes));
}

absl::StatusOr<os::UniqueFd> OpenMemoryMax(int cgroup) {
  os::UniqueFd file(::openat(cgroup, "memory.max", O_WRONLY | O_TRUNC | O_CLOEXEC | O_NOFOLLOW));
  if (!file.valid()) return ErrnoStatus(Errno::Last(), "open memory.max");
  return file;
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

void Enforce(std::initializer_list<CgroupController> controllers, const CgroupSubtree& subtree,
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

// A file that is not there, as its controller is not, limits nothing.
absl::Status WriteIfThere(int cgroup, const std::string& file, const std::string& text) {
  const auto written = WriteCgroupFile(cgroup, file, text);
  if (written.ok() || written.error() == Errno(ENOENT)) return absl::OkStatus();
  return ErrnoStatus(written.error(), absl::StrCat("write ", text, " to ", file));
}

absl::Status LiftIo(int cgroup) {
  const auto lines = ReadCgroupFile(cgroup, "io.max");
  if (!lines.ok()) {
    return lines.error() == Errno(ENOENT) ? absl::OkStatus()
                                          : ErrnoStatus(lines.error(), "read io.max");
  }
  for (const auto& line : absl::StrSplit(*lines, '\n', absl::SkipEmpty())) {
    const std::string device(line.substr(0, line.find(' ')));
    FSD_RETURN_IF_ERROR(Write(cgroup, "io.max", device + " rbps=max wbps=max riops=max wiops=max"));
  }
  return absl::OkStatus();
}

// All of it but memory.max.
absl::Status LiftRestOfMemory(int cgroup) {
  FSD_RETURN_IF_ERROR(WriteIfThere(cgroup, "memory.swap.max", "max"));
  return WriteIfThere(cgroup, "memory.oom.group", "0");
}

// What one controller has enforced until now.
absl::Status Lift(CgroupController controller, int cgroup) {
  switch (controller) {
    case CgroupController::kMemory:
      FSD_RETURN_IF_ERROR(WriteIfThere(cgroup, "memory.max", "max"));
      return LiftRestOfMemory(cgroup);
    case CgroupController::kPids:
      return WriteIfThere(cgroup, "pids.max", "max");
    case CgroupController::kCpu:
      return WriteIfThere(cgroup, "cpu.max", "max");
    case CgroupController::kIo:
      return LiftIo(cgroup);
  }
  return absl::InternalError("no such controller");
}

// A cgroup that could not be removed yet, as somebody in it is still ending, has the limits of the
// worker before.
void LiftLimits(int cgroup) {
  for (const CgroupController controller : kCgroupControllers) (void)Lift(controller, cgroup);
}

constexpr char kNoSubtree[] = "the server has no cgroup to divide; see cgroup in its configuration";

// Every limit that is set but those that need no cgroup.
void ReportAll(const ExportSpec& spec, const std::string& why, std::string& unenforced) {
  for (const CgroupController controller : kCgroupControllers) {
    Report(NamesOfSet(spec.limits(), controller), why, unenforced);
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

}  // namespace

WorkerCgroup MakeWorkerCgroup(CgroupSubtree* subtree, const ExportSpec& spec) {
  WorkerCgroup cgroup;
  std::string why_none = kNoSubtree;
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
    ReportAll(spec, why_none, cgroup.unenforced);
    return cgroup;
  }
  Enforce({CgroupController::kMemory, CgroupController::kPids}, *subtree, spec, -1, "", cgroup);
  return cgroup;
}

void ThrottleWorker(CgroupSubtree* subtree, const ExportSpec& spec, int source,
                    WorkerCgroup& cgroup, const std::string& sysfs) {
  if (!cgroup.directory.valid()) return;
  Enforce({CgroupController::kCpu, CgroupController::kIo}, *subtree, spec, source, sysfs, cgroup);
}

namespace {

// Lifting too goes to `write`, so that it comes after what was handed to that before.
absl::Status RelimitMemory(const CgroupSubtree& subtree, int cgroup, uint64_t bytes,
                           const std::function<void(os::UniqueFd, std::string)>& write) {
  const std::string& why_not = subtree.WhyNot(CgroupController::kMemory);
  if (!why_not.empty()) {
    return bytes == 0 ? absl::OkStatus() : absl::FailedPreconditionError(why_not);
  }
  FSD_RETURN_IF_ERROR(bytes == 0 ? LiftRestOfMemory(cgroup) : PrepareMemory(cgroup));
  FSD_ASSIGN_OR_RETURN(os::UniqueFd file, OpenMemoryMax(cgroup));
  write(std::move(file), NumberOrMax(bytes));
  return absl::OkStatus();
}

void ReportOld(CgroupController controller, const absl::Status& lifted, std::string& unenforced) {
  if (lifted.ok()) return;
  Report(NamesOf(controller, [](const Limit&) { return true; }),
         absl::StrCat("what was set before still holds: ", lifted.message()), unenforced);
}

}  // namespace

std::string RelimitWorker(const CgroupSubtree* subtree, const ExportSpec& spec, pid_t pid,
                          int source,
                          const std::function<void(os::UniqueFd, std::string)>& write_memory,
                          const std::string& sysfs) {
  WorkerCgroup cgroup;
  if (subtree == nullptr) {
    ReportAll(spec, kNoSubtree, cgroup.unenforced);
    return cgroup.unenforced;
  }
  auto directory = subtree->Find(spec.id(), pid);
  if (!directory.ok()) {
    const absl::Status status =
        ErrnoStatus(directory.error(),
                    absl::StrCat("find the worker's cgroup in ", subtree->directory(),
                                 ", outside of which an earlier server may have started it"));
    ReportAll(spec, std::string(status.message()), cgroup.unenforced);
    return cgroup.unenforced;
  }
  cgroup.directory = *std::move(directory);
  const int directory_fd = cgroup.directory.get();
  const uint64_t memory = spec.limits().memory_bytes();
  const absl::Status limited = RelimitMemory(*subtree, directory_fd, memory, write_memory);
  if (memory == 0) {
    ReportOld(CgroupController::kMemory, limited, cgroup.unenforced);
  } else if (!limited.ok()) {
    Report("memory_bytes", std::string(limited.message()), cgroup.unenforced);
  }
  for (const CgroupController controller :
       {CgroupController::kPids, CgroupController::kCpu, CgroupController::kIo}) {
    if (!NamesOfSet(spec.limits(), controller).empty()) {
      // Those of another disk, if the source has moved.
      if (controller == CgroupController::kIo) (void)Lift(controller, directory_fd);
      Enforce({controller}, *subtree, spec, source, sysfs, cgroup);
    } else {
      ReportOld(controller, Lift(controller, directory_fd), cgroup.unenforced);
    }
  }
  return cgroup.unenforced;
}

}  // namespace fsd::supervisor
