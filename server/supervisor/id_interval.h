// IdInterval: user or group ids from one to another, both included; "0", "1000-1999".
#ifndef FSD_SERVER_SUPERVISOR_ID_INTERVAL_H_
#define FSD_SERVER_SUPERVISOR_ID_INTERVAL_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fsd::supervisor {

inline constexpr uint32_t kLastId = 4294967294;  // the next one is (uid_t)-1, which is no id

// By default all that there are.
struct IdInterval {
  uint32_t first = 0;
  uint32_t last = kLastId;
};

// Decimal numbers, at most kLastId, the second not the smaller one.
std::optional<IdInterval> ParseIdInterval(std::string_view text);
// What ParseIdInterval reads.
std::string IdIntervalText(const IdInterval& interval);

bool Contain(const std::vector<IdInterval>& intervals, uint32_t id);

}  // namespace fsd::supervisor

#endif  // FSD_SERVER_SUPERVISOR_ID_INTERVAL_H_
