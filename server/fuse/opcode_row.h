// OpcodeRow: everything the session asks about an opcode before its handler runs.
#ifndef FSD_SERVER_FUSE_OPCODE_ROW_H_
#define FSD_SERVER_FUSE_OPCODE_ROW_H_

#include <cstdint>

namespace fsd::fuse {

class Request;

// What follows the header, which decides how much of it is copied out of guest memory.
enum class Body : uint8_t {
  kFixed,     // a struct: that is copied, what follows it is ignored
  kNames,     // a struct, then names: all is copied, ENAMETOOLONG if no valid names are so long
  kCreation,  // a struct, names, and what comes along when something is made (creation.h): likewise
  kXattr,     // a struct, a name and a value: all is copied, E2BIG if no valid ones are so long
  kIoctl,     // a struct, then an ioctl's data: all is copied, EINVAL if no ioctl has so much
  kPayload,   // a struct, then data: the struct is copied, the data left where it is
};

// What must be served for an opcode to be; otherwise it is ENOSYS, which a guest asks for once.
enum class Service : uint8_t {
  kAlways,
  kXattr,  // SessionOptions.xattr
  kLocks,  // SessionOptions.locks
};

struct OpcodeRow {
  const char* name = nullptr;  // as in FUSE_<name>; nullptr where there is no such opcode
  // Decodes, runs the operation, replies. nullptr: not served, ENOSYS.
  void (*handler)(Request&) = nullptr;
  Body body = Body::kFixed;
  Service service = Service::kAlways;
  uint16_t argument_bytes = 0;  // shorter arguments are EINVAL; the struct's size
  uint16_t reply_bytes = 0;     // fixed part of the reply's body; without room for it, EINVAL
  bool has_reply = true;
  bool mutates = false;      // EROFS on a read-only export
  bool may_block = false;    // known to block: Lane::kSlow
  bool before_init = false;  // also served while no guest has mounted
};

}  // namespace fsd::fuse

#endif  // FSD_SERVER_FUSE_OPCODE_ROW_H_
