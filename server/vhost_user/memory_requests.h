// Handlers of the requests about guest memory: its regions, and the log of its dirty pages.
#ifndef FSD_SERVER_VHOST_USER_MEMORY_REQUESTS_H_
#define FSD_SERVER_VHOST_USER_MEMORY_REQUESTS_H_

#include "server/vhost_user/connection_state.h"

namespace fsd::vhost_user {

// The three that change the table make a new one and wait until no request uses a region that is
// gone. A table that cannot be made leaves the old one in use.
void SetMemTable(ConnectionState& state, Message& message, Finish finish);
void AddMemReg(ConnectionState& state, Message& message, Finish finish);
void RemMemReg(ConnectionState& state, Message& message, Finish finish);
Outcome GetMaxMemSlots(ConnectionState& state, Message& message);

Outcome SetLogBase(ConnectionState& state, Message& message);
// Accepted without effect: the eventfd "may be used" to say that the log has changed, and
// front-ends read the log on their own.
Outcome SetLogFd(ConnectionState& state, Message& message);

}  // namespace fsd::vhost_user

#endif  // FSD_SERVER_VHOST_USER_MEMORY_REQUESTS_H_
