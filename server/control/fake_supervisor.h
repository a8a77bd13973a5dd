// FakeSupervisor: exports in a map, without sockets or workers, for tests of the API.
//
// Answers on the caller's thread, at once; while held, not before Release. Thread-safe.
#ifndef FSD_SERVER_CONTROL_FAKE_SUPERVISOR_H_
#define FSD_SERVER_CONTROL_FAKE_SUPERVISOR_H_

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "server/supervisor/supervisor.h"

namespace fsd::control {

class FakeSupervisor final : public supervisor::Supervisor {
 public:
  void Run() override {}
  void Shutdown() override {}
  void CreateExport(internal::ExportSpec spec, std::string request_id, bool validate_only,
                    supervisor::Callback<supervisor::ExportView> done) override;
  void GetExport(std::string id, supervisor::Callback<supervisor::ExportView> done) override;
  void ListExports(supervisor::Callback<std::vector<supervisor::ExportView>> done) override;
  void DeleteExport(std::string id, bool force, supervisor::StatusCallback done) override;
  std::string CgroupDirectory() const override { return "/sys/fs/cgroup/fake"; }
  void SetHeartbeat(absl::Duration, std::function<void()>) override {}
  void SetObserver(std::function<void(const supervisor::ExportView&)> observer) override;

  // Puts an export into a state, telling the observer.
  void SetState(const std::string& id, supervisor::ExportState state);
  // From now on answers wait; WaitForHeld blocks until `count` do.
  void Hold();
  void WaitForHeld(size_t count);
  void Release();
  // Forgets the waiting answers without giving them.
  void DropHeld();

  std::string last_request_id() const;

 private:
  void Answer(std::function<void()> answer);
  void Tell(const supervisor::ExportView& view);

  mutable absl::Mutex mutex_;
  std::map<std::string, supervisor::ExportView> exports_ ABSL_GUARDED_BY(mutex_);
  std::function<void(const supervisor::ExportView&)> observer_ ABSL_GUARDED_BY(mutex_);
  bool holding_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::function<void()>> held_ ABSL_GUARDED_BY(mutex_);
  std::string last_request_id_ ABSL_GUARDED_BY(mutex_);
  int64_t clock_nanos_ ABSL_GUARDED_BY(mutex_) = 1'700'000'000'000'000'000;
};

}  // namespace fsd::control

#endif  // FSD_SERVER_CONTROL_FAKE_SUPERVISOR_H_
