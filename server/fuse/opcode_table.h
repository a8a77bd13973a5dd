// The opcode table: one row answers every question about an opcode.
#ifndef FSD_SERVER_FUSE_OPCODE_TABLE_H_
#define FSD_SERVER_FUSE_OPCODE_TABLE_H_

#include <cstdint>

#include "server/fuse/opcode_row.h"

namespace fsd::fuse {

// The opcode's row; nullptr if there is no such opcode.
const OpcodeRow* FindOpcode(uint32_t opcode);

}  // namespace fsd::fuse

#endif  // FSD_SERVER_FUSE_OPCODE_TABLE_H_
