// UserNamespaces: which user namespace a worker lives in.
//
// A supervisor that may make the other namespaces needs none, unless the export asks for maps of
// its own. One without privileges, CAP_SYS_ADMIN that is, needs one to have them in: there its own
// user is 0, so that what a guest's root makes is the user's; and, if it is configured to use them,
// the user's subordinate ids are 1 and so on. Workers share that one: they differ in everything
// else.
//
// For the loop's thread, which newuidmap(1), newgidmap(1) and the host's name service hold up for
// the time that they take, each at most 10 s.
#ifndef FSD_SERVER_SUPERVISOR_USER_NAMESPACES_H_
#define FSD_SERVER_SUPERVISOR_USER_NAMESPACES_H_

#include <memory>

#include "absl/status/statusor.h"
#include "proto/fsd/internal/export_spec.pb.h"
#include "server/os/unique_fd.h"
#include "server/os/user_namespace.h"

namespace fsd::supervisor {

class UserNamespaces {
 public:
  // `subordinate_ids` as in Config.
  explicit UserNamespaces(bool subordinate_ids) : subordinate_ids_(subordinate_ids) {}

  // What a worker of this export is to live in; null: in the supervisor's own.
  // SANDBOX_UNAVAILABLE: it cannot be made, with the reason and what to do.
  absl::StatusOr<std::shared_ptr<const os::UniqueFd>> For(const internal::ExportSpec& spec);

 private:
  absl::StatusOr<os::UniqueFd> Asked(const internal::ExportSpec& spec) const;
  absl::StatusOr<os::UniqueFd> Own() const;

  const bool subordinate_ids_;
  std::shared_ptr<const os::UniqueFd> own_;  // once it is needed
};

}  // namespace fsd::supervisor

#endif  // FSD_SERVER_SUPERVISOR_USER_NAMESPACES_H_
