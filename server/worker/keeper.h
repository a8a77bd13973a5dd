// The keeper: the first process of a worker, which forks the data plane and outlives it.
//
// Both share one table of file descriptors: when the data plane dies of anything, every descriptor
// it had (the front-end's connection, guest memory, open files) is still open in the keeper, at the
// same number. For now the keeper ends with the data plane and hands its status on. It parses
// nothing that a guest, a front-end or a supervisor writes.
//
// The keeper is PID 1 of its pid namespace: its end is the data plane's, by the kernel, and no
// signal from inside the namespace reaches it.
#ifndef FSD_SERVER_WORKER_KEEPER_H_
#define FSD_SERVER_WORKER_KEEPER_H_

#include <sys/types.h>

#include <functional>
#include <string_view>

#include "absl/status/statusor.h"

namespace fsd::worker {

// Starts a process that runs `data_plane` and exits with what it returns (0 … 127). Call
// single-threaded. Memory is copied as by fork(2), descriptors are shared: whatever one of the two
// closes is closed for both, so each descriptor has one owner in one of them.
//
// In the data plane, pthread_kill cannot reach the main thread: glibc knows it by the keeper's id.
absl::StatusOr<pid_t> ForkDataPlane(const std::function<int()>& data_plane);

// Waits for the data plane's end and logs one that was not asked for. Returns the status to exit
// with: its own, or 128 + N if signal N killed it.
int AwaitDataPlane(pid_t data_plane, std::string_view export_name);

}  // namespace fsd::worker

#endif  // FSD_SERVER_WORKER_KEEPER_H_
