#include "server/telemetry/opcode_name.h"

#include <array>
#include <cstring>

namespace fsd::telemetry {
namespace {

constexpr std::array<const char*, 54> kNames = {
    nullptr,        "LOOKUP",        "FORGET",      "GETATTR",  "SETATTR",  "READLINK",
    "SYMLINK",      nullptr,         "MKNOD",       "MKDIR",    "UNLINK",   "RMDIR",
    "RENAME",       "LINK",          "OPEN",        "READ",     "WRITE",    "STATFS",
    "RELEASE",      nullptr,         "FSYNC",       "SETXATTR", "GETXATTR", "LISTXATTR",
    "REMOVEXATTR",  "FLUSH",         "INIT",        "OPENDIR",  "READDIR",  "RELEASEDIR",
    "FSYNCDIR",     "GETLK",         "SETLK",       "SETLKW",   "ACCESS",   "CREATE",
    "INTERRUPT",    "BMAP",          "DESTROY",     "IOCTL",    "POLL",     "NOTIFY_REPLY",
    "BATCH_FORGET", "FALLOCATE",     "READDIRPLUS", "RENAME2",  "LSEEK",    "COPY_FILE_RANGE",
    "SETUPMAPPING", "REMOVEMAPPING", "SYNCFS",      "TMPFILE",  "STATX",    "COPY_FILE_RANGE_64",
};

}  // namespace

std::string_view OpcodeName(uint32_t opcode) {
  const char* const name = opcode < kNames.size() ? kNames[opcode] : nullptr;
  return name != nullptr ? name : "UNKNOWN";
}

std::string_view ErrnoName(int error) {
  const char* const name = ::strerrorname_np(error);
  return name != nullptr ? name : "UNKNOWN";
}

}  // namespace fsd::telemetry
