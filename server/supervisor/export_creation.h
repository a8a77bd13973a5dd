// ExportCreation: makes exports: whether one may be, its source, its record, its first worker.
//
// A creation has an Operation until its worker is ready; what fails is undone before that is
// answered. For the loop's thread.
#ifndef FSD_SERVER_SUPERVISOR_EXPORT_CREATION_H_
#define FSD_SERVER_SUPERVISOR_EXPORT_CREATION_H_

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/fsd/internal/export_spec.pb.h"
#include "server/os/unique_fd.h"
#include "server/supervisor/export.h"
#include "server/supervisor/export_registry.h"
#include "server/supervisor/export_removal.h"
#include "server/supervisor/export_store.h"
#include "server/supervisor/export_view.h"
#include "server/supervisor/operation.h"

namespace fsd::supervisor {

class ExportCreation {
 public:
  using Done = std::function<void(absl::StatusOr<ExportView>)>;

  // All outlive it.
  struct Surroundings {
    const Export::Surroundings& of_exports;
    ExportStore& store;
    ExportRegistry& exports;
    std::map<std::string, Operation>& operations;
    ExportRemoval& removal;
  };
  explicit ExportCreation(const Surroundings& surroundings) : surroundings_(surroundings) {}

  // As Supervisor::CreateExport.
  void Create(internal::ExportSpec spec, std::string request_id, bool validate_only, Done done);
  // Undoes all that are not done.
  void Shutdown();

 private:
  // The export of this id, if it exists already, as an answer.
  std::optional<absl::StatusOr<ExportView>> AnswerFromExisting(const internal::ExportSpec& spec,
                                                               const std::string& request_id);
  void ValidateOnly(internal::ExportSpec spec, Done done);
  // The export of this incarnation, unless it is being removed.
  Export* FindCreating(const std::string& id, const std::string& uid) const;
  void OnSource(const std::string& id, const std::string& uid, absl::StatusOr<os::UniqueFd> source);
  void OnStarted(const std::string& id, const absl::Status& status);
  void Fail(const std::string& id, const absl::Status& why);

  const Surroundings surroundings_;
};

}  // namespace fsd::supervisor

#endif  // FSD_SERVER_SUPERVISOR_EXPORT_CREATION_H_
