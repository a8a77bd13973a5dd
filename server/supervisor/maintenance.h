// Maintenance: the calls that take an export out of service and bring it back.
//
// Each call has an Operation while it waits, so that others which would change the export are
// turned away. For the loop's thread.
#ifndef FSD_SERVER_SUPERVISOR_MAINTENANCE_H_
#define FSD_SERVER_SUPERVISOR_MAINTENANCE_H_

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/os/unique_fd.h"
#include "server/supervisor/cancellation.h"
#include "server/supervisor/config.h"
#include "server/supervisor/event_loop.h"
#include "server/supervisor/export.h"
#include "server/supervisor/export_registry.h"
#include "server/supervisor/export_store.h"
#include "server/supervisor/export_waits.h"
#include "server/supervisor/operation.h"
#include "server/supervisor/timing.h"

namespace fsd::supervisor {

// How long a caller waits for a front-end to leave.
struct DrainWait {
  std::optional<absl::Duration> timeout;       // none: as long as the caller is there
  std::shared_ptr<Cancellation> cancellation;  // null: the caller stays
};

class Maintenance {
 public:
  using Done = std::function<void(absl::StatusOr<ExportView>)>;

  // All outlive it.
  struct Surroundings {
    EventLoop& loop;
    const Config& config;
    const Timing& timing;
    ExportStore& store;
    ExportRegistry& exports;
    std::map<std::string, Operation>& operations;
    ExportWaits& waits;
  };
  explicit Maintenance(const Surroundings& surroundings) : surroundings_(surroundings) {}

  // The export has no operation, and is not being removed.

  // Without `wait`, answers when it is on disk that the export drains, and its worker knows. With
  // it, when the front-end has left besides; otherwise the export is as it was.
  void Drain(Export& drained, const std::optional<DrainWait>& wait, Done done);
  void Disconnect(Export& disconnected, Done done);
  void RestartWorker(Export& restarted, bool force, Done done);
  // Answers as soon as whoever connects is served as `updated` says.
  void AwaitUpdate(Export& updated, Done done);
  // Answers when that is on disk and the worker takes connections. Ends a drain that is waited for,
  // of which the export may have the operation.
  void Resume(Export& resumed, Done done);

  // Drains, without a word of it on disk. `drained`: OK, or why not, and the export is as it was.
  // The caller has the operation.
  void DrainForRemoval(Export& removed, const DrainWait& wait,
                       std::function<void(absl::Status)> drained);
  // Whether there was a drain to end.
  bool EndDrain(const std::string& id);
  // Answers all that wait.
  void Shutdown();

 private:
  absl::Status Record(Export& drained, bool draining);
  // Answers as soon as the worker `knows`, so that whoever connects afterwards finds it so.
  void AwaitWorker(Export& changed, bool (Export::*knows)() const, Done done);
  void BeginDrain(Export& drained, const DrainWait& wait, std::function<void(absl::Status)> then);
  void FinishDrain(const std::string& id, absl::Status status);
  void OnNotDisconnected(const std::string& id);
  void Revive(Export& failed, Done done);
  void OnSource(const std::string& id, absl::StatusOr<os::UniqueFd> source);
  void BeginRestart(const std::string& id, Done done);
  void Finish(const std::string& id, const absl::Status& status);

  const Surroundings surroundings_;
};

}  // namespace fsd::supervisor

#endif  // FSD_SERVER_SUPERVISOR_MAINTENANCE_H_
