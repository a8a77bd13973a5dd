#include "server/supervisor/id_interval.h"

#include <algorithm>
#include <charconv>
#include <system_error>

#include "absl/strings/str_cat.h"

namespace fsd::supervisor {
namespace {

// The whole of `text`, without sign.
std::optional<uint32_t> ParseId(std::string_view text) {
  uint32_t id = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, id);
  if (error != std::errc() || rest != end || id > kLastId) return std::nullopt;
  return id;
}

}  // namespace

std::optional<IdInterval> ParseIdInterval(std::string_view text) {
  const size_t dash = text.find('-');
  const std::optional<uint32_t> first = ParseId(text.substr(0, dash));
  const std::optional<uint32_t> last =
      dash == std::string_view::npos ? first : ParseId(text.substr(dash + 1));
  if (!first.has_value() || !last.has_value() || *last < *first) return std::nullopt;
  return IdInterval{.first = *first, .last = *last};
}

std::string IdIntervalText(const IdInterval& interval) {
  if (interval.first == interval.last) return absl::StrCat(interval.first);
  return absl::StrCat(interval.first, "-", interval.last);
}

bool Contain(const std::vector<IdInterval>& intervals, uint32_t id) {
  return std::any_of(intervals.begin(), intervals.end(), [id](const IdInterval& interval) {
    return interval.first <= id && id <= interval.last;
  });
}

}  // namespace fsd::supervisor
