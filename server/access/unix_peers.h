// UnixPeers: who is at the other end of the connections that gRPC has been given.
//
// A call tells of its connection no more than the number that its descriptor had ("fd:7"). So that
// a call which is late cannot meet the number again as another connection's, numbers go round
// through a range that is wide. Roles do not depend on it: a socket's role is its server's, and no
// other connection reaches that.
//
// Any thread.
#ifndef FSD_SERVER_ACCESS_UNIX_PEERS_H_
#define FSD_SERVER_ACCESS_UNIX_PEERS_H_

#include <map>
#include <optional>
#include <string_view>

#include "absl/base/thread_annotations.h"
#include "server/errors/errno_or.h"
#include "server/os/mutex.h"
#include "server/os/unique_fd.h"
#include "server/os/unix_socket.h"

namespace fsd::access {

class UnixPeers {
 public:
  // Gives a connection its number, and remembers whose it is.
  ErrnoOr<os::UniqueFd> Register(os::UniqueFd connection);
  // Of the connection that gRPC calls `peer`.
  std::optional<os::PeerCredentials> Find(std::string_view peer) const;

 private:
  mutable os::Mutex mutex_;
  std::map<int, os::PeerCredentials> peers_ ABSL_GUARDED_BY(mutex_);  // by number; few are dead
  int next_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace fsd::access

#endif  // FSD_SERVER_ACCESS_UNIX_PEERS_H_
