// FsdProcess: an fsd of its own, as it ships, and a client of its API.
//
// Needs root. It stops when this object goes, and when the process that started it dies of
// anything; its workers with it.
#ifndef FSD_TESTS_BENCH_FSD_PROCESS_H_
#define FSD_TESTS_BENCH_FSD_PROCESS_H_

#include <sys/types.h>

#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/fsd/v1/export_service.grpc.pb.h"

namespace fsd::bench {

class FsdProcess {
 public:
  // `binary`: fsd, with fsd-worker beside it. Returns when it answers. Call from the main thread:
  // fsd stops when the thread ends.
  static absl::StatusOr<std::unique_ptr<FsdProcess>> Start(const std::string& binary);
  FsdProcess(const FsdProcess&) = delete;
  FsdProcess& operator=(const FsdProcess&) = delete;
  ~FsdProcess();

  // Makes an empty directory for an export.
  void MakeShare(const std::string& id) const;
  // Exports it. Results in the path of the socket. Any thread, as Delete.
  absl::StatusOr<std::string> Create(const std::string& id);
  absl::Status Delete(const std::string& id);

  pid_t pid() const { return pid_; }
  // Ends it with its workers, waiting until it has; killed if it does not within a minute.
  void Stop();

 private:
  FsdProcess(std::string directory, std::string run_directory)
      : directory_(std::move(directory)), run_directory_(std::move(run_directory)) {}
  absl::Status Spawn(const std::string& binary);
  absl::Status AwaitAnswer();

  const std::string directory_;      // with the state and the shares
  const std::string run_directory_;  // with the sockets
  pid_t pid_ = 0;
  std::unique_ptr<v1::ExportService::Stub> exports_;
};

}  // namespace fsd::bench

#endif  // FSD_TESTS_BENCH_FSD_PROCESS_H_
