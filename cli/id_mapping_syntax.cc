#include "cli/id_mapping_syntax.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <system_error>
#include <vector>

namespace fsd::cli {
namespace {

enum class Order { kGuestHost, kHostGuest, kGuestOnly };

struct Form {
  std::string_view name;
  v1::IdTranslation::Kind kind;
  Order order;
};

constexpr std::array<Form, 6> kForms = {{
    {"map", v1::IdTranslation::MAP, Order::kGuestHost},
    {"guest", v1::IdTranslation::GUEST, Order::kGuestHost},
    {"host", v1::IdTranslation::HOST, Order::kHostGuest},
    {"squash-guest", v1::IdTranslation::SQUASH_GUEST, Order::kGuestHost},
    {"squash-host", v1::IdTranslation::SQUASH_HOST, Order::kHostGuest},
    {"forbid-guest", v1::IdTranslation::FORBID_GUEST, Order::kGuestOnly},
}};

std::vector<std::string_view> Split(std::string_view text) {
  std::vector<std::string_view> parts;
  while (true) {
    const size_t colon = text.find(':');
    parts.push_back(text.substr(0, colon));
    if (colon == std::string_view::npos) return parts;
    text.remove_prefix(colon + 1);
  }
}

// A decimal number, the whole of `text`; no sign.
template <typename Number>
bool ReadNumber(std::string_view text, Number& number) {
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  return error == std::errc() && rest == end;
}

std::string Joined(std::string_view name, std::initializer_list<uint64_t> numbers) {
  std::string text(name);
  for (const uint64_t number : numbers) {
    if (!text.empty()) text += ':';
    text += std::to_string(number);
  }
  return text;
}

}  // namespace

std::optional<v1::IdTranslation> ParseIdTranslation(std::string_view text) {
  const std::vector<std::string_view> parts = Split(text);
  const auto* form = std::find_if(kForms.begin(), kForms.end(),
                                  [&](const Form& f) { return f.name == parts.front(); });
  if (form == kForms.end()) return std::nullopt;
  const bool guest_only = form->order == Order::kGuestOnly;
  if (parts.size() != (guest_only ? 3 : 4)) return std::nullopt;
  uint32_t first = 0;
  uint32_t second = 0;
  uint64_t count = 0;
  if (!ReadNumber(parts[1], first) || (!guest_only && !ReadNumber(parts[2], second)) ||
      !ReadNumber(parts.back(), count)) {
    return std::nullopt;
  }
  v1::IdTranslation translation;
  translation.set_kind(form->kind);
  translation.set_guest_first(form->order == Order::kHostGuest ? second : first);
  translation.set_host_first(form->order == Order::kHostGuest ? first : second);
  translation.set_count(count);
  return translation;
}

std::optional<v1::IdNamespaceRange> ParseIdRange(std::string_view text) {
  const std::vector<std::string_view> parts = Split(text);
  uint32_t inside = 0;
  uint32_t outside = 0;
  uint64_t count = 0;
  if (parts.size() != 3 || !ReadNumber(parts[0], inside) || !ReadNumber(parts[1], outside) ||
      !ReadNumber(parts[2], count)) {
    return std::nullopt;
  }
  v1::IdNamespaceRange range;
  range.set_inside_first(inside);
  range.set_outside_first(outside);
  range.set_count(count);
  return range;
}

std::string IdTranslationText(const v1::IdTranslation& translation) {
  const auto* form = std::find_if(kForms.begin(), kForms.end(),
                                  [&](const Form& f) { return f.kind == translation.kind(); });
  if (form == kForms.end()) return "unknown";  // of a newer server
  switch (form->order) {
    case Order::kGuestHost:
      break;
    case Order::kHostGuest:
      return Joined(form->name,
                    {translation.host_first(), translation.guest_first(), translation.count()});
    case Order::kGuestOnly:
      return Joined(form->name, {translation.guest_first(), translation.count()});
  }
  return Joined(form->name,
                {translation.guest_first(), translation.host_first(), translation.count()});
}

std::string IdRangeText(const v1::IdNamespaceRange& range) {
  return Joined("", {range.inside_first(), range.outside_first(), range.count()});
}

}  // namespace fsd::cli
