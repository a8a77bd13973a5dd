// RunningSupervisor: a supervisor in this process, with real workers and directories of its own.
//
// With FSD_TEST_SECCOMP=log in the environment all exports are made with lists of system calls that
// only log. Needs real root, as the workers' jails do, or an ordinary user (lesser_thread.h) with a
// worker binary that this one can run. Destroying it stops the workers and removes everything.
#ifndef FSD_TESTS_HARNESS_RUNNING_SUPERVISOR_H_
#define FSD_TESTS_HARNESS_RUNNING_SUPERVISOR_H_

#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "proto/fsd/internal/export_spec.pb.h"
#include "server/supervisor/supervisor.h"
#include "server/telemetry/counter_reader.h"

namespace fsd::harness {

class RunningSupervisor {
 public:
  // `worker_binary`: fsd-worker, as a path that exec can use from anywhere.
  // `configure` may change what is configured.
  static absl::StatusOr<std::unique_ptr<RunningSupervisor>> Start(
      const std::string& worker_binary,
      const std::function<void(supervisor::Config&)>& configure = [](supervisor::Config&) {});
  ~RunningSupervisor();

  // Exports shares/<id>, which is made if it is missing, under the tag `id`.
  absl::StatusOr<supervisor::ExportView> Create(const std::string& id);
  absl::StatusOr<supervisor::ExportView> Create(internal::ExportSpec spec);
  absl::StatusOr<supervisor::ExportView> Get(const std::string& id);
  absl::Status Delete(const std::string& id, bool force);
  // Changes its specification; FAILED_PRECONDITION for what cannot change.
  absl::StatusOr<supervisor::UpdatedExport> Update(
      const std::string& id, const std::function<void(internal::ExportSpec&)>& change);
  absl::StatusOr<telemetry::ExportCounts> Counts(const std::string& id);
  // Waits until the export's view satisfies the condition; DEADLINE_EXCEEDED after kPatience.
  absl::StatusOr<supervisor::ExportView> WaitFor(
      const std::string& id, const std::function<bool(const supervisor::ExportView&)>& condition);
  absl::StatusOr<supervisor::ExportView> WaitFor(const std::string& id,
                                                 supervisor::ExportState state);

  // The host directory of an export made by Create(id).
  std::string share(const std::string& id) const { return directory_ + "/shares/" + id; }

 private:
  explicit RunningSupervisor(std::string directory) : directory_(std::move(directory)) {}

  std::string directory_;
  std::unique_ptr<supervisor::Supervisor> supervisor_;
  std::thread thread_;
};

}  // namespace fsd::harness

#endif  // FSD_TESTS_HARNESS_RUNNING_SUPERVISOR_H_
