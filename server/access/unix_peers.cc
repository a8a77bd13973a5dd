#include "server/access/unix_peers.h"

#include <fcntl.h>
#include <sys/resource.h>

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "server/errors/status_macros.h"

namespace fsd::access {
namespace {

// As wide as a table of descriptors can be without being dear to whoever copies it.
constexpr int kFirst = 1024;
constexpr int kEnd = 8192;
constexpr std::string_view kPrefix = "fd:";

// The lowest free number from `least` on, if it is within the range.
os::UniqueFd Numbered(int fd, int least) {
  os::UniqueFd numbered(::fcntl(fd, F_DUPFD_CLOEXEC, least));
  if (numbered.get() >= kEnd) numbered.reset();
  return numbered;
}

}  // namespace

ErrnoOr<os::UniqueFd> UnixPeers::Register(os::UniqueFd connection) {
  const auto credentials = os::GetPeerCredentials(connection.get());
  if (!credentials.ok()) return credentials.error();
  const os::MutexLock lock(mutex_);
  os::UniqueFd numbered = Numbered(connection.get(), std::clamp(next_, kFirst, kEnd - 1));
  if (!numbered.valid()) numbered = Numbered(connection.get(), kFirst);
  // A host that grants so few, or a server that has so many: any number then.
  if (!numbered.valid()) numbered.reset(::fcntl(connection.get(), F_DUPFD_CLOEXEC, 0));
  if (!numbered.valid()) return Errno::Last();
  next_ = numbered.get() + 1;
  peers_.insert_or_assign(numbered.get(), *credentials);
  return numbered;
}

std::optional<os::PeerCredentials> UnixPeers::Find(std::string_view peer) const {
  int number = 0;
  if (!peer.starts_with(kPrefix) || !absl::SimpleAtoi(Absl(peer.substr(kPrefix.size())), &number)) {
    return std::nullopt;
  }
  const os::MutexLock lock(mutex_);
  const auto found = peers_.find(number);
  if (found == peers_.end()) return std::nullopt;
  return found->second;
}

}  // namespace fsd::access
