#include "server/worker/status_pacer.h"

#include <sys/epoll.h>

#include "absl/time/time.h"
#include "server/errors/status_macros.h"

namespace fsd::worker {

absl::StatusOr<std::unique_ptr<StatusPacer>> StatusPacer::Create(os::Epoll& epoll,
                                                                 std::function<void()> push) {
  ErrnoOr<os::TimerFd> timer = os::TimerFd::Create();
  if (!timer.ok()) return ErrnoStatus(timer.error(), "make a timer");
  std::unique_ptr<StatusPacer> made(new StatusPacer(epoll, *std::move(timer), std::move(push)));
  const ErrnoOr<void> watched =
      epoll.Add(made->timer_.fd(), EPOLLIN, [pacer = made.get()](uint32_t) {
        pacer->timer_.Drain();
        pacer->waiting_ = false;
        pacer->Push();
      });
  if (!watched.ok()) return ErrnoStatus(watched.error(), "watch a timer");
  return made;
}

StatusPacer::~StatusPacer() { epoll_.Remove(timer_.fd()); }

void StatusPacer::Push() {
  if (waiting_) return;
  if (limit_.Take(telemetry::RateLimit::Clock::now())) return push_();
  waiting_ = true;
  timer_.Set(absl::FromChrono(kInterval));
}

}  // namespace fsd::worker
