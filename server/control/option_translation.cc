#include "server/control/option_translation.h"

#include <cstdint>
#include <utility>

namespace fsd::control {
namespace {

using google::protobuf::Duration;
using google::protobuf::RepeatedPtrField;
using internal::ExportSpec;

constexpr int64_t kNanosPerSecond = 1'000'000'000;

// The specification's enums have the API's numbers, so that a value needs no table. A value that
// only one of them has breaks the build here.
static_assert(static_cast<int>(v1::Cache::Policy_MAX) == ExportSpec::Cache_MAX);
static_assert(static_cast<int>(v1::Cache::ReadDirPlus_MAX) == ExportSpec::ReadDirPlus_MAX);
static_assert(static_cast<int>(v1::Use_MAX) == ExportSpec::Use_MAX);
static_assert(static_cast<int>(v1::XattrRule::Type_MAX) == ExportSpec::XattrRule::Type_MAX);
static_assert(static_cast<int>(v1::XattrRule::Scope_MAX) == ExportSpec::XattrRule::Scope_MAX);
static_assert(static_cast<int>(v1::IdTranslation::Kind_MAX) == ExportSpec::IdTranslation::Kind_MAX);
static_assert(static_cast<int>(v1::Inodes::HostHandles_MAX) == ExportSpec::HostHandles_MAX);
static_assert(static_cast<int>(v1::Sandbox::Mode_MAX) == ExportSpec::SandboxMode_MAX);
static_assert(static_cast<int>(v1::Sandbox::Seccomp_MAX) == ExportSpec::Seccomp_MAX);

// Within int64 as validation bounds durations.
int64_t ToNanos(const Duration& duration) {
  return duration.seconds() * kNanosPerSecond + duration.nanos();
}

Duration ToDuration(int64_t nanos) {
  Duration duration;
  duration.set_seconds(nanos / kNanosPerSecond);
  duration.set_nanos(static_cast<int32_t>(nanos % kNanosPerSecond));
  return duration;
}

void CacheToSpec(const v1::Cache& cache, ExportSpec& spec) {
  spec.set_cache(cache.policy() == v1::Cache::POLICY_UNSPECIFIED
                     ? ExportSpec::CACHE_AUTO
                     : static_cast<ExportSpec::Cache>(cache.policy()));
  if (cache.has_attr_timeout()) spec.set_attr_timeout_nanos(ToNanos(cache.attr_timeout()));
  if (cache.has_entry_timeout()) spec.set_entry_timeout_nanos(ToNanos(cache.entry_timeout()));
  if (cache.has_negative_timeout()) {
    spec.set_negative_timeout_nanos(ToNanos(cache.negative_timeout()));
  }
  spec.set_writeback(cache.writeback());
  spec.set_direct_io(cache.direct_io());
  spec.set_mmap(cache.mmap());
  spec.set_readdirplus(static_cast<ExportSpec::ReadDirPlus>(cache.readdirplus()));
  spec.set_cache_symlinks(cache.symlinks());
  spec.set_zero_message_open(cache.zero_message_open());
}

void CacheToExport(const ExportSpec& spec, v1::Cache& cache) {
  cache.set_policy(static_cast<v1::Cache::Policy>(spec.cache()));
  if (spec.has_attr_timeout_nanos()) {
    *cache.mutable_attr_timeout() = ToDuration(spec.attr_timeout_nanos());
  }
  if (spec.has_entry_timeout_nanos()) {
    *cache.mutable_entry_timeout() = ToDuration(spec.entry_timeout_nanos());
  }
  if (spec.has_negative_timeout_nanos()) {
    *cache.mutable_negative_timeout() = ToDuration(spec.negative_timeout_nanos());
  }
  cache.set_writeback(spec.writeback());
  cache.set_direct_io(spec.direct_io());
  cache.set_mmap(spec.mmap());
  cache.set_readdirplus(static_cast<v1::Cache::ReadDirPlus>(spec.readdirplus()));
  cache.set_symlinks(spec.cache_symlinks());
  cache.set_zero_message_open(spec.zero_message_open());
}

void SemanticsToSpec(const v1::Semantics& semantics, ExportSpec& spec) {
  spec.set_xattr(semantics.xattr());
  for (const v1::XattrRule& rule : semantics.xattr_rules()) {
    ExportSpec::XattrRule& to = *spec.add_xattr_rules();
    to.set_type(static_cast<ExportSpec::XattrRule::Type>(rule.type()));
    to.set_scope(static_cast<ExportSpec::XattrRule::Scope>(rule.scope()));
    to.set_key(rule.key());
    to.set_prepend(rule.prepend());
  }
  spec.set_posix_acl(static_cast<ExportSpec::Use>(semantics.posix_acl()));
  spec.set_security_label(static_cast<ExportSpec::Use>(semantics.security_label()));
  spec.set_killpriv(static_cast<ExportSpec::Use>(semantics.killpriv()));
  if (semantics.has_submounts()) spec.set_submounts(semantics.submounts());
  spec.set_shared_locks(semantics.locks() == v1::Semantics::SHARED);
  if (semantics.has_lock_wait()) spec.set_lock_wait_nanos(ToNanos(semantics.lock_wait()));
  spec.set_preserve_noatime(semantics.preserve_noatime());
}

v1::Semantics ToSemantics(const ExportSpec& spec) {
  v1::Semantics semantics;
  semantics.set_xattr(spec.xattr());
  for (const ExportSpec::XattrRule& rule : spec.xattr_rules()) {
    v1::XattrRule& to = *semantics.add_xattr_rules();
    to.set_type(static_cast<v1::XattrRule::Type>(rule.type()));
    to.set_scope(static_cast<v1::XattrRule::Scope>(rule.scope()));
    to.set_key(rule.key());
    to.set_prepend(rule.prepend());
  }
  semantics.set_posix_acl(static_cast<v1::Use>(spec.posix_acl()));
  semantics.set_security_label(static_cast<v1::Use>(spec.security_label()));
  semantics.set_killpriv(static_cast<v1::Use>(spec.killpriv()));
  if (spec.has_submounts()) semantics.set_submounts(spec.submounts());
  if (spec.shared_locks()) semantics.set_locks(v1::Semantics::SHARED);
  if (spec.has_lock_wait_nanos()) {
    *semantics.mutable_lock_wait() = ToDuration(spec.lock_wait_nanos());
  }
  semantics.set_preserve_noatime(spec.preserve_noatime());
  return semantics;
}

template <typename To, typename From>
void CopyTranslations(const RepeatedPtrField<From>& from, RepeatedPtrField<To>& to) {
  for (const From& translation : from) {
    To& copy = *to.Add();
    copy.set_kind(static_cast<typename To::Kind>(translation.kind()));
    copy.set_guest_first(translation.guest_first());
    copy.set_host_first(translation.host_first());
    copy.set_count(translation.count());
  }
}

template <typename To, typename From>
void CopyRanges(const RepeatedPtrField<From>& from, RepeatedPtrField<To>& to) {
  for (const From& range : from) {
    To& copy = *to.Add();
    copy.set_inside_first(range.inside_first());
    copy.set_outside_first(range.outside_first());
    copy.set_count(range.count());
  }
}

void IdsToSpec(const v1::IdMapping& ids, ExportSpec& spec) {
  CopyTranslations(ids.uid_translations(), *spec.mutable_uid_translations());
  CopyTranslations(ids.gid_translations(), *spec.mutable_gid_translations());
  CopyRanges(ids.uid_namespace(), *spec.mutable_uid_namespace());
  CopyRanges(ids.gid_namespace(), *spec.mutable_gid_namespace());
  CopyRanges(ids.uid_mount(), *spec.mutable_uid_mount());
  CopyRanges(ids.gid_mount(), *spec.mutable_gid_mount());
}

v1::IdMapping ToIds(const ExportSpec& spec) {
  v1::IdMapping ids;
  CopyTranslations(spec.uid_translations(), *ids.mutable_uid_translations());
  CopyTranslations(spec.gid_translations(), *ids.mutable_gid_translations());
  CopyRanges(spec.uid_namespace(), *ids.mutable_uid_namespace());
  CopyRanges(spec.gid_namespace(), *ids.mutable_gid_namespace());
  CopyRanges(spec.uid_mount(), *ids.mutable_uid_mount());
  CopyRanges(spec.gid_mount(), *ids.mutable_gid_mount());
  return ids;
}

v1::Inodes ToInodes(const ExportSpec& spec) {
  v1::Inodes inodes;
  inodes.set_host_handles(static_cast<v1::Inodes::HostHandles>(spec.host_handles()));
  inodes.set_max_file_descriptors(spec.max_inode_fds());
  return inodes;
}

v1::Transport ToTransport(const ExportSpec& spec) {
  v1::Transport transport;
  transport.set_request_queues(spec.request_queues());
  transport.set_poll_us(spec.poll_us());
  return transport;
}

template <typename To, typename From>
To CopyLimits(const From& from) {
  To to;
  to.set_memory_bytes(from.memory_bytes());
  to.set_open_files(from.open_files());
  to.set_threads(from.threads());
  to.set_cpu_microseconds_per_second(from.cpu_microseconds_per_second());
  to.set_io_read_bytes_per_second(from.io_read_bytes_per_second());
  to.set_io_write_bytes_per_second(from.io_write_bytes_per_second());
  to.set_io_read_operations_per_second(from.io_read_operations_per_second());
  to.set_io_write_operations_per_second(from.io_write_operations_per_second());
  return to;
}

void SandboxToSpec(const v1::Sandbox& sandbox, ExportSpec& spec) {
  spec.set_sandbox_mode(static_cast<ExportSpec::SandboxMode>(sandbox.mode()));
  spec.set_seccomp(static_cast<ExportSpec::Seccomp>(sandbox.seccomp()));
  *spec.mutable_add_capabilities() = sandbox.add_capabilities();
  *spec.mutable_drop_capabilities() = sandbox.drop_capabilities();
  auto limits = CopyLimits<ExportSpec::Limits>(sandbox.limits());
  if (limits.ByteSizeLong() > 0) *spec.mutable_limits() = std::move(limits);
}

v1::Sandbox ToSandbox(const ExportSpec& spec) {
  v1::Sandbox sandbox;
  sandbox.set_mode(static_cast<v1::Sandbox::Mode>(spec.sandbox_mode()));
  sandbox.set_seccomp(static_cast<v1::Sandbox::Seccomp>(spec.seccomp()));
  *sandbox.mutable_add_capabilities() = spec.add_capabilities();
  *sandbox.mutable_drop_capabilities() = spec.drop_capabilities();
  auto limits = CopyLimits<v1::Limits>(spec.limits());
  if (limits.ByteSizeLong() > 0) *sandbox.mutable_limits() = std::move(limits);
  return sandbox;
}

template <typename To, typename From>
To CopyRate(const From& from) {
  To to;
  to.set_operations_per_second(from.operations_per_second());
  to.set_bytes_per_second(from.bytes_per_second());
  to.set_burst_operations(from.burst_operations());
  to.set_burst_bytes(from.burst_bytes());
  return to;
}

// Without rates that say nothing: they are as if they were not there.
template <typename To, typename Rate, typename From>
To CopyQos(const From& from) {
  To to;
  if (from.read().ByteSizeLong() > 0) *to.mutable_read() = CopyRate<Rate>(from.read());
  if (from.write().ByteSizeLong() > 0) *to.mutable_write() = CopyRate<Rate>(from.write());
  if (from.total().ByteSizeLong() > 0) *to.mutable_total() = CopyRate<Rate>(from.total());
  return to;
}

}  // namespace

void OptionsToSpec(const v1::Export& resource, ExportSpec& spec) {
  CacheToSpec(resource.cache(), spec);
  SemanticsToSpec(resource.semantics(), spec);
  IdsToSpec(resource.ids(), spec);
  spec.set_host_handles(static_cast<ExportSpec::HostHandles>(resource.inodes().host_handles()));
  spec.set_max_inode_fds(resource.inodes().max_file_descriptors());
  spec.set_request_queues(resource.transport().request_queues());
  spec.set_poll_us(resource.transport().poll_us());
  SandboxToSpec(resource.sandbox(), spec);
  auto qos = CopyQos<ExportSpec::Qos, ExportSpec::Rate>(resource.qos());
  if (qos.ByteSizeLong() > 0) *spec.mutable_qos() = std::move(qos);
}

void OptionsToExport(const ExportSpec& spec, v1::Export& resource) {
  CacheToExport(spec, *resource.mutable_cache());
  v1::Semantics semantics = ToSemantics(spec);
  if (semantics.ByteSizeLong() > 0) *resource.mutable_semantics() = std::move(semantics);
  v1::IdMapping ids = ToIds(spec);
  if (ids.ByteSizeLong() > 0) *resource.mutable_ids() = std::move(ids);
  v1::Inodes inodes = ToInodes(spec);
  if (inodes.ByteSizeLong() > 0) *resource.mutable_inodes() = std::move(inodes);
  v1::Transport transport = ToTransport(spec);
  if (transport.ByteSizeLong() > 0) *resource.mutable_transport() = std::move(transport);
  v1::Sandbox sandbox = ToSandbox(spec);
  if (sandbox.ByteSizeLong() > 0) *resource.mutable_sandbox() = std::move(sandbox);
  auto qos = CopyQos<v1::Qos, v1::Rate>(spec.qos());
  if (qos.ByteSizeLong() > 0) *resource.mutable_qos() = std::move(qos);
}

}  // namespace fsd::control
