// Handlers of the requests about the device as a whole: owner, features, configuration space,
// reset, the back-end's own channel. Their checks are columns of request_table.cc.
#ifndef FSD_SERVER_VHOST_USER_DEVICE_REQUESTS_H_
#define FSD_SERVER_VHOST_USER_DEVICE_REQUESTS_H_

#include "server/vhost_user/connection_state.h"

namespace fsd::vhost_user {

Outcome SetOwner(ConnectionState& state, Message& message);
// Deprecated; ignored, as the specification recommends.
Outcome ResetOwner(ConnectionState& state, Message& message);
Outcome GetFeatures(ConnectionState& state, Message& message);
// May come while rings run, to turn logging on and off; never disables a ring. Ring features take
// effect when a ring is started next.
Outcome SetFeatures(ConnectionState& state, Message& message);
Outcome GetProtocolFeatures(ConnectionState& state, Message& message);
Outcome SetProtocolFeatures(ConnectionState& state, Message& message);
Outcome GetQueueNum(ConnectionState& state, Message& message);
Outcome GetConfig(ConnectionState& state, Message& message);
// Nothing in a virtio-fs device's configuration can be written.
Outcome SetConfig(ConnectionState& state, Message& message);
Outcome SetBackendRequestChannel(ConnectionState& state, Message& message);
// Stops and disables every ring and ends the guest's session. Memory, owner and protocol features
// stay.
void ResetDevice(ConnectionState& state, Message& message, Finish finish);
// A request of another kind of device, or of a feature that is never offered.
Outcome NotServed(ConnectionState& state, Message& message);

}  // namespace fsd::vhost_user

#endif  // FSD_SERVER_VHOST_USER_DEVICE_REQUESTS_H_
