#include "tests/bench/bare_context.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/errors/status_macros.h"
#include "server/os/cpu_relax.h"
#include "server/os/mapped_memory.h"
#include "server/os/memory_file.h"
#include "server/sandbox/landlock.h"
#include "server/sandbox/sandbox.h"
#include "tests/bench/tree.h"

namespace fsd::bench {
namespace {

constexpr size_t kPage = 4096;
constexpr size_t kBufferBytes = size_t{1} << 20;
constexpr int kPauses = 1000;  // between two looks at the child; tens of microseconds

int64_t Now(clockid_t clock) {
  timespec time{};
  ::clock_gettime(clock, &time);
  return time.tv_sec * int64_t{1'000'000'000} + time.tv_nsec;
}

absl::StatusOr<os::UniqueFd> Open(int directory, const std::string& name, int flags) {
  os::UniqueFd fd(::openat(directory, name.c_str(), flags | O_CLOEXEC));
  if (!fd.valid()) return ErrnoStatus(Errno::Last(), "open " + name);
  return fd;
}

// What the child tells.
struct Answer {
  bool done;
  uint64_t requests;
  int64_t cpu_ns;
};

void Repeat(size_t (*turn)(BareContext&), BareContext& context, int64_t duration_ns,
            Answer& answer) {
  // As a data plane is confined.
  if (!sandbox::ConfineToTree(context.root(), /*read_only=*/false).ok() ||
      !sandbox::InstallSeccompFilter(sandbox::Process::kDataPlane).ok()) {
    return;
  }
  for (int64_t end = Now(CLOCK_MONOTONIC) + duration_ns / 10; Now(CLOCK_MONOTONIC) < end;) {
    if (turn(context) == 0) return;
  }
  const int64_t end = Now(CLOCK_MONOTONIC) + duration_ns;
  const int64_t before = Now(CLOCK_PROCESS_CPUTIME_ID);
  do {
    for (int i = 0; i < 16; ++i) {  // so that reading the clock does not show
      const size_t requests = turn(context);
      if (requests == 0) return;
      answer.requests += requests;
    }
  } while (Now(CLOCK_MONOTONIC) < end);
  answer.cpu_ns = Now(CLOCK_PROCESS_CPUTIME_ID) - before;
  answer.done = true;
}

}  // namespace

BareContext::BareContext(harness::GuestArena arena) : arena_(std::move(arena)) {
  buffers_ = arena_.At(arena_.Allocate(kLanes * kBufferBytes, kPage));
  pieces_.reserve(kBufferBytes / kPage);
}

absl::StatusOr<BareContext> BareContext::Create(const std::string& directory) {
  FSD_ASSIGN_OR_RETURN(harness::GuestArena arena,
                       harness::GuestArena::Create((kLanes + 1) * kBufferBytes));
  BareContext context(std::move(arena));
  FSD_ASSIGN_OR_RETURN(context.root_, Open(AT_FDCWD, directory, O_PATH | O_DIRECTORY));
  const int root = context.root();
  FSD_ASSIGN_OR_RETURN(context.names_, Open(root, "names", O_PATH | O_DIRECTORY));
  FSD_ASSIGN_OR_RETURN(context.entries_, Open(root, "entries", O_RDONLY | O_DIRECTORY));
  FSD_ASSIGN_OR_RETURN(context.data_, Open(root, "data", O_RDONLY));
  FSD_ASSIGN_OR_RETURN(context.written_, Open(root, "written", O_RDWR));
  for (size_t part = 0; part < kWrittenParts; ++part) {
    FSD_ASSIGN_OR_RETURN(context.parts_[part], Open(root, PartName(part), O_RDWR));
  }
  for (size_t lane = 0; lane < kLanes; ++lane) {
    FSD_ASSIGN_OR_RETURN(os::UniqueFd file, Open(context.names(), FileOf(lane), O_PATH));
    std::string reopened = absl::StrCat("/proc/self/fd/", file.get());
    context.lanes_[lane] = {.file = std::move(file),
                            .name = FileOf(lane),
                            .reopened = std::move(reopened),
                            .absent = AbsentOf(lane),
                            .created = absl::StrCat("bare-", lane)};
    for (size_t other = 0; other < kOthers; ++other) {
      context.others_.push_back(OtherOf(lane, other));
    }
  }
  return context;
}

const char* BareContext::NextOther() { return others_[turn_++ % others_.size()].c_str(); }

BareContext::Transfer BareContext::NextTransfer(size_t bytes, bool random, size_t file_bytes) {
  const uint64_t lane = turn_ % kLanes;
  const uint64_t lane_turn = turn_++ / kLanes;
  std::byte* const buffer = buffers_ + lane * kBufferBytes;
  pieces_.clear();
  for (size_t done = 0; done < bytes; done += kPage) {
    pieces_.push_back({.iov_base = buffer + done, .iov_len = std::min(kPage, bytes - done)});
  }
  const uint64_t blocks = file_bytes / bytes;
  uint64_t block = 0;
  if (random) {
    random_ ^= random_ << 13;
    random_ ^= random_ >> 7;
    random_ ^= random_ << 17;
    block = random_ % blocks;
  } else {
    const uint64_t of_lane = blocks / kLanes;
    block = lane * of_lane + lane_turn % of_lane;
  }
  return {.pieces = pieces_, .offset = static_cast<off_t>(block * bytes), .lane = lane};
}

absl::StatusOr<double> MeasureBare(size_t (*turn)(BareContext&), const std::string& directory,
                                   std::chrono::nanoseconds duration) {
  FSD_ASSIGN_OR_RETURN(BareContext context, BareContext::Create(directory));
  ErrnoOr<os::UniqueFd> file = os::CreateMemoryFile("answer", kPage);
  if (!file.ok()) return ErrnoStatus(file.error(), "memfd_create");
  ErrnoOr<os::MappedMemory> shared = os::MappedMemory::MapShared(file->get(), 0, kPage);
  if (!shared.ok()) return ErrnoStatus(shared.error(), "mmap");
  auto& answer = *reinterpret_cast<Answer*>(shared->data());
  const pid_t child = ::fork();
  if (child < 0) return ErrnoStatus(Errno::Last(), "fork");
  if (child == 0) {
    std::thread([] { ::poll(nullptr, 0, -1); }).detach();
    Repeat(turn, context, duration.count(), answer);
    ::_exit(0);
  }
  // Both processors are busy, as they are when a front-end watches a back-end's rings: beside an
  // idle one the same calls take 2 to 10 % less.
  siginfo_t state{};
  while (::waitid(P_PID, static_cast<id_t>(child), &state, WEXITED | WNOHANG | WNOWAIT) == 0 &&
         state.si_pid == 0) {
    for (int i = 0; i < kPauses; ++i) os::CpuRelax();
  }
  int ended = 0;
  if (::waitpid(child, &ended, 0) != child || ended != 0 || !answer.done) {
    return absl::InternalError(absl::StrCat("the bare system calls failed: status ", ended));
  }
  return double(answer.cpu_ns) / double(answer.requests) / 1000;
}

}  // namespace fsd::bench
