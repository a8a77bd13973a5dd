#include "server/supervisor/export_conditions.h"

#include <algorithm>

#include "absl/time/clock.h"
#include "server/errors/status_macros.h"
#include "server/telemetry/log.h"

namespace fsd::supervisor {
namespace {

using internal::WorkerStatus;

constexpr std::string_view kInodesExhausted = "INODE_REFERENCES_EXHAUSTED";

std::string_view HandleLackMessage(WorkerStatus::HandleLack lack) {
  switch (lack) {
    case WorkerStatus::HANDLE_LACK_NONE:
      return "";
    case WorkerStatus::HANDLE_LACK_NOT_PERMITTED:
      return "inodes are held by descriptor only, as if inodes.host_handles were NEVER: they take "
             "CAP_DAC_READ_SEARCH and CAP_DAC_OVERRIDE, and sandbox mode NAMESPACE without a user "
             "namespace";
    default:
      return "inodes are held by descriptor only, as if inodes.host_handles were NEVER: the "
             "export's file system has no handles that can be used";
  }
}

}  // namespace

const Condition* ExportConditions::Find(std::string_view reason) const {
  const auto found = std::find_if(conditions_.begin(), conditions_.end(),
                                  [reason](const Condition& c) { return c.reason == reason; });
  return found == conditions_.end() ? nullptr : &*found;
}

bool ExportConditions::Has(std::string_view reason) const { return Find(reason) != nullptr; }

std::string_view ExportConditions::MessageOf(std::string_view reason) const {
  const Condition* const found = Find(reason);
  return found == nullptr ? std::string_view() : found->message;
}

const Condition& ExportConditions::Add(std::string_view reason, std::string_view message) {
  Remove(reason);
  return conditions_.emplace_back(Condition{
      .reason = std::string(reason), .message = std::string(message), .since = absl::Now()});
}

void ExportConditions::Remove(std::string_view reason) {
  std::erase_if(conditions_, [reason](const Condition& c) { return c.reason == reason; });
}

bool ExportConditions::Set(const std::string& export_id, std::string_view reason,
                           std::string_view message) {
  const Condition* const now = Find(reason);
  if (now == nullptr ? message.empty() : now->message == message) return false;
  if (message.empty()) {
    Remove(reason);
  } else {
    FSD_LOG(kWarning, export_id, "%s: %s", Absl(reason), Add(reason, message).message);
  }
  return true;
}

bool ExportConditions::TakeStatus(const std::string& export_id, const WorkerStatus& status,
                                  bool inodes_refused) {
  const bool exhausted = inodes_refused || (status.inodes_spent() && Has(kInodesExhausted));
  bool changed = Set(
      export_id, kInodesExhausted,
      exhausted
          ? "the guest knows more files than the worker may keep descriptors of, and requests "
            "failed with ENFILE; raise the export's inodes.max_file_descriptors or, if its file "
            "system has host handles, do not set inodes.host_handles to NEVER (but no more than "
            "16777216 in any case)"
          : "");
  changed |= Set(export_id, "HOST_HANDLES_UNAVAILABLE", HandleLackMessage(status.handle_lack()));
  changed |= Set(
      export_id, "LANDLOCK_UNAVAILABLE",
      status.landlock_lacking()
          ? "the host's kernel has no Landlock that can be used (Linux 5.19 or later, with it "
            "among the boot parameter lsm), so that the worker is confined by the other walls of "
            "its jail only"
          : "");
  changed |= Set(
      export_id, "DEVICES_REFUSED",
      status.devices_refused()
          ? "the guest cannot make device nodes (EPERM), as its worker could open them on what the "
            "host mounts below the export later; give the server a cgroup (cgroup in its "
            "configuration) on a kernel with CONFIG_CGROUP_BPF, make the export's mount private "
            "on the host, or, if nobody wants devices, drop CAP_MKNOD"
          : "");
  return changed;
}

}  // namespace fsd::supervisor
