// FUSE's opcodes by name, for those who show numbers that they do not serve: the supervisor's side
// has no FUSE. server/fuse has a test that its table says the same.
#ifndef FSD_SERVER_TELEMETRY_OPCODE_NAME_H_
#define FSD_SERVER_TELEMETRY_OPCODE_NAME_H_

#include <cstdint>
#include <string_view>

namespace fsd::telemetry {

// "READ" for 15; "UNKNOWN" for a number that is no opcode's. What it points to is terminated by
// NUL.
std::string_view OpcodeName(uint32_t opcode);

// "ENOENT" for 2; "UNKNOWN" for a number that is no errno's.
std::string_view ErrnoName(int error);

}  // namespace fsd::telemetry

#endif  // FSD_SERVER_TELEMETRY_OPCODE_NAME_H_
