#include "backends/passthrough/host_handle.h"

#include <fcntl.h>

#include <cstring>

namespace fsd::passthrough {
namespace {

ErrnoOr<HostHandle> HandleAt(int directory, const char* name, int flags) {
  alignas(file_handle) std::byte buffer[sizeof(file_handle) + HostHandle::kMaxBytes];
  auto* raw = reinterpret_cast<file_handle*>(buffer);
  raw->handle_bytes = HostHandle::kMaxBytes;
  int mount;
  if (::name_to_handle_at(directory, name, raw, &mount, flags) != 0) return Errno::Last();
  HostHandle handle{.type = raw->handle_type, .size = raw->handle_bytes, .bytes = {}};
  std::memcpy(handle.bytes, raw->f_handle, handle.size);
  return handle;
}

}  // namespace

ErrnoOr<HostHandle> HandleOf(int fd) { return HandleAt(fd, "", AT_EMPTY_PATH); }

ErrnoOr<HostHandle> HandleOfChild(int directory, const ComponentName& name) {
  return HandleAt(directory, name.c_str(), 0);
}

}  // namespace fsd::passthrough
