// What the data plane and the handle keeper of a worker say to each other: one request and one
// answer at a time, fixed-size structs on a SOCK_SEQPACKET pair. Between two processes of one
// binary, hence without a version.
#ifndef FSD_SERVER_IPC_HANDLE_CHANNEL_H_
#define FSD_SERVER_IPC_HANDLE_CHANNEL_H_

#include <fcntl.h>

#include <cstddef>
#include <cstdint>

namespace fsd::ipc {

inline constexpr uint32_t kMaxHandleBytes = 40;
inline constexpr uint32_t kMaxHandlesPerRequest = 32;
inline constexpr size_t kMaxNameBytes = 1024;
// With which flags of open(2) a handle may be opened for I/O.
inline constexpr int kHandleOpenFlags =
    O_ACCMODE | O_APPEND | O_SYNC | O_DSYNC | O_DIRECT | O_NOATIME;

// A host handle (name_to_handle_at(2)) and the keeper's proof that it has issued it.
struct IssuedHandle {
  int32_t type;
  uint32_t size;  // 0: there is none, or it is longer than there is room
  std::byte bytes[kMaxHandleBytes];
  uint64_t proof;
};

enum class HandleOperation : uint32_t {
  kIssue = 1,  // with 1 … kMaxHandlesPerRequest fds: the handles of what they hold
  kOpen = 2,   // with one fd, not O_PATH, of the handle's mount: opens `handle` O_PATH
  // The same, opened with `open_flags`, and O_NONBLOCK; only if it is a regular file.
  kOpenForIo = 3,
  kLink = 4,  // with two fds: gives what the first holds, O_PATH, `name` in the directory second
};

struct HandleRequest {
  HandleOperation operation;
  int32_t open_flags;            // kOpenForIo: of kHandleOpenFlags
  IssuedHandle handle;           // kOpen, kOpenForIo
  char name[kMaxNameBytes + 8];  // kLink: one component, with its NUL
};

struct HandleAnswer {
  int32_t error;   // 0 or an errno; kOpen and kOpenForIo without one come with the fd
  uint32_t count;  // kIssue: how many of `handles` are answers
  IssuedHandle handles[kMaxHandlesPerRequest];
};

}  // namespace fsd::ipc

#endif  // FSD_SERVER_IPC_HANDLE_CHANNEL_H_
