// SupervisorLinks: the worker's ends of the private channels to its supervisor.
//
// A supervisor dials, says Hello, is told the status and then each change of it. A later supervisor
// may dial while the one before is still connected, and adopt the worker: it is handed what the one
// before had of it. The worker depends on none of them: who sends what is no message, or does not
// read what it is sent, loses its channel and may dial again; a message of a kind that this worker
// does not know, as of a newer supervisor, changes nothing.
//
// For the control thread.
#ifndef FSD_SERVER_WORKER_SUPERVISOR_LINKS_H_
#define FSD_SERVER_WORKER_SUPERVISOR_LINKS_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>

#include "absl/status/status.h"
#include "proto/fsd/internal/worker.pb.h"
#include "server/ipc/worker_channel.h"
#include "server/os/epoll.h"
#include "server/os/unique_fd.h"

namespace fsd::worker {

class SupervisorLinks {
 public:
  struct Handover {
    const internal::WorkerSpec& spec;
    int vhost_listener;
    int counters;
  };
  struct Options {
    std::string export_name;  // for the log
    std::string export_uid;
    std::function<internal::WorkerStatus()> status;
    std::function<void()> stop;  // a supervisor wants the worker to end
    std::function<void(std::chrono::nanoseconds)> set_slow_request;
    std::function<void(bool draining)> set_draining;
    std::function<void(const internal::ExportSpec::Qos& qos)> set_qos;
    std::function<void()> disconnect;
    std::function<void()> retire;
    std::function<internal::FromWorker::InflightRequests(size_t max_requests)> inflight;
    // What a supervisor that adopts the worker is given; the descriptors stay the worker's.
    std::function<Handover()> handover;
  };
  static constexpr size_t kMaxLinks = 4;

  // `epoll` outlives it.
  SupervisorLinks(os::Epoll& epoll, Options options);
  SupervisorLinks(const SupervisorLinks&) = delete;
  SupervisorLinks& operator=(const SupervisorLinks&) = delete;
  ~SupervisorLinks();

  // A supervisor has dialled. If there are kMaxLinks already, the oldest is closed: its supervisor
  // is gone, or there is a later one.
  void Add(os::UniqueFd socket);
  // Tells all who have said Hello.
  void PushStatus();

 private:
  struct Link {
    ipc::WorkerChannel channel;
    uint64_t number;  // in the order in which they came
    bool greeted = false;
  };

  void OnReadable(int fd);
  // An error ends the link.
  absl::Status Handle(Link& link, const internal::ToWorker& message);
  absl::Status Greet(Link& link, const internal::ToWorker::Hello& hello);
  absl::Status SendStatus(Link& link);
  absl::Status SendInflight(Link& link, const internal::ToWorker::ListInflight& query);
  absl::Status SendHandover(Link& link);
  void Close(int fd, const absl::Status& why);

  os::Epoll& epoll_;
  const Options options_;
  std::unordered_map<int, std::unique_ptr<Link>> links_;  // by channel.fd()
  uint64_t links_made_ = 0;
};

}  // namespace fsd::worker

#endif  // FSD_SERVER_WORKER_SUPERVISOR_LINKS_H_
