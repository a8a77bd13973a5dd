// A supervisor with directories of its own and the fake worker, for tests.
#ifndef FSD_SERVER_SUPERVISOR_SUPERVISOR_FIXTURE_H_
#define FSD_SERVER_SUPERVISOR_SUPERVISOR_FIXTURE_H_

#include <sys/types.h>

#include <condition_variable>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "server/os/unique_fd.h"
#include "server/supervisor/supervisor.h"

namespace fsd::supervisor {

// A supervisor with a thread that runs it, and what its observer saw. Calls wait for their answer.
class RunningSupervisor {
 public:
  RunningSupervisor(const Config& config, const Timing& timing);
  ~RunningSupervisor() { Stop(); }

  void Stop();
  Supervisor& supervisor() { return *supervisor_; }

  std::future<absl::StatusOr<ExportView>> StartCreate(const internal::ExportSpec& spec,
                                                      bool validate_only = false);
  absl::StatusOr<ExportView> Create(const internal::ExportSpec& spec, bool validate_only = false) {
    return StartCreate(spec, validate_only).get();
  }
  absl::StatusOr<ExportView> Get(const std::string& id);
  std::vector<ExportView> List();
  absl::Status Delete(const std::string& id, bool force = false);
  std::future<absl::Status> StartDelete(const std::string& id, const Deletion& deletion);
  absl::StatusOr<UpdatedExport> Update(const std::string& id, const SpecChange& change,
                                       bool validate_only = false);
  std::future<absl::StatusOr<ExportView>> StartDrain(const std::string& id,
                                                     const DrainWait& wait = {});
  absl::StatusOr<ExportView> Drain(const std::string& id);  // without waiting
  absl::StatusOr<ExportView> Resume(const std::string& id);
  absl::StatusOr<ExportView> Disconnect(const std::string& id);
  absl::StatusOr<ExportView> RestartWorker(const std::string& id, bool force = false);
  telemetry::LogLevel SetLogLevel(telemetry::LogLevel level);
  absl::Duration SetSlowRequest(absl::Duration threshold);

  // Waits until the export is seen in `state`, after what earlier calls for it have waited for.
  ExportView Await(const std::string& id, ExportState state);
  // The same for any condition.
  ExportView Await(const std::string& id, const std::function<bool(const ExportView&)>& condition);

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<ExportView> seen_;
  std::map<std::string, size_t> next_;  // into seen_, by export
  std::unique_ptr<Supervisor> supervisor_;
  std::thread thread_;
};

class SupervisorTest : public ::testing::Test {
 protected:
  SupervisorTest();
  ~SupervisorTest() override;

  // Starts a supervisor, in place of the one before.
  RunningSupervisor& Start();

  internal::ExportSpec SpecOf(const std::string& id, const std::string& tag = "myfs") const;
  std::string SocketOf(const std::string& id) const {
    return root_ + "/run/exports/" + id + ".sock";
  }

  // A front-end's connection to the export.
  os::UniqueFd Connect(const std::string& id) const;
  // What the fake worker understands.
  static void Write(const os::UniqueFd& front_end, char letter);
  // What the worker answers a letter with; nothing if it closes the connection.
  static std::optional<char> Ask(const os::UniqueFd& front_end, char letter);
  // Whether a worker answers on this connection.
  static bool Answers(const os::UniqueFd& front_end);

  // Paths below root_.
  bool Exists(const std::string& path) const;
  void Touch(const std::string& path) const;

  static ino_t InodeOf(const std::string& path);
  static bool HasNoChild();
  static size_t CountOpenFds();

  std::string root_;
  Config config_;
  Timing timing_;
  std::unique_ptr<RunningSupervisor> running_;
};

}  // namespace fsd::supervisor

#endif  // FSD_SERVER_SUPERVISOR_SUPERVISOR_FIXTURE_H_
