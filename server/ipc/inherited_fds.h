// The file descriptors a worker is born with, besides 0, 1 and 2. Exactly these: the launcher closes
// every other one.
#ifndef FSD_SERVER_IPC_INHERITED_FDS_H_
#define FSD_SERVER_IPC_INHERITED_FDS_H_

namespace fsd::ipc {

inline constexpr int kWorkerSpecFd = 3;       // sealed memfd with a serialized internal.WorkerSpec
inline constexpr int kControlListenerFd = 4;  // SOCK_SEQPACKET, listening; the supervisor dials it
inline constexpr int kVhostListenerFd = 5;    // SOCK_STREAM, listening; the VMM dials it
inline constexpr int kSourceDirectoryFd = 6;  // the export's directory, O_PATH
inline constexpr int kCountersFd = 7;         // memory file (server/telemetry/export_counters.h)
inline constexpr int kInheritedFdsEnd = 8;

}  // namespace fsd::ipc

#endif  // FSD_SERVER_IPC_INHERITED_FDS_H_
