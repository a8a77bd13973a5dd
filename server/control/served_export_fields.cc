#include "server/control/served_export_fields.h"

#include <vector>

namespace fsd::control {

std::span<const std::string> ServedExportFields() {
  static const auto& fields = *new std::vector<std::string>{
      "labels",
      "owner.system",
      "owner.vm_id",
      "source.passthrough.path",
      "tag",
      "advertise_tag",
      "socket.path",
      "socket.uid",
      "socket.gid",
      "socket.mode",
      "read_only",
      "cache.policy",
      "cache.attr_timeout",
      "cache.entry_timeout",
      "cache.negative_timeout",
      "cache.writeback",
      "cache.direct_io",
      "cache.mmap",
      "cache.readdirplus",
      "cache.symlinks",
      "cache.zero_message_open",
      "semantics.xattr",
      "semantics.xattr_rules",
      "semantics.posix_acl",
      "semantics.security_label",
      "semantics.killpriv",
      "semantics.submounts",
      "semantics.locks",
      "semantics.lock_wait",
      "semantics.preserve_noatime",
      "ids.uid_translations",
      "ids.gid_translations",
      "ids.uid_namespace",
      "ids.gid_namespace",
      "ids.uid_mount",
      "ids.gid_mount",
      "inodes.host_handles",
      "inodes.max_file_descriptors",
      "transport.request_queues",
      "transport.poll_us",
      "sandbox.mode",
      "sandbox.seccomp",
      "sandbox.add_capabilities",
      "sandbox.drop_capabilities",
      "sandbox.limits.memory_bytes",
      "sandbox.limits.open_files",
      "sandbox.limits.threads",
      "sandbox.limits.cpu_microseconds_per_second",
      "sandbox.limits.io_read_bytes_per_second",
      "sandbox.limits.io_write_bytes_per_second",
      "sandbox.limits.io_read_operations_per_second",
      "sandbox.limits.io_write_operations_per_second",
  };
  return fields;
}

}  // namespace fsd::control
