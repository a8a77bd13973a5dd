#include "cli/option_paths.h"

#include <algorithm>
#include <array>

namespace fsd::cli {
namespace {

struct OptionPath {
  std::string_view option;
  std::string_view path;
};

constexpr std::array<OptionPath, 60> kPaths = {{
    {"--advertise-tag", "advertise_tag"},
    {"--socket-uid", "socket.uid"},
    {"--socket-gid", "socket.gid"},
    {"--socket-mode", "socket.mode"},
    {"--read-only", "read_only"},
    {"--cache", "cache.policy"},
    {"--attr-timeout", "cache.attr_timeout"},
    {"--entry-timeout", "cache.entry_timeout"},
    {"--negative-timeout", "cache.negative_timeout"},
    {"--writeback", "cache.writeback"},
    {"--direct-io", "cache.direct_io"},
    {"--mmap", "cache.mmap"},
    {"--readdirplus", "cache.readdirplus"},
    {"--cache-symlinks", "cache.symlinks"},
    {"--zero-message-open", "cache.zero_message_open"},
    {"--xattr", "semantics.xattr"},
    {"--xattrmap", "semantics.xattr_rules"},
    {"--posix-acl", "semantics.posix_acl"},
    {"--security-label", "semantics.security_label"},
    {"--killpriv", "semantics.killpriv"},
    {"--no-submounts", "semantics.submounts"},
    {"--locks", "semantics.locks"},
    {"--lock-wait", "semantics.lock_wait"},
    {"--preserve-noatime", "semantics.preserve_noatime"},
    {"--translate-uid", "ids.uid_translations"},
    {"--translate-gid", "ids.gid_translations"},
    {"--uid-mount", "ids.uid_mount"},
    {"--gid-mount", "ids.gid_mount"},
    {"--uid-namespace", "ids.uid_namespace"},
    {"--gid-namespace", "ids.gid_namespace"},
    {"--host-handles", "inodes.host_handles"},
    {"--max-inode-fds", "inodes.max_file_descriptors"},
    {"--request-queues", "transport.request_queues"},
    {"--poll-us", "transport.poll_us"},
    {"--sandbox", "sandbox.mode"},
    {"--seccomp", "sandbox.seccomp"},
    {"--add-cap", "sandbox.add_capabilities"},
    {"--drop-cap", "sandbox.drop_capabilities"},
    {"--memory-limit", "sandbox.limits.memory_bytes"},
    {"--open-files-limit", "sandbox.limits.open_files"},
    {"--threads-limit", "sandbox.limits.threads"},
    {"--cpu-limit", "sandbox.limits.cpu_microseconds_per_second"},
    {"--io-read-bps", "sandbox.limits.io_read_bytes_per_second"},
    {"--io-write-bps", "sandbox.limits.io_write_bytes_per_second"},
    {"--io-read-iops", "sandbox.limits.io_read_operations_per_second"},
    {"--io-write-iops", "sandbox.limits.io_write_operations_per_second"},
    {"--read-iops", "qos.read.operations_per_second"},
    {"--read-bandwidth", "qos.read.bytes_per_second"},
    {"--read-iops-burst", "qos.read.burst_operations"},
    {"--read-bandwidth-burst", "qos.read.burst_bytes"},
    {"--write-iops", "qos.write.operations_per_second"},
    {"--write-bandwidth", "qos.write.bytes_per_second"},
    {"--write-iops-burst", "qos.write.burst_operations"},
    {"--write-bandwidth-burst", "qos.write.burst_bytes"},
    {"--total-iops", "qos.total.operations_per_second"},
    {"--total-bandwidth", "qos.total.bytes_per_second"},
    {"--total-iops-burst", "qos.total.burst_operations"},
    {"--total-bandwidth-burst", "qos.total.burst_bytes"},
    {"--owner-system", "owner.system"},
    {"--owner-vm", "owner.vm_id"},
}};

}  // namespace

std::string_view PathOfOption(std::string_view option) {
  const auto* found = std::find_if(kPaths.begin(), kPaths.end(),
                                   [&](const OptionPath& path) { return path.option == option; });
  return found == kPaths.end() ? std::string_view() : found->path;
}

std::vector<std::string> GivenPaths(const CLI::App& command) {
  std::vector<std::string> paths;
  for (const CLI::Option* option : command.get_options()) {
    if (option->count() == 0) continue;
    const std::string_view path = PathOfOption(option->get_name());
    if (!path.empty()) paths.emplace_back(path);
  }
  return paths;
}

}  // namespace fsd::cli
