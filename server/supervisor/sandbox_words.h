// The words for a jail's modes and for what its list of system calls does, as the configuration has
// them: "namespace", "kill".
#ifndef FSD_SERVER_SUPERVISOR_SANDBOX_WORDS_H_
#define FSD_SERVER_SUPERVISOR_SANDBOX_WORDS_H_

#include <optional>
#include <string_view>

#include "proto/fsd/internal/export_spec.pb.h"

namespace fsd::supervisor {

// Nothing if it is none of them.
std::optional<internal::ExportSpec::SandboxMode> ParseSandboxMode(std::string_view word);
std::optional<internal::ExportSpec::Seccomp> ParseSeccomp(std::string_view word);

// What is unspecified has its default's word; "unknown" of a number without meaning.
std::string_view SandboxModeWord(internal::ExportSpec::SandboxMode mode);
std::string_view SeccompWord(internal::ExportSpec::Seccomp seccomp);

}  // namespace fsd::supervisor

#endif  // FSD_SERVER_SUPERVISOR_SANDBOX_WORDS_H_
