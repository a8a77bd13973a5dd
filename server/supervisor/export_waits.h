// ExportWaits: calls that wait for an export to become what they ask for.
//
// At most one an export. Each ends once: the export has come there, the time is over, the caller is
// gone, or somebody ends it. For the loop's thread.
#ifndef FSD_SERVER_SUPERVISOR_EXPORT_WAITS_H_
#define FSD_SERVER_SUPERVISOR_EXPORT_WAITS_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/supervisor/cancellation.h"
#include "server/supervisor/event_loop.h"
#include "server/supervisor/export_registry.h"

namespace fsd::supervisor {

class ExportWaits {
 public:
  struct Wait {
    std::function<bool(const Export&)> is_over;
    std::optional<absl::Duration> timeout;       // none: without end
    absl::Status timed_out;                      // the result when it is over
    bool is_drain = false;                       // for EndDrain
    std::shared_ptr<Cancellation> cancellation;  // null: none
    // OK: it is over. CANCELLED: the caller is gone. Never called from within Begin or OnChanged,
    // nor while the export calls anybody, and so may change the export, and remove it.
    std::function<void(absl::Status)> done;
  };

  // Both outlive it.
  ExportWaits(EventLoop& loop, const ExportRegistry& exports) : loop_(loop), exports_(exports) {}
  ~ExportWaits();
  ExportWaits(const ExportWaits&) = delete;
  ExportWaits& operator=(const ExportWaits&) = delete;

  // The export is there and has no wait.
  void Begin(const std::string& id, Wait wait);
  // To be told of each change of an export.
  void OnChanged(const std::string& id);
  bool IsDrain(const std::string& id) const;
  // Ends the export's wait with `status`, at once, if it is for a drain. False if there is none.
  bool EndDrain(const std::string& id, const absl::Status& status);
  // Ends all, with `status`.
  void EndAll(const absl::Status& status);

 private:
  struct Entry {
    Wait wait;
    uint64_t number = 0;  // tells it from a later one of the same export
    TimerId deadline = kNoTimer;
    TimerId look = kNoTimer;
  };

  void Look(const std::string& id);
  void End(const std::string& id, const absl::Status& status);

  EventLoop& loop_;
  const ExportRegistry& exports_;
  std::map<std::string, Entry> entries_;
  uint64_t begun_ = 0;
};

}  // namespace fsd::supervisor

#endif  // FSD_SERVER_SUPERVISOR_EXPORT_WAITS_H_
