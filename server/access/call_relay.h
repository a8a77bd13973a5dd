// CallRelay: one call of a client, handed on byte for byte to a server in this process.
//
// Deletes itself when both sides are done. Whatever ends first ends the other: the client going
// away or running out of time, and the server's answer. No metadata of the client's is handed on.
#ifndef FSD_SERVER_ACCESS_CALL_RELAY_H_
#define FSD_SERVER_ACCESS_CALL_RELAY_H_

#include <functional>
#include <string>

#include "grpcpp/generic/async_generic_service.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/support/byte_buffer.h"
#include "server/os/mutex.h"

namespace fsd::access {

// How a call has ended: its result, and the first message of the client's, if there was one.
using CallEnded = std::function<void(const grpc::Status&, const grpc::ByteBuffer& request)>;

// Answers `context`'s call with what `server` answers. `ended` runs once, on a thread of gRPC's.
grpc::ServerGenericBidiReactor* RelayCall(grpc::GenericCallbackServerContext& context,
                                          grpc::GenericStub& server, CallEnded ended);

// Answers a call with `status` at once.
grpc::ServerGenericBidiReactor* RefuseCall(const grpc::Status& status);

}  // namespace fsd::access

#endif  // FSD_SERVER_ACCESS_CALL_RELAY_H_
