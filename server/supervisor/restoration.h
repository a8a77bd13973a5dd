// Restoration: a supervisor's start, where it finds what the one before it has left.
//
// Each recorded export gets its worker back, if that runs, or a new one. A worker that no export is
// to have ends: one whose export has no record, and one whose export the configuration has become
// too narrow for, which fails with the reason, as what is forbidden is not to be served on. Nobody
// waits for anybody: each export goes its own way. For the loop's thread.
#ifndef FSD_SERVER_SUPERVISOR_RESTORATION_H_
#define FSD_SERVER_SUPERVISOR_RESTORATION_H_

#include <map>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "server/supervisor/cgroup_subtree.h"
#include "server/supervisor/config.h"
#include "server/supervisor/earlier_worker.h"
#include "server/supervisor/event_loop.h"
#include "server/supervisor/export.h"
#include "server/supervisor/export_registry.h"
#include "server/supervisor/leftover_worker.h"
#include "server/supervisor/timing.h"

namespace fsd::supervisor {

class Restoration {
 public:
  // All outlive it.
  struct Surroundings {
    EventLoop& loop;
    const Config& config;
    const Timing& timing;
    ExportRegistry& exports;  // as they were recorded
    CgroupSubtree* cgroups;   // null: none
  };
  explicit Restoration(const Surroundings& surroundings) : surroundings_(surroundings) {}
  Restoration(const Restoration&) = delete;
  Restoration& operator=(const Restoration&) = delete;

  // Once.
  void Begin();

 private:
  // Looks for the worker of export `id`, recorded as `uid` or, if that is empty, not at all. Who
  // listens without being known to be it is looked at again for `patience`.
  void Find(const std::string& id, const std::string& uid, absl::Duration patience);
  void OnFound(const std::string& id, Export* recorded, EarlierWorker worker);
  void OnUnknown(const std::string& id, Export* recorded, const absl::Status& who);
  void OnNobody(const std::string& id, Export* recorded);
  void End(const std::string& id, EarlierWorker worker);

  const Surroundings surroundings_;
  std::map<std::string, std::unique_ptr<LeftoverWorker>> leftovers_;  // by export id
};

}  // namespace fsd::supervisor

#endif  // FSD_SERVER_SUPERVISOR_RESTORATION_H_
