#include "cli/wait_condition.h"

#include <algorithm>
#include <string_view>

#include "cli/printable.h"

namespace fsd::cli {
namespace {

std::string Upper(std::string text) {
  for (char& c : text) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return text;
}

bool HasCondition(const v1::Export& resource, const std::string& reason) {
  const auto& conditions = resource.status().conditions();
  return std::any_of(conditions.begin(), conditions.end(),
                     [&](const v1::Condition& c) { return c.reason() == reason; });
}

}  // namespace

std::optional<WaitCondition> WaitCondition::Parse(const std::string& text) {
  constexpr std::string_view kState = "state=";
  constexpr std::string_view kCondition = "condition=";
  WaitCondition condition;
  if (text == "deleted") {
    condition.kind_ = Kind::kDeleted;
    return condition;
  }
  if (text == "drained") {
    condition.kind_ = Kind::kDrained;
    return condition;
  }
  if (text.starts_with(kCondition)) {
    std::string reason = text.substr(kCondition.size());
    const size_t equals = reason.find('=');
    const std::string value = equals == std::string::npos ? "true" : reason.substr(equals + 1);
    if (value != "true" && value != "false") return std::nullopt;
    condition.kind_ = value == "true" ? Kind::kCondition : Kind::kNoCondition;
    condition.reason_ = Upper(reason.substr(0, equals));
    if (condition.reason_.empty()) return std::nullopt;
    return condition;
  }
  const std::string state = text.starts_with(kState) ? text.substr(kState.size()) : text;
  const bool is_state = v1::ExportStatus::State_Parse(Upper(state), &condition.state_) &&
                        condition.state_ != v1::ExportStatus::STATE_UNSPECIFIED;
  if (!is_state) return std::nullopt;
  return condition;
}

bool WaitCondition::IsMet(const v1::Export& resource) const {
  const v1::ExportStatus& status = resource.status();
  switch (kind_) {
    case Kind::kState:
      return status.state() == state_;
    case Kind::kDrained:
      return status.state() == v1::ExportStatus::DRAINING && !status.has_connection();
    case Kind::kDeleted:
      return false;  // it is there
    case Kind::kCondition:
      return HasCondition(resource, reason_);
    case Kind::kNoCondition:
      return !HasCondition(resource, reason_);
  }
  return false;
}

std::string WaitCondition::Difference(const v1::Export& resource) const {
  const std::string is = "it is " + v1::ExportStatus::State_Name(resource.status().state());
  switch (kind_) {
    case Kind::kState:
      return is + ", not " + v1::ExportStatus::State_Name(state_);
    case Kind::kDrained:
      return resource.status().has_connection() ? is + ", and a virtual machine is connected" : is;
    case Kind::kDeleted:
      return is;
    case Kind::kCondition:
      return is + ", without the condition " + Printable(reason_);
    case Kind::kNoCondition:
      return is + ", with the condition " + Printable(reason_);
  }
  return is;
}

}  // namespace fsd::cli
