// OwnHandleBroker: a broker for tests, which uses the test's own privilege (root's).
#ifndef FSD_BACKENDS_PASSTHROUGH_OWN_HANDLE_BROKER_H_
#define FSD_BACKENDS_PASSTHROUGH_OWN_HANDLE_BROKER_H_

#include <atomic>
#include <functional>
#include <span>

#include "backends/passthrough/handle_broker.h"

namespace fsd::passthrough {

// What a test sees of its broker, and tells it. Outlives it.
struct BrokerLog {
  std::atomic<int> issued{0};
  std::atomic<int> opened{0};
  std::atomic<int> linked{0};
  std::atomic<bool> without_handles{false};  // the file system gives none
  std::atomic<bool> broken{false};           // nobody answers
  std::atomic<int> opens_without_room{0};    // how many more end at the limit of descriptors
  std::atomic<int> opens_instead{-1};        // unless -1: what each handle is said to lead to
  std::function<void()> when_issuing;        // called, if set, before handles are issued
  // What has this handle is given another, as if it were an earlier inode of the same number.
  HostHandle of_another_generation{};
};

class OwnHandleBroker : public HandleBroker {
 public:
  explicit OwnHandleBroker(BrokerLog& log) : log_(log) {}

  ErrnoOr<void> Issue(std::span<const int> fds, std::span<IssuedHandle> handles) override;
  ErrnoOr<os::UniqueFd> Open(int mount_fd, const IssuedHandle& handle) override;
  ErrnoOr<os::UniqueFd> OpenForIo(int mount_fd, const IssuedHandle& handle, int flags) override;
  ErrnoOr<void> Link(int fd, int directory, const ComponentName& name) override;

 private:
  BrokerLog& log_;
};

}  // namespace fsd::passthrough

#endif  // FSD_BACKENDS_PASSTHROUGH_OWN_HANDLE_BROKER_H_
