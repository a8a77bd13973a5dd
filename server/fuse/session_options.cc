#include "server/fuse/session_options.h"

#include "server/fuse/abi.h"

namespace fsd::fuse {

namespace {

absl::Duration TimeoutOf(CachePolicy policy) {
  switch (policy) {
    case CachePolicy::kNever:
      return absl::ZeroDuration();
    case CachePolicy::kAuto:
      return absl::Seconds(1);
    case CachePolicy::kMetadata:
    case CachePolicy::kAlways:
      return absl::Hours(24);
  }
  return absl::ZeroDuration();
}

}  // namespace

CacheTimeouts TimeoutsOf(const SessionOptions& options) {
  const absl::Duration policys = TimeoutOf(options.cache);
  return {.attributes = options.attr_timeout.value_or(policys),
          .entries = options.entry_timeout.value_or(policys),
          .negative = options.negative_timeout};
}

uint32_t FileOpenFlags(CachePolicy policy) {
  switch (policy) {
    case CachePolicy::kNever:
    case CachePolicy::kMetadata:
      return FOPEN_DIRECT_IO;
    case CachePolicy::kAuto:
      return 0;
    case CachePolicy::kAlways:
      return FOPEN_KEEP_CACHE;
  }
  return FOPEN_DIRECT_IO;
}

uint32_t DirectoryOpenFlags(CachePolicy policy) {
  // Linux drops a directory's cached entries at each opendir that does not also keep the cache.
  return policy == CachePolicy::kAlways ? FOPEN_CACHE_DIR | FOPEN_KEEP_CACHE : 0;
}

}  // namespace fsd::fuse
