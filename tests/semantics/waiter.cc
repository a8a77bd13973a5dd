#include "tests/semantics/waiter.h"

#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <string>
#include <utility>

#include "tests/semantics/files.h"

namespace posix_check {
namespace {

constexpr unsigned kLimitSeconds = 20;
constexpr useconds_t kLookUs = 1000;
// A call that is answered by another process (FUSE) sleeps for a moment though it does not block.
constexpr int kLooksAsleep = 10;
constexpr int kMaxLooks = 5000;

// The letter of proc(5)'s stat; 0 without one.
char StateOf(pid_t pid) {
  const std::string text = ReadFile("/proc/" + std::to_string(pid) + "/stat");
  const size_t end_of_name = text.rfind(") ");
  return end_of_name == std::string::npos ? '\0' : text[end_of_name + 2];
}

}  // namespace

struct Waiter::Progress {
  std::atomic<bool> asking = false;
  std::atomic<bool> returned = false;

  static Progress* New() {
    void* memory =
        mmap(nullptr, sizeof(Progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) abort();
    return new (memory) Progress;
  }
};

Waiter::Waiter(std::function<int()> ask)
    : progress_(Progress::New()),
      peer_([this, ask = std::move(ask)](const std::function<void()>& pause) {
        alarm(kLimitSeconds);
        pause();
        progress_->asking = true;
        const int value = ask();
        progress_->returned = true;
        return value;
      }) {
  if (!peer_.AwaitPause()) return;
  peer_.Continue();
  AwaitSleep();
}

Waiter::~Waiter() { munmap(progress_, sizeof(Progress)); }

bool Waiter::returned() const { return progress_->returned; }

void Waiter::AwaitSleep() {
  int asleep = 0;
  for (int looks = 0; looks < kMaxLooks && asleep < kLooksAsleep && !returned(); ++looks) {
    // Before it asks, it may still sleep in its pause.
    const char state = progress_->asking ? StateOf(peer_.pid()) : 'R';
    if (state == '\0' || state == 'Z') return;
    asleep = state == 'S' || state == 'D' ? asleep + 1 : 0;
    usleep(kLookUs);
  }
}

void CheckWaits(Report& r, std::function<int()> ask, const std::function<int()>& release) {
  Waiter waiter(std::move(ask));
  r.True("it waits", !waiter.returned());
  r.Errno("release", release(), 0);
  r.Errno("granted then", waiter.Wait(), 0);
}

}  // namespace posix_check
