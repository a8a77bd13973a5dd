#include "server/supervisor/restart_policy.h"

#include <algorithm>

namespace fsd::supervisor {

std::optional<absl::Duration> RestartPolicy::OnFailure(absl::Duration healthy_for) {
  if (healthy_for >= limits_.healthy_after) failures_ = 0;
  ++failures_;
  if (failures_ >= limits_.max_failures) return std::nullopt;
  absl::Duration delay = limits_.first_delay;
  for (int i = 1; i < failures_ && delay < limits_.max_delay; ++i) delay *= 2;
  return std::min(delay, limits_.max_delay);
}

}  // namespace fsd::supervisor
