// What `fsctl export wait` waits for.
#ifndef FSD_CLI_WAIT_CONDITION_H_
#define FSD_CLI_WAIT_CONDITION_H_

#include <optional>
#include <string>

#include "proto/fsd/v1/export.pb.h"

namespace fsd::cli {

inline constexpr char kWaitForms[] =
    "state=STATE, mounted, drained, deleted, condition=REASON or condition=REASON=false";

class WaitCondition {
 public:
  // Of one of kWaitForms; a state alone, in any case, is taken too. Absent if it is none.
  static std::optional<WaitCondition> Parse(const std::string& text);

  // Whether an export that is there fulfils it.
  bool IsMet(const v1::Export& resource) const;
  bool IsDeletion() const { return kind_ == Kind::kDeleted; }

  // How far the export is from it, for people: "it is LISTENING, not MOUNTED".
  std::string Difference(const v1::Export& resource) const;

 private:
  enum class Kind { kState, kDrained, kDeleted, kCondition, kNoCondition };

  Kind kind_ = Kind::kState;
  v1::ExportStatus::State state_ = v1::ExportStatus::STATE_UNSPECIFIED;
  std::string reason_;
};

}  // namespace fsd::cli

#endif  // FSD_CLI_WAIT_CONDITION_H_
