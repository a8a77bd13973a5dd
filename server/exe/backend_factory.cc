#include "server/exe/backend_factory.h"

#include <utility>

#include "backends/passthrough/passthrough_filesystem.h"

namespace fsd::exe {

absl::StatusOr<std::unique_ptr<backends::Filesystem>> MakeBackend(const internal::ExportSpec& spec,
                                                                  os::UniqueFd root,
                                                                  os::UniqueFd proc_self_fd) {
  return passthrough::PassthroughFilesystem::Create({.root = std::move(root),
                                                     .proc_self_fd = std::move(proc_self_fd),
                                                     .read_only = spec.read_only()});
}

}  // namespace fsd::exe
