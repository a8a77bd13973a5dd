#include "server/fuse/creation.h"

#include <string_view>

#include "server/errors/status_macros.h"
#include "server/fuse/abi.h"
#include "server/fuse/arguments.h"

namespace fsd::fuse {
namespace {

using backends::Creation;

constexpr uint32_t kUmaskBits = 0777;
constexpr std::string_view kSecurityPrefix = "security.";

// Behind the fuse_secctx_header: a fuse_secctx, the attribute's name, its value, padding.
ErrnoOr<void> TakeSecurity(Arguments arguments, uint32_t contexts, Creation& creation) {
  if (contexts == 0) return {};
  if (contexts > 1 || !creation.security_name.empty()) return Errno(EINVAL);
  if (arguments.rest().size() < sizeof(fuse_secctx)) return Errno(EINVAL);
  const auto context = arguments.Take<fuse_secctx>();
  FSD_ASSIGN_OR_RETURN_ERRNO(creation.security_name, arguments.TakeXattrName());
  FSD_ASSIGN_OR_RETURN_ERRNO(creation.security_value, arguments.TakeBytes(context.size));
  if (!creation.security_name.starts_with(kSecurityPrefix)) return Errno(EINVAL);
  if (context.size > kMaxXattrValueBytes) return Errno(E2BIG);
  return {};
}

ErrnoOr<void> TakeGroup(Arguments arguments, Creation& creation) {
  if (creation.supplementary_group.has_value()) return Errno(EINVAL);
  if (arguments.rest().size() < sizeof(SuppGroups)) return Errno(EINVAL);
  const auto groups = arguments.Take<SuppGroups>();
  if (groups.nr_groups == 0) return {};
  if (groups.nr_groups > 1 || arguments.rest().size() < sizeof(uint32_t)) return Errno(EINVAL);
  creation.supplementary_group = arguments.Take<uint32_t>();
  return {};
}

// The next extension of `bytes`, which moves on.
ErrnoOr<void> TakeExtension(std::span<const char>& bytes, uint64_t agreed, Creation& creation) {
  if (bytes.size() < sizeof(fuse_ext_header)) return Errno(EINVAL);
  const auto header = Arguments(bytes).Take<fuse_ext_header>();
  if (header.size < sizeof(header) || header.size > bytes.size()) return Errno(EINVAL);
  const Arguments arguments(bytes.first(header.size).subspan(sizeof(header)));
  bytes = bytes.subspan(header.size);
  if (header.type <= FUSE_MAX_NR_SECCTX && (agreed & FUSE_SECURITY_CTX) != 0) {
    return TakeSecurity(arguments, /*contexts=*/header.type, creation);
  }
  if (header.type == kExtensionGroups && (agreed & kInitCreateSuppGroup) != 0) {
    return TakeGroup(arguments, creation);
  }
  return Errno(EINVAL);
}

}  // namespace

ErrnoOr<Creation> DecodeCreation(const Request& request, std::span<const char> behind_names,
                                 uint32_t umask) {
  if (!request.caller_known()) return Errno(EOVERFLOW);
  const uint64_t agreed = request.mount().agreed_flags();
  Creation creation{.umask = umask & kUmaskBits};
  std::span<const char> extensions = request.extensions();
  if (extensions.empty() && (agreed & FUSE_SECURITY_CTX) != 0) extensions = behind_names;
  while (!extensions.empty()) {
    FSD_RETURN_IF_ERRNO(TakeExtension(extensions, agreed, creation));
  }
  return creation;
}

}  // namespace fsd::fuse
