#include "server/supervisor/export_difference.h"

#include <iterator>

namespace fsd::supervisor {
namespace {

using internal::ExportSpec;

constexpr std::string_view kUnknownField = "a field that this program does not know";

struct Field {
  std::string_view name;
  ChangeEffect effect;
  void (*clear)(ExportSpec& spec);
};

using Limits = ExportSpec::Limits;

// One of the limits; without any, there are none.
template <void (Limits::*clear)()>
void ClearLimit(ExportSpec& spec) {
  if (!spec.has_limits()) return;
  (spec.mutable_limits()->*clear)();
  if (spec.limits().ByteSizeLong() == 0) spec.clear_limits();
}

// In the order of their importance to a reader. Several fields of the specification may be one of
// the API's.
constexpr Field kFields[] = {
    {"source.passthrough.path", ChangeEffect::kNever, [](ExportSpec& s) { s.clear_source_path(); }},
    {"tag", ChangeEffect::kNever, [](ExportSpec& s) { s.clear_tag(); }},
    {"advertise_tag", ChangeEffect::kNextConnection,
     [](ExportSpec& s) { s.clear_advertise_tag(); }},
    {"socket.path", ChangeEffect::kNever, [](ExportSpec& s) { s.clear_socket_path(); }},
    {"socket.uid", ChangeEffect::kLive, [](ExportSpec& s) { s.clear_socket_uid(); }},
    {"socket.gid", ChangeEffect::kLive, [](ExportSpec& s) { s.clear_socket_gid(); }},
    {"socket.mode", ChangeEffect::kLive, [](ExportSpec& s) { s.clear_socket_mode(); }},
    {"read_only", ChangeEffect::kNextConnection, [](ExportSpec& s) { s.clear_read_only(); }},
    {"cache.policy", ChangeEffect::kNextConnection, [](ExportSpec& s) { s.clear_cache(); }},
    {"cache.attr_timeout", ChangeEffect::kNextConnection,
     [](ExportSpec& s) { s.clear_attr_timeout_nanos(); }},
    {"cache.entry_timeout", ChangeEffect::kNextConnection,
     [](ExportSpec& s) { s.clear_entry_timeout_nanos(); }},
    {"cache.negative_timeout", ChangeEffect::kNextConnection,
     [](ExportSpec& s) { s.clear_negative_timeout_nanos(); }},
    {"cache.writeback", ChangeEffect::kNextConnection, [](ExportSpec& s) { s.clear_writeback(); }},
    {"cache.direct_io", ChangeEffect::kNextConnection, [](ExportSpec& s) { s.clear_direct_io(); }},
    {"cache.mmap", ChangeEffect::kNextConnection, [](ExportSpec& s) { s.clear_mmap(); }},
    {"cache.readdirplus", ChangeEffect::kNextConnection,
     [](ExportSpec& s) { s.clear_readdirplus(); }},
    {"cache.symlinks", ChangeEffect::kNextConnection,
     [](ExportSpec& s) { s.clear_cache_symlinks(); }},
    {"cache.zero_message_open", ChangeEffect::kNextConnection,
     [](ExportSpec& s) { s.clear_zero_message_open(); }},
    {"semantics.xattr", ChangeEffect::kNextConnection, [](ExportSpec& s) { s.clear_xattr(); }},
    {"semantics.xattr_rules", ChangeEffect::kNextConnection,
     [](ExportSpec& s) { s.clear_xattr_rules(); }},
    {"semantics.posix_acl", ChangeEffect::kNextConnection,
     [](ExportSpec& s) { s.clear_posix_acl(); }},
    {"semantics.security_label", ChangeEffect::kNextConnection,
     [](ExportSpec& s) { s.clear_security_label(); }},
    {"semantics.killpriv", ChangeEffect::kNextConnection,
     [](ExportSpec& s) { s.clear_killpriv(); }},
    {"semantics.submounts", ChangeEffect::kNextConnection,
     [](ExportSpec& s) { s.clear_submounts(); }},
    {"semantics.locks", ChangeEffect::kNextConnection,
     [](ExportSpec& s) { s.clear_shared_locks(); }},
    {"semantics.lock_wait", ChangeEffect::kNextConnection,
     [](ExportSpec& s) { s.clear_lock_wait_nanos(); }},
    {"semantics.preserve_noatime", ChangeEffect::kNextConnection,
     [](ExportSpec& s) { s.clear_preserve_noatime(); }},
    {"ids.uid_translations", ChangeEffect::kNextConnection,
     [](ExportSpec& s) { s.clear_uid_translations(); }},
    {"ids.gid_translations", ChangeEffect::kNextConnection,
     [](ExportSpec& s) { s.clear_gid_translations(); }},
    {"ids.uid_namespace", ChangeEffect::kNextConnection,
     [](ExportSpec& s) { s.clear_uid_namespace(); }},
    {"ids.gid_namespace", ChangeEffect::kNextConnection,
     [](ExportSpec& s) { s.clear_gid_namespace(); }},
    {"ids.uid_mount", ChangeEffect::kNextConnection, [](ExportSpec& s) { s.clear_uid_mount(); }},
    {"ids.gid_mount", ChangeEffect::kNextConnection, [](ExportSpec& s) { s.clear_gid_mount(); }},
    {"inodes.host_handles", ChangeEffect::kNextConnection,
     [](ExportSpec& s) { s.clear_host_handles(); }},
    {"inodes.max_file_descriptors", ChangeEffect::kNextConnection,
     [](ExportSpec& s) { s.clear_max_inode_fds(); }},
    {"transport.request_queues", ChangeEffect::kNextConnection,
     [](ExportSpec& s) { s.clear_request_queues(); }},
    {"transport.poll_us", ChangeEffect::kNextConnection, [](ExportSpec& s) { s.clear_poll_us(); }},
    {"sandbox.mode", ChangeEffect::kNextConnection, [](ExportSpec& s) { s.clear_sandbox_mode(); }},
    {"sandbox.seccomp", ChangeEffect::kNextConnection, [](ExportSpec& s) { s.clear_seccomp(); }},
    {"sandbox.add_capabilities", ChangeEffect::kNextConnection,
     [](ExportSpec& s) { s.clear_add_capabilities(); }},
    {"sandbox.drop_capabilities", ChangeEffect::kNextConnection,
     [](ExportSpec& s) { s.clear_drop_capabilities(); }},
    // The worker divides its descriptors when it starts.
    {"sandbox.limits.open_files", ChangeEffect::kNextConnection,
     ClearLimit<&Limits::clear_open_files>},
    {"sandbox.limits.memory_bytes", ChangeEffect::kLive, ClearLimit<&Limits::clear_memory_bytes>},
    {"sandbox.limits.threads", ChangeEffect::kLive, ClearLimit<&Limits::clear_threads>},
    {"sandbox.limits.cpu_microseconds_per_second", ChangeEffect::kLive,
     ClearLimit<&Limits::clear_cpu_microseconds_per_second>},
    {"sandbox.limits.io_read_bytes_per_second", ChangeEffect::kLive,
     ClearLimit<&Limits::clear_io_read_bytes_per_second>},
    {"sandbox.limits.io_write_bytes_per_second", ChangeEffect::kLive,
     ClearLimit<&Limits::clear_io_write_bytes_per_second>},
    {"sandbox.limits.io_read_operations_per_second", ChangeEffect::kLive,
     ClearLimit<&Limits::clear_io_read_operations_per_second>},
    {"sandbox.limits.io_write_operations_per_second", ChangeEffect::kLive,
     ClearLimit<&Limits::clear_io_write_operations_per_second>},
    {"qos", ChangeEffect::kLive, [](ExportSpec& s) { s.clear_qos(); }},
    {"owner.system", ChangeEffect::kLive, [](ExportSpec& s) { s.clear_owner_system(); }},
    {"owner.vm_id", ChangeEffect::kLive, [](ExportSpec& s) { s.clear_owner_vm_id(); }},
    {"labels", ChangeEffect::kLive, [](ExportSpec& s) { s.clear_labels(); }},
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

bool AreEqual(const ExportSpec& a, const ExportSpec& b) {
  return a.SerializeAsString() == b.SerializeAsString();
}

}  // namespace

std::vector<ChangedField> ChangedFields(const ExportSpec& a, const ExportSpec& b) {
  std::vector<ChangedField> changed;
  if (AreEqual(a, b)) return changed;
  // The lite runtime has no reflection. Two that differ in what no field clears are not looked at
  // further: nothing may change there.
  ExportSpec rest_of_a = a;
  ExportSpec rest_of_b = b;
  for (const Field& field : kFields) {
    field.clear(rest_of_a);
    field.clear(rest_of_b);
  }
  if (!AreEqual(rest_of_a, rest_of_b)) return {{kUnknownField, ChangeEffect::kNever}};
  for (const Field& field : kFields) {
    ExportSpec left = a;
    ExportSpec right = b;
    for (const Field& other : kFields) {
      if (&other == &field) continue;
      other.clear(left);
      other.clear(right);
    }
    if (!AreEqual(left, right)) changed.push_back({field.name, field.effect});
  }
  return changed;
}

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
    if (AreEqual(left, right)) return field->name;
  }
  return kUnknownField;
}

}  // namespace fsd::supervisor
