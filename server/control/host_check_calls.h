// HostCheckCalls: looks at the host for whoever asks, on a thread of its own.
//
// One look at a time: callers that come during one share the next, so that each gets what was found
// after it asked. A look takes as long as the host takes, and nobody but its callers waits for it:
// neither the supervisor's loop nor the server's end.
//
// Any thread.
#ifndef FSD_SERVER_CONTROL_HOST_CHECK_CALLS_H_
#define FSD_SERVER_CONTROL_HOST_CHECK_CALLS_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "server/host/host_check.h"
#include "server/os/mutex.h"
#include "server/supervisor/cancellation.h"

namespace fsd::control {

class HostCheckCalls : public std::enable_shared_from_this<HostCheckCalls> {
 public:
  using Look =
      std::function<std::vector<host::HostCheck>(const std::vector<std::string>& export_sources)>;
  using Done = std::function<void(absl::StatusOr<std::vector<host::HostCheck>>)>;

  // `look` may be running when everything else is gone.
  static std::shared_ptr<HostCheckCalls> Create(Look look);

  // Does not wait. `done` is told once, on the look's thread, unless the call is cancelled before.
  // RESOURCE_EXHAUSTED, at once: there is no thread to be had.
  void Check(std::vector<std::string> export_sources, supervisor::Cancellation& cancellation,
             Done done);

 private:
  explicit HostCheckCalls(Look look) : look_(std::move(look)) {}

  void Forget(uint64_t number);
  // Looks until nobody waits.
  void Run();
  std::map<uint64_t, Done> TakeAnswered(uint64_t last);

  const Look look_;
  os::Mutex mutex_;
  bool running_ ABSL_GUARDED_BY(mutex_) = false;
  uint64_t last_number_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<uint64_t, Done> waiting_ ABSL_GUARDED_BY(mutex_);  // in the order in which they came
  std::vector<std::string> export_sources_ ABSL_GUARDED_BY(mutex_);  // of the last that came
};

}  // namespace fsd::control

#endif  // FSD_SERVER_CONTROL_HOST_CHECK_CALLS_H_
