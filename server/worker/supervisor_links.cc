#include "server/worker/supervisor_links.h"

#include <sys/epoll.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "server/errors/errno_or.h"
#include "server/errors/status_macros.h"
#include "server/telemetry/log.h"

namespace fsd::worker {
namespace {

// A supervisor that never stops talking shall not keep the control thread from its other duties.
constexpr int kMaxMessagesPerEvent = 16;

}  // namespace

SupervisorLinks::SupervisorLinks(os::Epoll& epoll, Options options)
    : epoll_(epoll), options_(std::move(options)) {}

SupervisorLinks::~SupervisorLinks() {
  for (const auto& [fd, link] : links_) epoll_.Remove(fd);
}

void SupervisorLinks::Add(os::UniqueFd socket) {
  if (links_.size() >= kMaxLinks) {
    const auto oldest = std::min_element(
        links_.begin(), links_.end(),
        [](const auto& a, const auto& b) { return a.second->number < b.second->number; });
    Close(oldest->first,
          absl::ResourceExhaustedError("too many are connected, and it is the oldest"));
  }
  const int fd = socket.get();
  const ErrnoOr<void> watched = epoll_.Add(fd, EPOLLIN, [this, fd](uint32_t) { OnReadable(fd); });
  if (!watched.ok()) {
    FSD_LOG(kWarning, options_.export_name, "supervisor refused: %s",
            ErrnoStatus(watched.error(), "watch its channel").ToString());
    return;
  }
  links_.emplace(fd, std::make_unique<Link>(Link{.channel = ipc::WorkerChannel(std::move(socket)),
                                                 .number = ++links_made_}));
}

void SupervisorLinks::PushStatus() {
  std::vector<std::pair<int, absl::Status>> failed;
  for (const auto& [fd, link] : links_) {
    if (!link->greeted) continue;
    if (const absl::Status status = SendStatus(*link); !status.ok())
      failed.emplace_back(fd, status);
  }
  for (const auto& [fd, status] : failed) Close(fd, status);
}

void SupervisorLinks::OnReadable(int fd) {
  Link& link = *links_.at(fd);
  for (int i = 0; i < kMaxMessagesPerEvent; ++i) {
    absl::StatusOr<std::optional<internal::ToWorker>> message = link.channel.ReceiveToWorker();
    if (message.ok() && !message->has_value()) return;
    const absl::Status status = message.ok() ? Handle(link, **message) : message.status();
    if (!status.ok()) return Close(fd, status);
  }
}

absl::Status SupervisorLinks::Handle(Link& link, const internal::ToWorker& message) {
  using internal::ToWorker;
  if (link.greeted == message.has_hello()) {
    return absl::InvalidArgumentError("a channel begins with one hello");
  }
  switch (message.message_case()) {
    case ToWorker::kHello:
      return Greet(link, message.hello());
    case ToWorker::kStop:
      FSD_LOG(kInfo, options_.export_name, "the supervisor stops this worker");
      options_.stop();
      return absl::OkStatus();
    case ToWorker::kQueryStatus:
      return SendStatus(link);
    case ToWorker::kSetLogLevel: {
      const int level = message.set_log_level().log_level();
      if (level < static_cast<int>(telemetry::LogLevel::kDebug) ||
          level > static_cast<int>(telemetry::LogLevel::kError)) {
        return absl::InvalidArgumentError(absl::StrCat("no log level ", level));
      }
      telemetry::SetLogLevel(static_cast<telemetry::LogLevel>(level));
      return absl::OkStatus();
    }
    case ToWorker::kSetSlowRequest:
      options_.set_slow_request(std::chrono::nanoseconds(message.set_slow_request().nanos()));
      return absl::OkStatus();
    case ToWorker::kSetDraining:
      options_.set_draining(message.set_draining().draining());
      return absl::OkStatus();
    case ToWorker::kSetQos:
      options_.set_qos(message.set_qos().qos());
      return absl::OkStatus();
    case ToWorker::kDisconnect:
      options_.disconnect();
      return absl::OkStatus();
    case ToWorker::kRetire:
      options_.retire();
      return absl::OkStatus();
    case ToWorker::kListInflight:
      return SendInflight(link, message.list_inflight());
    case ToWorker::kAdopt:
      return SendHandover(link);
    case ToWorker::MESSAGE_NOT_SET:
      break;
  }
  FSD_LOG(kInfo, options_.export_name, "the supervisor said what this worker does not know");
  return absl::OkStatus();
}

absl::Status SupervisorLinks::Greet(Link& link, const internal::ToWorker::Hello& hello) {
  internal::FromWorker answer;
  answer.mutable_hello()->set_version(ipc::kProtocolVersion);
  answer.mutable_hello()->set_oldest_version(ipc::kOldestProtocolVersion);
  answer.mutable_hello()->set_export_uid(options_.export_uid);
  // Sent whatever the version, so that the other side can say what is wrong.
  FSD_RETURN_IF_ERROR(link.channel.Send(answer));
  if (!ipc::IsSpoken(hello.version(), hello.oldest_version())) {
    return absl::FailedPreconditionError(absl::StrCat("it speaks version ", hello.version(),
                                                      ", this worker ", ipc::kProtocolVersion));
  }
  link.greeted = true;
  return SendStatus(link);
}

absl::Status SupervisorLinks::SendStatus(Link& link) {
  internal::FromWorker message;
  *message.mutable_status() = options_.status();
  return link.channel.Send(message);
}

absl::Status SupervisorLinks::SendInflight(Link& link,
                                           const internal::ToWorker::ListInflight& query) {
  internal::FromWorker message;
  *message.mutable_inflight() =
      options_.inflight(std::min(query.max_requests(), ipc::kMaxInflightRequests));
  message.mutable_inflight()->set_number(query.number());
  return link.channel.Send(message);
}

absl::Status SupervisorLinks::SendHandover(Link& link) {
  const Handover handover = options_.handover();
  internal::FromWorker message;
  *message.mutable_handover()->mutable_spec() = handover.spec;
  FSD_LOG(kInfo, options_.export_name, "a supervisor adopts this worker");
  return link.channel.SendHandover(message, handover.vhost_listener, handover.counters);
}

void SupervisorLinks::Close(int fd, const absl::Status& why) {
  FSD_LOG(kInfo, options_.export_name, "supervisor's channel closed: %s", why.message());
  epoll_.Remove(fd);
  links_.erase(fd);
}

}  // namespace fsd::worker
