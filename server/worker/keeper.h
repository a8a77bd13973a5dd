// The keeper: the first process of a worker, which forks the data plane and outlives it.
//
// Both share one table of file descriptors: when the data plane dies of anything, every descriptor
// it had (the front-end's connection, guest memory, open files) is still open in the keeper, at the
// same number. For now the keeper ends with the data plane and hands its status on. It parses
// nothing that a guest, a front-end or a supervisor writes.
//
// A worker is whole or it ends: a dead handle keeper is not replaced. To fork another, the keeper
// would have to keep CAP_DAC_READ_SEARCH, the handles' key and a wider seccomp list for its whole
// life, in a process whose descriptors the data plane can change. The supervisor starts a new
// worker instead.
//
// Its end is the data plane's and the handle keeper's, by the kernel: it is PID 1 of a pid
// namespace, which no signal from inside reaches either, or, in a jail without one, where there is
// no handle keeper, the data plane has asked for it (os/parent_death.h). Then one that is blocked
// in the kernel ends only when it comes back.
#ifndef FSD_SERVER_WORKER_KEEPER_H_
#define FSD_SERVER_WORKER_KEEPER_H_

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string_view>

#include "absl/status/statusor.h"

namespace fsd::worker {

// Starts a process that runs `data_plane` and exits with what it returns (0 … 127). Call
// single-threaded. Memory is copied as by fork(2), descriptors are shared: whatever one of the two
// closes is closed for both, so each descriptor has one owner in one of them.
//
// It is killed when the caller ends. In the data plane, pthread_kill cannot reach the main thread:
// glibc knows it by the keeper's id.
absl::StatusOr<pid_t> ForkDataPlane(const std::function<int()>& data_plane);

// Waits for the worker's end and logs one that was not asked for. Returns the status to exit with
// (server/ipc/worker_exit.h): that of the data plane, or 128 + N if signal N killed it; or that of
// the handle keeper, kWorkerHandleKeeperDied if a signal killed it. A handle keeper that exits with
// 0, let go by the data plane, ends nothing.
int AwaitEnd(pid_t data_plane, std::optional<pid_t> handle_keeper, std::string_view export_name);

}  // namespace fsd::worker

#endif  // FSD_SERVER_WORKER_KEEPER_H_
