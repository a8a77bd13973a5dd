// SessionOptions: what an export's configuration asks of its FUSE sessions, and what each cache
// policy means on the wire.
//
//   policy    names and attributes   data, on open                      on opendir
//   never     0 s                    FOPEN_DIRECT_IO                    -
//   auto      1 s                    kept while mtime and size do not   -
//                                    change (INIT: AUTO_INVAL_DATA)
//   metadata  1 day                  FOPEN_DIRECT_IO                    -
//   always    1 day                  FOPEN_KEEP_CACHE                   FOPEN_KEEP_CACHE and
//                                                                       FOPEN_CACHE_DIR
//
// attr_timeout and entry_timeout replace the policy's times. Names that do not exist are cached
// only for negative_timeout. With FOPEN_DIRECT_IO, `mmap` has the guest map files shared all the
// same (INIT: DIRECT_IO_ALLOW_MMAP). Where nothing is opened (zero_message_open), Linux behaves as
// if each open had answered what "always" does.
#ifndef FSD_SERVER_FUSE_SESSION_OPTIONS_H_
#define FSD_SERVER_FUSE_SESSION_OPTIONS_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/time/time.h"

namespace fsd::fuse {

// How long and what the guest may cache.
enum class CachePolicy { kNever, kAuto, kMetadata, kAlways };

// Whether something that guest and server must agree on is used.
enum class Use {
  kNever,
  kAuto,    // if the guest offers it
  kAlways,  // a guest that does not offer it is refused at INIT
};

enum class ReadDirPlus { kNever, kAuto, kAlways };

struct SessionOptions {
  std::string export_name = {};  // for the log
  CachePolicy cache = CachePolicy::kAuto;
  bool read_only = false;
  // Absent: the policy's.
  std::optional<absl::Duration> attr_timeout = std::nullopt;
  std::optional<absl::Duration> entry_timeout = std::nullopt;
  // Of names that do not exist.
  absl::Duration negative_timeout = absl::ZeroDuration();
  bool writeback = false;
  bool mmap = false;  // shared mappings though data is not cached (FUSE_DIRECT_IO_ALLOW_MMAP)
  bool cache_symlinks = false;
  ReadDirPlus readdirplus = ReadDirPlus::kAuto;
  // Neither files nor directories are opened; not together with `locks`.
  bool zero_message_open = false;
  bool xattr = false;  // otherwise the four opcodes are ENOSYS, which a guest asks once
  Use posix_acl = Use::kNever;
  Use security_label = Use::kNever;
  Use killpriv = Use::kAuto;
  bool submounts = true;
  bool locks = false;  // of the host; otherwise the guest keeps its own
};

// How long the guest may use a name, attributes, or the lack of a name without asking again.
struct CacheTimeouts {
  absl::Duration attributes;
  absl::Duration entries;
  absl::Duration negative;
};
CacheTimeouts TimeoutsOf(const SessionOptions& options);

// FOPEN_* of a reply to OPEN or CREATE, and to OPENDIR.
uint32_t FileOpenFlags(CachePolicy policy);
uint32_t DirectoryOpenFlags(CachePolicy policy);

}  // namespace fsd::fuse

#endif  // FSD_SERVER_FUSE_SESSION_OPTIONS_H_
