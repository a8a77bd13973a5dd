#include "server/telemetry/export_counters.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "server/errors/status_macros.h"
#include "server/os/memory_file.h"

namespace fsd::telemetry {

bool HasFixedSize(int fd) {
  constexpr int kFixed = F_SEAL_SHRINK | F_SEAL_GROW;
  // Only memory files have any.
  const int seals = ::fcntl(fd, F_GET_SEALS);
  return seals >= 0 && (seals & kFixed) == kFixed;
}

bool IsCounterFile(int fd) {
  struct stat info;
  return HasFixedSize(fd) && ::fstat(fd, &info) == 0 &&
         info.st_size == static_cast<off_t>(sizeof(CounterFile));
}

bool HasCounterLayout(int fd) {
  uint64_t head[2] = {};
  return IsCounterFile(fd) &&
         ::pread(fd, head, sizeof head, offsetof(CounterFile, header)) ==
             static_cast<ssize_t>(sizeof head) &&
         head[0] == kCounterMagic && head[1] == kCounterVersion;
}

void QueueCounters::CountError(uint32_t opcode, int error) {
  const uint64_t key =
      uint64_t{opcode < kMaxCountedOpcodes ? opcode : 0} << 32 | static_cast<uint32_t>(error);
  const size_t first = (opcode * 31 + static_cast<uint32_t>(error)) % kErrorPlaces;
  for (size_t i = 0; i < kErrorPlaces; ++i) {
    ErrorCounter& place = tables_->errors[(first + i) % kErrorPlaces];
    const uint64_t held = place.opcode_and_errno.load(std::memory_order_relaxed);
    if (held != key && held != 0) continue;
    if (held == 0) place.opcode_and_errno.store(key, std::memory_order_relaxed);
    return Add(place.requests, 1);
  }
  Add(totals_->errors_beyond, 1);
}

ErrnoOr<os::UniqueFd> CreateCounterFile() {
  FSD_ASSIGN_OR_RETURN_ERRNO(os::UniqueFd file,
                             os::CreateMemoryFile("fsd-counters", sizeof(CounterFile)));
  const uint64_t head[] = {kCounterMagic, kCounterVersion};
  if (::pwrite(file.get(), head, sizeof head, offsetof(CounterFile, header)) !=
      static_cast<ssize_t>(sizeof head)) {
    return Errno::Last();
  }
  return file;
}

absl::StatusOr<ExportCounters> ExportCounters::Map(int fd, size_t queues) {
  if (!IsCounterFile(fd)) {
    return absl::FailedPreconditionError(absl::StrCat(
        "fd ", fd, " is not a counter file of ", sizeof(CounterFile), " bytes that cannot shrink"));
  }
  ErrnoOr<os::MappedMemory> memory = os::MappedMemory::MapShared(fd, 0, sizeof(CounterFile));
  if (!memory.ok()) return ErrnoStatus(memory.error(), "map the counter file");
  ExportCounters counters(*std::move(memory));
  const CounterHeader& header = counters.file()->header;
  if (header.magic.load() != kCounterMagic || header.version.load() != kCounterVersion) {
    return absl::FailedPreconditionError(
        absl::StrCat("the counter file has version ", header.version.load(), ", this worker ",
                     kCounterVersion, "; install fsd and fsd-worker together"));
  }
  for (size_t index = 0; index < std::min(queues, kMaxCountedQueues); ++index) {
    counters.queue(index).ForgetTaken();
  }
  return counters;
}

ErrnoOr<ExportCounters> ExportCounters::MakePrivate() {
  FSD_ASSIGN_OR_RETURN_ERRNO(os::MappedMemory memory,
                             os::MappedMemory::Anonymous(sizeof(CounterFile)));
  return ExportCounters(std::move(memory));
}

}  // namespace fsd::telemetry
