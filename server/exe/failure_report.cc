#include "server/exe/failure_report.h"

#include <sys/socket.h>

#include <string>
#include <utility>

#include "proto/fsd/internal/worker.pb.h"
#include "server/ipc/worker_channel.h"
#include "server/os/unix_socket.h"

namespace fsd::exe {

std::string CutFailure(absl::string_view text) {
  if (text.size() <= ipc::kMaxFailureBytes) return std::string(text);
  size_t size = ipc::kMaxFailureBytes;
  // Bytes that go on with a character.
  while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xc0) == 0x80) --size;
  return std::string(text.substr(0, size));
}

void ReportFailure(int control_listener, const absl::Status& why) {
  auto accepted = os::AcceptUnix(control_listener);
  if (!accepted.ok()) return;
  internal::FromWorker message;
  message.mutable_failure()->set_reason(CutFailure(why.message()));
  ipc::WorkerChannel channel(*std::move(accepted));
  channel.Send(message).IgnoreError();
  // A connection that is closed with something unread is reset, and the peer reads an error first.
  ::shutdown(channel.fd(), SHUT_RD);
  for (bool more = true; more;) {
    const auto unread = channel.ReceiveToWorker();
    more = unread.ok() && unread->has_value();
  }
}

}  // namespace fsd::exe
