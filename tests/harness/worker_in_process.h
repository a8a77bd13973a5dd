// WorkerInProcess: a worker's data plane in this process, over a directory of its own: control
// thread, queue threads and the passthrough file system, without the jail, so that a test can count
// what they do and ThreadSanitizer can see them.
#ifndef FSD_TESTS_HARNESS_WORKER_IN_PROCESS_H_
#define FSD_TESTS_HARNESS_WORKER_IN_PROCESS_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "backends/filesystem.h"
#include "proto/fsd/internal/export_spec.pb.h"
#include "server/os/thread.h"
#include "server/worker/worker.h"

namespace fsd::harness {

class WorkerInProcess {
 public:
  // `spec`: of the transport's and the session's options; the file system has its defaults.
  static absl::StatusOr<std::unique_ptr<WorkerInProcess>> Start(internal::ExportSpec spec);
  // Stops the worker and removes the directory.
  ~WorkerInProcess();

  std::string share() const { return directory_ + "/share"; }
  std::string socket() const { return directory_ + "/vhost"; }
  backends::FilesystemUsage Usage() const { return filesystem_->Usage(); }

 private:
  explicit WorkerInProcess(std::string directory) : directory_(std::move(directory)) {}
  std::string control() const { return directory_ + "/control"; }
  void Stop();

  const std::string directory_;
  backends::Filesystem* filesystem_ = nullptr;  // worker_'s
  std::unique_ptr<worker::Worker> worker_;
  os::Thread thread_;
};

}  // namespace fsd::harness

#endif  // FSD_TESTS_HARNESS_WORKER_IN_PROCESS_H_
