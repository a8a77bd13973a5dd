#include "server/supervisor/handover_check.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "server/errors/status_macros.h"
#include "server/ipc/worker_channel.h"
#include "server/os/unix_socket.h"
#include "server/supervisor/export_difference.h"
#include "server/supervisor/export_spec.h"
#include "server/telemetry/export_counters.h"
#include "server/telemetry/log.h"

namespace fsd::supervisor {
namespace {

absl::Status Misdeed(absl::string_view what, const absl::Status& why) {
  return absl::InvalidArgumentError(absl::StrCat(what, ": ", why.message()));
}

absl::Status CheckSpec(const Config& config, const internal::ExportRecord& record,
                       const internal::WorkerSpec& spec) {
  if (spec.export_uid() != record.uid() || spec.spec().id() != record.spec().id()) {
    return absl::InvalidArgumentError("it handed over another export");
  }
  internal::ExportSpec served = spec.spec();
  if (const absl::Status allowed = CompleteExportSpec(config, served); !allowed.ok()) {
    return Misdeed("the configuration does not allow what it serves", allowed);
  }
  return absl::OkStatus();
}

// The vhost-user socket, beside counters that nobody can shorten.
absl::StatusOr<ExportSocket> CheckParts(const Config& config, const internal::ExportRecord& record,
                                        Handover& handover) {
  FSD_RETURN_IF_ERROR(CheckSpec(config, record, handover.spec));
  const internal::ExportSpec& spec = record.spec();
  // Of any size: another release's may count more.
  if (!telemetry::HasFixedSize(handover.counters.get())) {
    return absl::InvalidArgumentError("it handed over counters that are none");
  }
  auto vhost =
      ExportSocket::AdoptBelow(SocketDirectories(config), spec.socket_path(),
                               os::SocketType::kStream, AccessOf(spec), handover.vhost_listener);
  if (!vhost.ok()) return Misdeed("it handed over another vhost-user socket", vhost.status());
  return vhost;
}

std::vector<std::string_view> FindOutdated(const internal::ExportRecord& record,
                                           const internal::WorkerSpec& spec) {
  std::vector<std::string_view> outdated;
  for (const ChangedField& field : ChangedFields(spec.spec(), record.spec())) {
    if (field.effect != ChangeEffect::kLive) outdated.push_back(field.name);
  }
  return outdated;
}

}  // namespace

std::vector<std::string> SocketDirectories(const Config& config) {
  std::vector<std::string> directories = config.allow_socket;
  directories.push_back(config.runtime_dir);
  return directories;
}

os::SocketAccess AccessOf(const internal::ExportSpec& spec) {
  return {.uid = spec.socket_uid(),
          .gid = spec.socket_gid(),
          .mode = static_cast<mode_t>(spec.socket_mode())};
}

absl::StatusOr<CheckedHandover> CheckHandover(const Config& config,
                                              const internal::ExportRecord& record,
                                              Handover handover) {
  absl::StatusOr<ExportSocket> vhost = CheckParts(config, record, handover);
  if (!vhost.ok()) {
    std::vector<os::UniqueFd> fds;
    fds.push_back(std::move(handover.vhost_listener));
    fds.push_back(std::move(handover.counters));
    ipc::CloseInBackground(std::move(fds));
    return vhost.status();
  }
  if (!telemetry::HasCounterLayout(handover.counters.get())) {
    FSD_LOG(kWarning, record.spec().id(),
            "its worker counts in another layout than this release reads; its counts begin anew "
            "with its next worker");
    handover.counters.reset();
  }
  return CheckedHandover{.vhost = *std::move(vhost),
                         .counters = std::move(handover.counters),
                         .spec = handover.spec,
                         .outdated = FindOutdated(record, handover.spec)};
}

}  // namespace fsd::supervisor
