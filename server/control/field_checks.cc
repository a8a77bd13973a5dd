#include "server/control/field_checks.h"

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "server/errors/status_macros.h"

namespace fsd::control {
namespace {

bool IsControl(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

}  // namespace

std::string Quoted(std::string_view text) {
  constexpr size_t kShownBytes = 80;
  size_t shown = text.size();
  if (shown > kShownBytes) {
    shown = kShownBytes;
    // Whole characters, where there are any.
    while (shown > 0 && (static_cast<unsigned char>(text[shown]) & 0xc0) == 0x80) --shown;
  }
  return absl::StrCat("\"", absl::Utf8SafeCHexEscape(Absl(text.substr(0, shown))),
                      shown < text.size() ? "…\"" : "\"");
}

void FieldChecks::Text(const std::string& field, std::string_view text, size_t max_bytes) {
  if (text.size() > max_bytes) {
    Invalid(field, absl::StrCat("at most ", max_bytes, " bytes, not ", text.size()));
  }
  if (std::any_of(text.begin(), text.end(), IsControl)) Invalid(field, "no control characters");
}

}  // namespace fsd::control
