// How a worker ends: its exit statuses, by which the supervisor knows what to tell the operator.
#ifndef FSD_SERVER_IPC_WORKER_EXIT_H_
#define FSD_SERVER_IPC_WORKER_EXIT_H_

namespace fsd::ipc {

inline constexpr int kWorkerStopped = 0;          // it was told to stop
inline constexpr int kWorkerBadInvocation = 2;    // not started by a supervisor of its version
inline constexpr int kWorkerJailUnavailable = 3;  // this host does not let it make its jail
inline constexpr int kWorkerSetUpFailed = 4;      // it could not serve this export
inline constexpr int kWorkerHandleKeeperDied = 5;  // the log says of what
// Plus N: signal N killed the data plane. A killed keeper has no status; the signal tells.
inline constexpr int kWorkerKilledBySignal = 128;

}  // namespace fsd::ipc

#endif  // FSD_SERVER_IPC_WORKER_EXIT_H_
