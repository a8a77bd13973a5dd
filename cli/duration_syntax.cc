#include "cli/duration_syntax.h"

#include <array>
#include <charconv>
#include <cstdint>
#include <string>

namespace fsd::cli {
namespace {

constexpr int64_t kNanosPerSecond = 1'000'000'000;

struct Unit {
  std::string_view name;
  int64_t nanos;
};

// The largest first, as DurationText wants them.
constexpr std::array<Unit, 5> kUnits = {{
    {"d", 86'400 * kNanosPerSecond},
    {"h", 3'600 * kNanosPerSecond},
    {"m", 60 * kNanosPerSecond},
    {"s", kNanosPerSecond},
    {"ms", 1'000'000},
}};

const Unit* FindUnit(std::string_view name) {
  for (const Unit& unit : kUnits) {
    if (unit.name == name) return &unit;
  }
  return nullptr;
}

// Takes the digits at the beginning of `text`.
std::string_view TakeDigits(std::string_view& text) {
  const std::string_view digits = text.substr(0, text.find_first_not_of("0123456789"));
  text.remove_prefix(digits.size());
  return digits;
}

// Of at most twelve digits.
int64_t ToNumber(std::string_view digits) {
  int64_t number = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), number);
  return number;
}

}  // namespace

std::optional<google::protobuf::Duration> ParseDuration(std::string_view text) {
  constexpr size_t kMaxDigits = 12;
  const std::string_view whole = TakeDigits(text);
  if (whole.empty() || whole.size() > kMaxDigits) return std::nullopt;
  std::string_view fraction;
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    fraction = TakeDigits(text);
    if (fraction.empty() || fraction.size() > kMaxDigits) return std::nullopt;
  }
  const Unit* unit = FindUnit(text);
  if (unit == nullptr) return std::nullopt;

  __int128 nanos = static_cast<__int128>(ToNumber(fraction)) * unit->nanos;
  for (size_t i = 0; i < fraction.size(); ++i) {
    if (nanos % 10 != 0) return std::nullopt;
    nanos /= 10;
  }
  nanos += static_cast<__int128>(ToNumber(whole)) * unit->nanos;
  google::protobuf::Duration duration;
  duration.set_seconds(static_cast<int64_t>(nanos / kNanosPerSecond));
  duration.set_nanos(static_cast<int32_t>(nanos % kNanosPerSecond));
  return duration;
}

std::optional<std::chrono::nanoseconds> ParseTimeout(std::string_view text) {
  const bool is_bare = !text.empty() && text.find_first_not_of("0123456789") == text.npos;
  const auto duration = ParseDuration(is_bare ? std::string(text) + "s" : std::string(text));
  constexpr int64_t kMaxSeconds = 10LL * 365 * 86'400;  // ten years fit
  if (!duration || duration->seconds() > kMaxSeconds) return std::nullopt;
  return std::chrono::seconds(duration->seconds()) + std::chrono::nanoseconds(duration->nanos());
}

std::string DurationText(const google::protobuf::Duration& duration) {
  const __int128 nanos =
      static_cast<__int128>(duration.seconds()) * kNanosPerSecond + duration.nanos();
  if (nanos == 0) return "0s";
  for (const Unit& unit : kUnits) {
    if (nanos % unit.nanos == 0) {
      return std::to_string(static_cast<int64_t>(nanos / unit.nanos)).append(unit.name);
    }
  }
  std::string fraction = std::to_string(kNanosPerSecond + duration.nanos()).substr(1);
  fraction.erase(fraction.find_last_not_of('0') + 1);
  return std::to_string(duration.seconds()) + "." + fraction + "s";
}

}  // namespace fsd::cli
