#include "server/control/export_translation.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <string_view>

#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "server/control/export_name.h"
#include "server/control/option_translation.h"

namespace fsd::control {
namespace {

constexpr uint32_t kDefaultSocketMode = 0600;
constexpr int64_t kNanosPerSecond = 1'000'000'000;

google::protobuf::Timestamp ToTimestamp(int64_t unix_nanos) {
  google::protobuf::Timestamp time;
  int64_t seconds = unix_nanos / kNanosPerSecond;
  int64_t nanos = unix_nanos % kNanosPerSecond;
  if (nanos < 0) {  // a Timestamp's nanos count forward, before 1970 too
    seconds -= 1;
    nanos += kNanosPerSecond;
  }
  time.set_seconds(seconds);
  time.set_nanos(static_cast<int32_t>(nanos));
  return time;
}

v1::ExportStatus::State ToV1(supervisor::ExportState state) {
  switch (state) {
    case supervisor::ExportState::kCreating:
      return v1::ExportStatus::CREATING;
    case supervisor::ExportState::kListening:
      return v1::ExportStatus::LISTENING;
    case supervisor::ExportState::kConnected:
      return v1::ExportStatus::CONNECTED;
    case supervisor::ExportState::kMounted:
      return v1::ExportStatus::MOUNTED;
    case supervisor::ExportState::kRecovering:
      return v1::ExportStatus::RECOVERING;
    case supervisor::ExportState::kFailed:
      return v1::ExportStatus::FAILED;
    case supervisor::ExportState::kDeleting:
      return v1::ExportStatus::DELETING;
    case supervisor::ExportState::kDraining:
      return v1::ExportStatus::DRAINING;
  }
  return v1::ExportStatus::STATE_UNSPECIFIED;
}

void FillConnection(const internal::Connection& from, v1::Connection& to) {
  *to.mutable_connect_time() = ToTimestamp(from.since_unix_nanos());
  to.set_virtio_features(from.virtio_features());
  to.set_protocol_features(from.protocol_features());
  to.set_queues(from.queues());
  if (from.fuse_major() != 0) {
    to.mutable_fuse()->set_major(from.fuse_major());
    to.mutable_fuse()->set_minor(from.fuse_minor());
    to.mutable_fuse()->set_init_flags(from.init_flags());
  }
}

void FillCondition(const supervisor::Condition& from, v1::Condition& to) {
  to.set_reason(from.reason);
  to.set_message(from.message);
  *to.mutable_time() = ToTimestamp(absl::ToUnixNanos(from.since));
}

void FillStatus(const supervisor::ExportView& from, v1::ExportStatus& to) {
  to.set_state(ToV1(from.state));
  for (const supervisor::Condition& condition : from.conditions) {
    FillCondition(condition, *to.add_conditions());
  }
  if (from.last_failure) FillCondition(*from.last_failure, *to.mutable_last_failure());
  to.set_worker_pid(from.worker_pid);
  if (from.worker.has_connection()) {
    FillConnection(from.worker.connection(), *to.mutable_connection());
  }
  to.set_restarts(from.restarts);
  to.set_open_files(from.worker.open_files());
  to.set_inodes(from.worker.inodes());
  to.set_connections_accepted(from.worker.connections_accepted());
  to.set_connections_refused(from.worker.connections_refused());
}

}  // namespace

internal::ExportSpec ToSpec(const std::string& export_id, const v1::Export& resource) {
  internal::ExportSpec spec;
  spec.set_id(export_id);
  const std::map<std::string, std::string> sorted(resource.labels().begin(),
                                                  resource.labels().end());
  for (const auto& [key, value] : sorted) {
    internal::Label& label = *spec.add_labels();
    label.set_key(key);
    label.set_value(value);
  }
  spec.set_owner_system(resource.owner().system());
  spec.set_owner_vm_id(resource.owner().vm_id());
  spec.set_source_path(resource.source().passthrough().path());
  spec.set_tag(resource.tag());
  spec.set_advertise_tag(resource.advertise_tag());
  spec.set_socket_path(resource.socket().path());
  spec.set_socket_uid(resource.socket().uid());
  spec.set_socket_gid(resource.socket().gid());
  spec.set_socket_mode(resource.socket().mode() == 0 ? kDefaultSocketMode
                                                     : resource.socket().mode());
  spec.set_read_only(resource.read_only());
  OptionsToSpec(resource, spec);
  return spec;
}

v1::Export ToExport(const supervisor::ExportView& view) {
  const internal::ExportSpec& spec = view.record.spec();
  v1::Export resource;
  resource.set_name(ExportName(spec.id()));
  resource.set_uid(view.record.uid());
  resource.set_etag(Etag(view.record));
  *resource.mutable_create_time() = ToTimestamp(view.record.create_time_unix_nanos());
  *resource.mutable_update_time() = ToTimestamp(view.record.update_time_unix_nanos());
  for (const internal::Label& label : spec.labels()) {
    (*resource.mutable_labels())[label.key()] = label.value();
  }
  if (!spec.owner_system().empty() || !spec.owner_vm_id().empty()) {
    resource.mutable_owner()->set_system(spec.owner_system());
    resource.mutable_owner()->set_vm_id(spec.owner_vm_id());
  }
  resource.mutable_source()->mutable_passthrough()->set_path(spec.source_path());
  resource.set_tag(spec.tag());
  resource.set_advertise_tag(spec.advertise_tag());
  resource.mutable_socket()->set_path(spec.socket_path());
  resource.mutable_socket()->set_uid(spec.socket_uid());
  resource.mutable_socket()->set_gid(spec.socket_gid());
  resource.mutable_socket()->set_mode(spec.socket_mode());
  resource.set_read_only(spec.read_only());
  OptionsToExport(spec, resource);
  FillStatus(view, *resource.mutable_status());
  return resource;
}

std::string Etag(const internal::ExportRecord& record) {
  // What it does, not what it is.
  internal::ExportRecord specified = record;
  specified.clear_draining();
  // FNV-1a over the serialized record, which has no map field and so one form only.
  uint64_t hash = 0xcbf29ce484222325;
  for (const char c : specified.SerializeAsString()) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  }
  return absl::StrFormat("\"%016x\"", hash);
}

}  // namespace fsd::control
