#include "server/supervisor/restoration.h"

#include <dirent.h>

#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/errors/status_macros.h"
#include "server/os/unix_socket.h"
#include "server/supervisor/export_spec.h"
#include "server/telemetry/log.h"

namespace fsd::supervisor {
namespace {

constexpr absl::Duration kLookAgainAfter = absl::Milliseconds(50);

// Of the exports that have, or had, a control socket.
std::vector<std::string> IdsWithControlSocket(const Config& config) {
  constexpr std::string_view kEnding = ".sock";
  const std::string any = ControlSocketPath(config, "any");
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::opendir(any.substr(0, any.rfind('/')).c_str()),
                                                   ::closedir);
  std::vector<std::string> ids;
  while (const dirent* entry = stream == nullptr ? nullptr : ::readdir(stream.get())) {
    std::string_view name = entry->d_name;
    if (!name.ends_with(kEnding)) continue;
    name.remove_suffix(kEnding.size());
    if (IsValidExportId(name)) ids.emplace_back(name);
  }
  return ids;
}

absl::Status CheckAllowed(const Config& config, const Export& recorded) {
  internal::ExportSpec spec = recorded.record().spec();
  return CompleteExportSpec(config, spec);
}

}  // namespace

void Restoration::Begin() {
  const absl::Duration patience = surroundings_.timing.worker.adopt;
  for (const auto& [id, recorded] : surroundings_.exports.all()) {
    Find(id, recorded->record().uid(), patience);
  }
  for (const std::string& id : IdsWithControlSocket(surroundings_.config)) {
    if (surroundings_.exports.Find(id) == nullptr) Find(id, "", patience);
  }
}

void Restoration::Find(const std::string& id, const std::string& uid, absl::Duration patience) {
  Export* recorded = surroundings_.exports.Find(id);
  // Made meanwhile: whoever listened is gone, and who listens now is its worker.
  if (recorded != nullptr && recorded->record().uid() != uid) return;
  if (recorded != nullptr && recorded->stopping()) recorded = nullptr;  // removed meanwhile
  auto found = FindEarlierWorker(ControlSocketPath(surroundings_.config, id), id);
  if (!found.ok()) {
    if (patience <= absl::ZeroDuration()) return OnUnknown(id, recorded, found.status());
    if (recorded != nullptr) recorded->AwaitEarlierWorker();
    surroundings_.loop.CallAfter(
        kLookAgainAfter, [this, id, uid, patience] { Find(id, uid, patience - kLookAgainAfter); });
    return;
  }
  if (!found->has_value()) return OnNobody(id, recorded);
  OnFound(id, recorded, **std::move(found));
}

void Restoration::OnNobody(const std::string& id, Export* recorded) {
  if (recorded == nullptr) {
    RemoveDeadSocket(DefaultSocketPath(surroundings_.config, id), os::SocketType::kStream);
    RemoveDeadSocket(ControlSocketPath(surroundings_.config, id), os::SocketType::kSeqPacket);
    return;
  }
  if (const absl::Status allowed = CheckAllowed(surroundings_.config, *recorded); !allowed.ok()) {
    return recorded->Fail(allowed);
  }
  recorded->Restore();
}

void Restoration::OnFound(const std::string& id, Export* recorded, EarlierWorker worker) {
  if (recorded == nullptr) {
    FSD_LOG(kWarning, id, "ending worker %d, whose export has no record", worker.worker.pid);
    return End(id, std::move(worker));
  }
  if (const absl::Status allowed = CheckAllowed(surroundings_.config, *recorded); !allowed.ok()) {
    recorded->Fail(allowed);
    FSD_LOG(kWarning, id, "ending worker %d, which serves what is no longer allowed",
            worker.worker.pid);
    return End(id, std::move(worker));
  }
  recorded->Adopt(std::move(worker));
}

void Restoration::OnUnknown(const std::string& id, Export* recorded, const absl::Status& who) {
  const std::string message =
      absl::StrCat("somebody listens on ", ControlSocketPath(surroundings_.config, id),
                   " who is not known to be the export's worker, and is left alone (",
                   who.message(), "); end that process, and restart the export's worker");
  if (recorded != nullptr) return recorded->Fail("WORKER_NOT_ADOPTED", message);
  FSD_LOG(kError, id, "%s", message);
}

void Restoration::End(const std::string& id, EarlierWorker worker) {
  auto ending = LeftoverWorker::End(
      surroundings_.loop, surroundings_.timing.worker, surroundings_.config, id, std::move(worker),
      [this, id] {
        if (surroundings_.cgroups != nullptr && surroundings_.exports.Find(id) == nullptr) {
          surroundings_.cgroups->Remove(id);
        }
        leftovers_.erase(id);
      });
  if (ending.ok()) {
    leftovers_[id] = *std::move(ending);
  } else {
    FSD_LOG(kError, id, "killed a worker that could not be watched: %s",
            std::string(ending.status().message()));
  }
}

}  // namespace fsd::supervisor
