// WatchHub: the streams of WatchExports, fed by the supervisor's observer.
//
// Never waits for a watcher: one that does not read stays where it is in the log, and is sent away
// when what it has not read yet is forgotten there. So all watchers together cost one log, and each
// a message on its way and what is left of its snapshot.
//
// Any thread.
#ifndef FSD_SERVER_CONTROL_WATCH_HUB_H_
#define FSD_SERVER_CONTROL_WATCH_HUB_H_

#include <cstddef>
#include <memory>
#include <set>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "grpcpp/support/server_callback.h"
#include "proto/fsd/v1/export_service.pb.h"
#include "server/control/change_log.h"
#include "server/supervisor/export_view.h"

namespace fsd::control {

class WatchHub : public std::enable_shared_from_this<WatchHub> {
 public:
  struct Limits {
    ChangeLog::Limits log;
    size_t watchers = 128;
  };

  static std::shared_ptr<WatchHub> Create(const Limits& limits);
  WatchHub(const WatchHub&) = delete;
  WatchHub& operator=(const WatchHub&) = delete;
  ~WatchHub();

  // From the supervisor's observer, in its order.
  void Update(const supervisor::ExportView& view);
  // All exports that there are, once; watchers wait for it.
  void Start(const std::vector<supervisor::ExportView>& views);
  // Ends every stream, now and later, with UNAVAILABLE.
  void Close();

  // `request` has been validated, but for its filter and token.
  grpc::ServerWriteReactor<v1::WatchExportsResponse>* Watch(const v1::WatchExportsRequest& request);

 private:
  class Stream;

  explicit WatchHub(const Limits& limits) : limits_(limits), log_(limits.log) {}
  grpc::Status Open(const v1::WatchExportsRequest& request, const std::shared_ptr<Stream>& stream);
  void AdvanceAll();

  const Limits limits_;
  absl::Mutex mutex_;
  ChangeLog log_ ABSL_GUARDED_BY(mutex_);
  bool started_ ABSL_GUARDED_BY(mutex_) = false;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  std::set<std::shared_ptr<Stream>> streams_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace fsd::control

#endif  // FSD_SERVER_CONTROL_WATCH_HUB_H_
