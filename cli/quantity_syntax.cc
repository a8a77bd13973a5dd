#include "cli/quantity_syntax.h"

#include <charconv>
#include <system_error>

namespace fsd::cli {
namespace {

constexpr std::string_view kUnits = "KMGT";
constexpr uint64_t kMillion = 1'000'000;
constexpr size_t kFractionDigits = 6;

// The whole of `text`, without sign.
std::optional<uint64_t> ParseNumber(std::string_view text) {
  uint64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || rest != end) return std::nullopt;
  return number;
}

}  // namespace

std::optional<uint64_t> ParseBytes(std::string_view text) {
  unsigned shift = 0;
  // "iB" says only what is meant anyway.
  if (text.size() > 2 && text.ends_with("iB") &&
      kUnits.find(text[text.size() - 3]) != std::string_view::npos) {
    text.remove_suffix(2);
  }
  if (!text.empty()) {
    const size_t unit = kUnits.find(text.back());
    if (unit != std::string_view::npos) {
      shift = 10 * (static_cast<unsigned>(unit) + 1);
      text.remove_suffix(1);
    }
  }
  const std::optional<uint64_t> number = ParseNumber(text);
  if (!number.has_value() || *number > UINT64_MAX >> shift) return std::nullopt;
  return *number << shift;
}

std::string BytesText(uint64_t bytes) {
  std::string unit;
  for (size_t i = 0; i < kUnits.size() && bytes != 0 && bytes % 1024 == 0; ++i) {
    bytes /= 1024;
    unit = kUnits[i];
  }
  return std::to_string(bytes) + unit;
}

std::optional<uint64_t> ParseMillionths(std::string_view text) {
  const size_t point = text.find('.');
  const std::optional<uint64_t> whole = ParseNumber(text.substr(0, point));
  if (!whole.has_value() || *whole > UINT64_MAX / kMillion - 1) return std::nullopt;
  if (point == std::string_view::npos) return *whole * kMillion;
  std::string fraction(text.substr(point + 1));
  if (fraction.empty() || fraction.size() > kFractionDigits) return std::nullopt;
  fraction.resize(kFractionDigits, '0');
  const std::optional<uint64_t> millionths = ParseNumber(fraction);
  if (!millionths.has_value()) return std::nullopt;
  return *whole * kMillion + *millionths;
}

std::string MillionthsText(uint64_t millionths) {
  std::string text = std::to_string(millionths / kMillion);
  std::string fraction = std::to_string(kMillion + millionths % kMillion).substr(1);
  fraction.erase(fraction.find_last_not_of('0') + 1);
  return fraction.empty() ? text : text + "." + fraction;
}

}  // namespace fsd::cli
