// Handlers of the requests about one vring. The request table has seen to it that the vring exists
// and may be changed; vring.h has the table of its states.
#ifndef FSD_SERVER_VHOST_USER_VRING_REQUESTS_H_
#define FSD_SERVER_VHOST_USER_VRING_REQUESTS_H_

#include "server/vhost_user/connection_state.h"

namespace fsd::vhost_user {

void SetVringNum(ConnectionState& state, Message& message, Finish finish);
void SetVringBase(ConnectionState& state, Message& message, Finish finish);
void SetVringAddr(ConnectionState& state, Message& message, Finish finish);
void SetVringKick(ConnectionState& state, Message& message, Finish finish);
void GetVringBase(ConnectionState& state, Message& message, Finish finish);
Outcome SetVringCall(ConnectionState& state, Message& message);
Outcome SetVringErr(ConnectionState& state, Message& message);
Outcome SetVringEnable(ConnectionState& state, Message& message);

}  // namespace fsd::vhost_user

#endif  // FSD_SERVER_VHOST_USER_VRING_REQUESTS_H_
