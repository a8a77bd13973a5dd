// ExportRemoval: takes exports away: their worker, their sockets, their record.
//
// A removal has an Operation until it is done, which a worker that is blocked in the kernel can put
// off for ever: then the call is answered, and the removal goes on by itself. For the loop's
// thread.
#ifndef FSD_SERVER_SUPERVISOR_EXPORT_REMOVAL_H_
#define FSD_SERVER_SUPERVISOR_EXPORT_REMOVAL_H_

#include <functional>
#include <map>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/supervisor/event_loop.h"
#include "server/supervisor/export.h"
#include "server/supervisor/export_registry.h"
#include "server/supervisor/export_store.h"
#include "server/supervisor/export_view.h"
#include "server/supervisor/maintenance.h"
#include "server/supervisor/operation.h"
#include "server/supervisor/timing.h"

namespace fsd::supervisor {

struct Deletion {
  enum class Mode { kSafe, kDrain, kForce };
  Mode mode = Mode::kSafe;
  DrainWait wait;  // for kDrain
};

class ExportRemoval {
 public:
  // All outlive it.
  struct Surroundings {
    EventLoop& loop;
    const Timing& timing;
    ExportStore& store;
    ExportRegistry& exports;
    std::map<std::string, Operation>& operations;
    Maintenance& maintenance;
    std::function<void(const Export&)> changed;
    std::function<void(const ExportView&)> gone;  // the last view of one that is removed
  };
  explicit ExportRemoval(Surroundings surroundings) : surroundings_(std::move(surroundings)) {}

  // As Supervisor::DeleteExport. The export has no operation but, if it is to go by force, that of
  // a drain.
  void Delete(Export& removed, const Deletion& deletion, std::function<void(absl::Status)> done);
  // Stops what runs of it, then removes it and answers its operation, which is there.
  void Remove(Export& removed);

 private:
  void OnDrained(const std::string& id, const absl::Status& status);
  void Finish(const std::string& id);
  // Grants the removal `time` from now on.
  void Bound(const std::string& id, absl::Duration time);
  void OnStuck(const std::string& id);

  const Surroundings surroundings_;
};

}  // namespace fsd::supervisor

#endif  // FSD_SERVER_SUPERVISOR_EXPORT_REMOVAL_H_
