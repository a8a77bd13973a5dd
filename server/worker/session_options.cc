#include "server/worker/session_options.h"

#include "absl/time/time.h"

namespace fsd::worker {
namespace {

using internal::ExportSpec;

fuse::CachePolicy CachePolicyOf(ExportSpec::Cache cache) {
  switch (cache) {
    case ExportSpec::CACHE_NEVER:
      return fuse::CachePolicy::kNever;
    case ExportSpec::CACHE_METADATA:
      return fuse::CachePolicy::kMetadata;
    case ExportSpec::CACHE_ALWAYS:
      return fuse::CachePolicy::kAlways;
    default:
      return fuse::CachePolicy::kAuto;
  }
}

fuse::Use UseOf(ExportSpec::Use use, fuse::Use otherwise) {
  switch (use) {
    case ExportSpec::USE_NEVER:
      return fuse::Use::kNever;
    case ExportSpec::USE_AUTO:
      return fuse::Use::kAuto;
    case ExportSpec::USE_ALWAYS:
      return fuse::Use::kAlways;
    default:
      return otherwise;
  }
}

fuse::ReadDirPlus ReadDirPlusOf(ExportSpec::ReadDirPlus readdirplus) {
  switch (readdirplus) {
    case ExportSpec::READDIRPLUS_NEVER:
      return fuse::ReadDirPlus::kNever;
    case ExportSpec::READDIRPLUS_ALWAYS:
      return fuse::ReadDirPlus::kAlways;
    default:
      return fuse::ReadDirPlus::kAuto;
  }
}

}  // namespace

fuse::SessionOptions SessionOptionsOf(const ExportSpec& spec) {
  fuse::SessionOptions options;
  options.export_name = spec.id();
  options.cache = CachePolicyOf(spec.cache());
  options.read_only = spec.read_only();
  if (spec.has_attr_timeout_nanos()) {
    options.attr_timeout = absl::Nanoseconds(spec.attr_timeout_nanos());
  }
  if (spec.has_entry_timeout_nanos()) {
    options.entry_timeout = absl::Nanoseconds(spec.entry_timeout_nanos());
  }
  options.negative_timeout = absl::Nanoseconds(spec.negative_timeout_nanos());
  options.writeback = spec.writeback();
  options.mmap = spec.mmap();
  options.cache_symlinks = spec.cache_symlinks();
  options.readdirplus = ReadDirPlusOf(spec.readdirplus());
  options.zero_message_open = spec.zero_message_open();
  options.xattr = spec.xattr();
  options.posix_acl = UseOf(spec.posix_acl(), fuse::Use::kNever);
  options.security_label = UseOf(spec.security_label(), fuse::Use::kNever);
  options.killpriv = UseOf(spec.killpriv(), fuse::Use::kAuto);
  options.submounts = !spec.has_submounts() || spec.submounts();
  options.locks = spec.shared_locks();
  return options;
}

}  // namespace fsd::worker
