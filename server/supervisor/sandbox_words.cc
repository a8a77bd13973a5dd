#include "server/supervisor/sandbox_words.h"

#include <array>
#include <utility>

namespace fsd::supervisor {
namespace {

using internal::ExportSpec;

constexpr std::array<std::pair<std::string_view, ExportSpec::SandboxMode>, 3> kModes = {{
    {"namespace", ExportSpec::SANDBOX_NAMESPACE},
    {"chroot", ExportSpec::SANDBOX_CHROOT},
    {"none", ExportSpec::SANDBOX_NONE},
}};

constexpr std::array<std::pair<std::string_view, ExportSpec::Seccomp>, 4> kSeccomps = {{
    {"kill", ExportSpec::SECCOMP_KILL},
    {"errno", ExportSpec::SECCOMP_ERRNO},
    {"log", ExportSpec::SECCOMP_LOG},
    {"off", ExportSpec::SECCOMP_OFF},
}};

template <typename Value, size_t kSize>
std::optional<Value> Parse(const std::array<std::pair<std::string_view, Value>, kSize>& words,
                           std::string_view word) {
  for (const auto& [name, value] : words) {
    if (name == word) return value;
  }
  return std::nullopt;
}

// The first word is that of the default, 0.
template <typename Value, size_t kSize>
std::string_view WordOf(const std::array<std::pair<std::string_view, Value>, kSize>& words,
                        Value wanted) {
  if (static_cast<int>(wanted) == 0) return words.front().first;
  for (const auto& [name, value] : words) {
    if (value == wanted) return name;
  }
  return "unknown";
}

}  // namespace

std::optional<ExportSpec::SandboxMode> ParseSandboxMode(std::string_view word) {
  return Parse(kModes, word);
}

std::optional<ExportSpec::Seccomp> ParseSeccomp(std::string_view word) {
  return Parse(kSeccomps, word);
}

std::string_view SandboxModeWord(ExportSpec::SandboxMode mode) { return WordOf(kModes, mode); }

std::string_view SeccompWord(ExportSpec::Seccomp seccomp) { return WordOf(kSeccomps, seccomp); }

}  // namespace fsd::supervisor
