#include "server/supervisor/export_difference.h"

#include <iterator>

namespace fsd::supervisor {
namespace {

using internal::ExportSpec;

struct Field {
  std::string_view name;
  void (*clear)(ExportSpec& spec);
};

// In the order of their importance to a reader. Several fields of the specification may be one of
// the API's.
constexpr Field kFields[] = {
    {"source.passthrough.path", [](ExportSpec& s) { s.clear_source_path(); }},
    {"tag", [](ExportSpec& s) { s.clear_tag(); }},
    {"advertise_tag", [](ExportSpec& s) { s.clear_advertise_tag(); }},
    {"socket.path", [](ExportSpec& s) { s.clear_socket_path(); }},
    {"socket.uid", [](ExportSpec& s) { s.clear_socket_uid(); }},
    {"socket.gid", [](ExportSpec& s) { s.clear_socket_gid(); }},
    {"socket.mode", [](ExportSpec& s) { s.clear_socket_mode(); }},
    {"read_only", [](ExportSpec& s) { s.clear_read_only(); }},
    {"cache.policy", [](ExportSpec& s) { s.clear_cache(); }},
    {"cache.attr_timeout", [](ExportSpec& s) { s.clear_attr_timeout_nanos(); }},
    {"cache.entry_timeout", [](ExportSpec& s) { s.clear_entry_timeout_nanos(); }},
    {"cache.negative_timeout", [](ExportSpec& s) { s.clear_negative_timeout_nanos(); }},
    {"cache.writeback", [](ExportSpec& s) { s.clear_writeback(); }},
    {"cache.direct_io", [](ExportSpec& s) { s.clear_direct_io(); }},
    {"cache.mmap", [](ExportSpec& s) { s.clear_mmap(); }},
    {"cache.readdirplus", [](ExportSpec& s) { s.clear_readdirplus(); }},
    {"cache.symlinks", [](ExportSpec& s) { s.clear_cache_symlinks(); }},
    {"cache.zero_message_open", [](ExportSpec& s) { s.clear_zero_message_open(); }},
    {"semantics.xattr", [](ExportSpec& s) { s.clear_xattr(); }},
    {"semantics.xattr_rules", [](ExportSpec& s) { s.clear_xattr_rules(); }},
    {"semantics.posix_acl", [](ExportSpec& s) { s.clear_posix_acl(); }},
    {"semantics.security_label", [](ExportSpec& s) { s.clear_security_label(); }},
    {"semantics.killpriv", [](ExportSpec& s) { s.clear_killpriv(); }},
    {"semantics.submounts", [](ExportSpec& s) { s.clear_submounts(); }},
    {"semantics.locks", [](ExportSpec& s) { s.clear_shared_locks(); }},
    {"semantics.lock_wait", [](ExportSpec& s) { s.clear_lock_wait_nanos(); }},
    {"semantics.preserve_noatime", [](ExportSpec& s) { s.clear_preserve_noatime(); }},
    {"ids.uid_translations", [](ExportSpec& s) { s.clear_uid_translations(); }},
    {"ids.gid_translations", [](ExportSpec& s) { s.clear_gid_translations(); }},
    {"ids.uid_namespace", [](ExportSpec& s) { s.clear_uid_namespace(); }},
    {"ids.gid_namespace", [](ExportSpec& s) { s.clear_gid_namespace(); }},
    {"ids.uid_mount", [](ExportSpec& s) { s.clear_uid_mount(); }},
    {"ids.gid_mount", [](ExportSpec& s) { s.clear_gid_mount(); }},
    {"inodes.host_handles", [](ExportSpec& s) { s.clear_host_handles(); }},
    {"inodes.max_file_descriptors", [](ExportSpec& s) { s.clear_max_inode_fds(); }},
    {"transport.request_queues", [](ExportSpec& s) { s.clear_request_queues(); }},
    {"transport.poll_us", [](ExportSpec& s) { s.clear_poll_us(); }},
    {"sandbox.mode", [](ExportSpec& s) { s.clear_sandbox_mode(); }},
    {"sandbox.seccomp", [](ExportSpec& s) { s.clear_seccomp(); }},
    {"sandbox.add_capabilities", [](ExportSpec& s) { s.clear_add_capabilities(); }},
    {"sandbox.drop_capabilities", [](ExportSpec& s) { s.clear_drop_capabilities(); }},
    {"sandbox.limits", [](ExportSpec& s) { s.clear_limits(); }},
    {"owner.system", [](ExportSpec& s) { s.clear_owner_system(); }},
    {"owner.vm_id", [](ExportSpec& s) { s.clear_owner_vm_id(); }},
    {"labels", [](ExportSpec& s) { s.clear_labels(); }},
};

// As if they had not been spelled out. CompleteExportSpec sees to those of the other fields.
void LeaveDefaultsOut(ExportSpec& spec) {
  if (spec.readdirplus() == ExportSpec::READDIRPLUS_AUTO) spec.clear_readdirplus();
  if (spec.posix_acl() == ExportSpec::USE_NEVER) spec.clear_posix_acl();
  if (spec.security_label() == ExportSpec::USE_NEVER) spec.clear_security_label();
  if (spec.killpriv() == ExportSpec::USE_AUTO) spec.clear_killpriv();
  if (spec.host_handles() == ExportSpec::HOST_HANDLES_PREFER) spec.clear_host_handles();
  if (spec.sandbox_mode() == ExportSpec::SANDBOX_NAMESPACE) spec.clear_sandbox_mode();
  if (spec.seccomp() == ExportSpec::SECCOMP_KILL) spec.clear_seccomp();
  for (ExportSpec::XattrRule& rule : *spec.mutable_xattr_rules()) {
    if (rule.scope() == ExportSpec::XattrRule::ALL) rule.clear_scope();
  }
}

}  // namespace

std::string_view FirstDifference(const ExportSpec& a, const ExportSpec& b) {
  ExportSpec left = a;
  ExportSpec right = b;
  LeaveDefaultsOut(left);
  LeaveDefaultsOut(right);
  if (left.SerializeAsString() == right.SerializeAsString()) return "";
  // The lite runtime has no reflection. Cleared from the last on, the two become equal with the
  // first in which they differ.
  for (auto field = std::rbegin(kFields); field != std::rend(kFields); ++field) {
    field->clear(left);
    field->clear(right);
    if (left.SerializeAsString() == right.SerializeAsString()) return field->name;
  }
  return "a field that this program does not know";
}

}  // namespace fsd::supervisor
