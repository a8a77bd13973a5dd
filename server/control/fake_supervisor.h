// FakeSupervisor: exports in a map, without sockets or workers, for tests of the API.
//
// Answers on the caller's thread, at once; while held, not before Release. Thread-safe.
#ifndef FSD_SERVER_CONTROL_FAKE_SUPERVISOR_H_
#define FSD_SERVER_CONTROL_FAKE_SUPERVISOR_H_

#include <functional>
#include <map>
#include <optional>
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
  // Nothing is counted and nothing in flight.
  void SampleExport(std::string id, supervisor::Callback<supervisor::ExportSample> done) override;
  void SampleExports(supervisor::Callback<std::vector<supervisor::ExportSample>> done) override;
  void ListInflightRequests(std::string id,
                            supervisor::Callback<supervisor::InflightRequests> done) override;
  void DeleteExport(supervisor::ExportTarget target, supervisor::Deletion deletion,
                    supervisor::StatusCallback done) override;
  void UpdateExport(std::string id, supervisor::SpecChange change, bool validate_only,
                    supervisor::Callback<supervisor::UpdatedExport> done) override;
  void DrainExport(supervisor::ExportTarget target, std::optional<supervisor::DrainWait> wait,
                   supervisor::Callback<supervisor::ExportView> done) override;
  void ResumeExport(supervisor::ExportTarget target,
                    supervisor::Callback<supervisor::ExportView> done) override;
  void DisconnectExport(supervisor::ExportTarget target,
                        supervisor::Callback<supervisor::ExportView> done) override;
  void RestartWorker(supervisor::ExportTarget target, bool force,
                     supervisor::Callback<supervisor::ExportView> done) override;
  void SetLogLevel(telemetry::LogLevel level,
                   supervisor::Callback<telemetry::LogLevel> done) override;
  void SetSlowRequest(absl::Duration threshold, supervisor::Callback<absl::Duration> done) override;
  absl::Duration SlowRequest() const override;
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
  // Of the last deletion or drain.
  supervisor::Deletion last_deletion() const;
  std::optional<supervisor::DrainWait> last_drain() const;

 private:
  void Answer(std::function<void()> answer);
  // The export, if it is there and as the target wants it.
  absl::StatusOr<supervisor::ExportView*> Find(const supervisor::ExportTarget& target)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Changes it by `change`, which may refuse, and answers.
  void Change(const supervisor::ExportTarget& target,
              const std::function<absl::Status(supervisor::ExportView&)>& change,
              supervisor::Callback<supervisor::ExportView> done);
  void Tell(const supervisor::ExportView& view);

  mutable absl::Mutex mutex_;
  std::map<std::string, supervisor::ExportView> exports_ ABSL_GUARDED_BY(mutex_);
  std::function<void(const supervisor::ExportView&)> observer_ ABSL_GUARDED_BY(mutex_);
  bool holding_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::function<void()>> held_ ABSL_GUARDED_BY(mutex_);
  supervisor::Deletion last_deletion_ ABSL_GUARDED_BY(mutex_);
  std::optional<supervisor::DrainWait> last_drain_ ABSL_GUARDED_BY(mutex_);
  telemetry::LogLevel log_level_ ABSL_GUARDED_BY(mutex_) = telemetry::LogLevel::kInfo;
  absl::Duration slow_request_ ABSL_GUARDED_BY(mutex_) = absl::Seconds(1);
  std::string last_request_id_ ABSL_GUARDED_BY(mutex_);
  int64_t clock_nanos_ ABSL_GUARDED_BY(mutex_) = 1'700'000'000'000'000'000;
};

}  // namespace fsd::control

#endif  // FSD_SERVER_CONTROL_FAKE_SUPERVISOR_H_
