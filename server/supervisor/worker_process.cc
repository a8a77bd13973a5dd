#include "server/supervisor/worker_process.h"

#include <sys/epoll.h>
#include <sys/wait.h>

#include <csignal>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "server/errors/status_macros.h"
#include "server/ipc/worker_exit.h"
#include "server/telemetry/log.h"

namespace fsd::supervisor {
namespace {

// Per round of the event loop, so that a talkative worker does not hold up the others.
constexpr int kMessagesPerRound = 16;

absl::Duration Since(EventLoop::Clock::time_point when) {
  return absl::FromChrono(EventLoop::Clock::now() - when);
}

// A worker may be anybody's, but what it says goes to clients and into the log.
std::string Printable(absl::string_view text) {
  std::string printable(text.substr(0, ipc::kMaxFailureBytes));
  for (char& c : printable) {
    if (!absl::ascii_isprint(static_cast<unsigned char>(c))) c = '?';
  }
  return printable;
}

}  // namespace

std::string WorkerEnd::Describe() const {
  if (!misdeed.empty()) return absl::StrCat("killed: ", misdeed);
  if (!exit_known)
    return "it ended, and only the supervisor that had started it could have seen how";
  if (!exit.signaled && exit.code == ipc::kWorkerHandleKeeperDied) {
    return "its handle keeper died; the log says of what";
  }
  if (exit.signaled || exit.code <= ipc::kWorkerKilledBySignal) {
    return absl::StrCat(exit.Describe(), last_words.empty() ? "" : ": ", last_words);
  }
  const os::ExitStatus data_plane{.signaled = true, .code = exit.code - ipc::kWorkerKilledBySignal};
  return absl::StrCat("its data plane was ", data_plane.Describe());
}

absl::StatusOr<std::unique_ptr<WorkerProcess>> WorkerProcess::Watch(
    EventLoop& loop, const WorkerLimits& limits, std::string export_id, std::string export_uid,
    WorkerOrigin origin, LaunchedWorker worker, ipc::WorkerChannel channel, Events events) {
  std::unique_ptr<WorkerProcess> process(
      new WorkerProcess(loop, limits, std::move(export_id), std::move(export_uid), origin,
                        std::move(worker), std::move(channel), std::move(events)));
  if (const auto added = process->AddToLoop(); !added.ok()) {
    (void)process->process_.SendSignal(SIGKILL);
    siginfo_t info;
    ::waitid(P_PIDFD, static_cast<id_t>(process->process_.fd()), &info, WEXITED);
    return ErrnoStatus(added.error(), "watch the worker");
  }
  process->SayHello();
  return process;
}

WorkerProcess::WorkerProcess(EventLoop& loop, const WorkerLimits& limits, std::string export_id,
                             std::string export_uid, WorkerOrigin origin, LaunchedWorker worker,
                             ipc::WorkerChannel channel, Events events)
    : loop_(loop),
      limits_(limits),
      export_id_(std::move(export_id)),
      export_uid_(std::move(export_uid)),
      origin_(origin),
      pid_(worker.pid),
      process_(std::move(worker.process)),
      channel_(std::move(channel)),
      events_(std::move(events)),
      heard_at_(EventLoop::Clock::now()),
      second_began_(heard_at_) {}

ErrnoOr<void> WorkerProcess::AddToLoop() {
  FSD_RETURN_IF_ERRNO(loop_.epoll().Add(process_.fd(), EPOLLIN, [this](uint32_t) { OnExit(); }));
  FSD_RETURN_IF_ERRNO(loop_.epoll().Add(channel_.fd(), EPOLLIN, [this](uint32_t) { OnChannel(); }));
  channel_open_ = true;
  if (origin_ == WorkerOrigin::kLaunched) {
    deadline_ = loop_.CallAfter(limits_.ready, [this] {
      Kill(absl::StrCat("it was not ready within ", absl::FormatDuration(limits_.ready)));
    });
  } else {
    deadline_ = loop_.CallAfter(limits_.adopt, [this] {
      Kill(absl::StrCat("an earlier supervisor's, it did not let itself be adopted within ",
                        absl::FormatDuration(limits_.adopt)));
    });
  }
  return {};
}

WorkerProcess::~WorkerProcess() {
  loop_.Cancel(deadline_);
  loop_.Cancel(query_);
  loop_.Cancel(exit_check_);
  CloseChannel();
  loop_.epoll().Remove(process_.fd());
}

void WorkerProcess::SayHello() {
  internal::ToWorker message;
  message.mutable_hello()->set_version(ipc::kProtocolVersion);
  message.mutable_hello()->set_oldest_version(ipc::kOldestProtocolVersion);
  // A worker that is gone already is noticed by its pidfd, and may have left its last words.
  channel_.Send(message).IgnoreError();
}

void WorkerProcess::Tell(const internal::ToWorker& message) {
  // One that has hung up is about to end.
  if (phase_ == Phase::kEnding || !channel_open_) return;
  if (channel_.Send(message).ok()) return;
  // Its end may be what is not noticed yet; then this changes nothing.
  Kill("it does not read what it is told");
}

void WorkerProcess::SetLogLevel(telemetry::LogLevel level) {
  internal::ToWorker message;
  message.mutable_set_log_level()->set_log_level(static_cast<int>(level));
  Tell(message);
}

void WorkerProcess::SetSlowRequest(int64_t nanoseconds) {
  internal::ToWorker message;
  message.mutable_set_slow_request()->set_nanos(nanoseconds);
  Tell(message);
}

void WorkerProcess::SetDraining(bool draining) {
  internal::ToWorker message;
  message.mutable_set_draining()->set_draining(draining);
  Tell(message);
}

void WorkerProcess::SetQos(const internal::ExportSpec::Qos& qos) {
  internal::ToWorker message;
  *message.mutable_set_qos()->mutable_qos() = qos;
  Tell(message);
}

void WorkerProcess::Disconnect() {
  internal::ToWorker message;
  message.mutable_disconnect();
  Tell(message);
}

void WorkerProcess::Retire() {
  internal::ToWorker message;
  message.mutable_retire();
  Tell(message);
}

void WorkerProcess::ListInflight(uint64_t number) {
  internal::ToWorker message;
  message.mutable_list_inflight()->set_max_requests(ipc::kMaxInflightRequests);
  message.mutable_list_inflight()->set_number(number);
  // Not sent because earlier ones are unread: the caller's time-out tells.
  if (phase_ != Phase::kEnding && channel_open_) (void)channel_.Send(message);
}

void WorkerProcess::RefreshStatus() {
  if (phase_ != Phase::kReady || !channel_open_ || Since(refreshed_at_) < limits_.refresh_every) {
    return;
  }
  refreshed_at_ = EventLoop::Clock::now();
  internal::ToWorker message;
  message.mutable_query_status();
  (void)channel_.Send(message);
}

void WorkerProcess::Stop() {
  if (phase_ == Phase::kEnding) return;
  phase_ = Phase::kEnding;
  loop_.Cancel(query_);
  loop_.Cancel(deadline_);
  internal::ToWorker message;
  message.mutable_stop();
  if (!channel_open_ || !channel_.Send(message).ok()) {
    return Kill("it could not be told to stop");
  }
  deadline_ = loop_.CallAfter(limits_.stop, [this] {
    Kill(absl::StrCat("it did not stop within ", absl::FormatDuration(limits_.stop)));
  });
}

void WorkerProcess::Kill(std::string misdeed) {
  phase_ = Phase::kEnding;
  loop_.Cancel(deadline_);
  loop_.Cancel(query_);
  CloseChannel();
  if (misdeed_.empty()) {
    FSD_LOG(kWarning, export_id_, "killing worker %d: %s", pid_, misdeed);
    misdeed_ = std::move(misdeed);
  }
  // Fails only if it has ended, which its pidfd tells.
  (void)process_.SendSignal(SIGKILL);
  events_.on_kill();
}

void WorkerProcess::CloseChannel() {
  if (channel_open_) loop_.epoll().Remove(channel_.fd());
  channel_open_ = false;
}

absl::StatusOr<std::optional<ipc::WorkerChannel::WithFds>> WorkerProcess::Receive() {
  const bool may_hand_over =
      phase_ == Phase::kAwaitingHandover ||
      (phase_ == Phase::kEnding && origin_ == WorkerOrigin::kEarlierSupervisor);
  if (may_hand_over) return channel_.ReceiveFromWorkerWithFds();
  FSD_ASSIGN_OR_RETURN(auto message, channel_.ReceiveFromWorker());
  std::optional<ipc::WorkerChannel::WithFds> received;
  if (message.has_value()) received.emplace().message = *std::move(message);
  return received;
}

void WorkerProcess::OnChannel() {
  for (int i = 0; i < kMessagesPerRound && channel_open_; ++i) {
    auto message = Receive();
    if (!message.ok()) {
      if (message.status().code() == absl::StatusCode::kUnavailable) return OnHangUp();
      return Kill(std::string(message.status().message()));
    }
    if (!message->has_value()) return;
    if (Floods()) {
      ipc::CloseInBackground(std::move((*message)->fds));
      return Kill(absl::StrCat("it sent more than ", limits_.messages_per_second,
                               " messages within a second"));
    }
    OnMessage(**std::move(message));
  }
}

bool WorkerProcess::Floods() {
  heard_at_ = EventLoop::Clock::now();
  if (heard_at_ - second_began_ >= std::chrono::seconds(1)) {
    second_began_ = heard_at_;
    messages_this_second_ = 0;
  }
  return ++messages_this_second_ > limits_.messages_per_second;
}

void WorkerProcess::OnMessage(ipc::WorkerChannel::WithFds received) {
  const internal::FromWorker& message = received.message;
  switch (message.message_case()) {
    case internal::FromWorker::kHello:
      return OnHello(message.hello());
    case internal::FromWorker::kStatus:
      return OnStatus(message.status());
    case internal::FromWorker::kFailure:
      return OnFailure(message.failure());
    case internal::FromWorker::kInflight:
      if (phase_ == Phase::kReady) return events_.on_inflight(message.inflight());
      if (phase_ == Phase::kEnding) return;
      return Kill("it listed requests before it was ready");
    case internal::FromWorker::kHandover:
      return OnHandover(std::move(received));
    case internal::FromWorker::MESSAGE_NOT_SET:
      if (is_newer_) return;
      break;
  }
  Kill("it sent a message of an unknown kind");
}

void WorkerProcess::OnFailure(const internal::FromWorker::Failure& failure) {
  if (phase_ == Phase::kEnding) return;
  if (phase_ != Phase::kAwaitingHello) return Kill("it said that it cannot serve after its hello");
  last_words_ = Printable(failure.reason());
}

void WorkerProcess::OnHello(const internal::FromWorker::Hello& hello) {
  if (phase_ == Phase::kEnding) return;
  if (!ipc::IsSpoken(hello.version(), hello.oldest_version())) {
    return Kill(absl::StrCat("it speaks version ", hello.version(),
                             " of the private protocol, not ", ipc::kProtocolVersion,
                             "; install fsd and fsd-worker together"));
  }
  if (!export_uid_.empty() && hello.export_uid() != export_uid_) {
    return Kill("it speaks for another export");
  }
  if (phase_ != Phase::kAwaitingHello) return Kill("it said hello twice");
  is_newer_ = hello.version() > ipc::kProtocolVersion;
  if (origin_ == WorkerOrigin::kLaunched) {
    phase_ = Phase::kAwaitingStatus;
    return;
  }
  phase_ = Phase::kAwaitingHandover;
  internal::ToWorker message;
  message.mutable_adopt();
  if (!channel_.Send(message).ok()) Kill("it does not read what it is told");
}

void WorkerProcess::OnHandover(ipc::WorkerChannel::WithFds received) {
  // One that is being stopped sends it all the same, without anybody who takes the descriptors.
  if (phase_ == Phase::kEnding) return ipc::CloseInBackground(std::move(received.fds));
  if (phase_ != Phase::kAwaitingHandover) return Kill("it handed over what nobody had asked for");
  phase_ = Phase::kAwaitingStatus;
  const absl::Status taken =
      events_.on_handover({.spec = std::move(*received.message.mutable_handover()->mutable_spec()),
                           .vhost_listener = std::move(received.fds[0]),
                           .counters = std::move(received.fds[1])});
  if (!taken.ok()) return Kill(std::string(taken.message()));
  if (early_status_.has_value()) OnStatus(*early_status_);
}

void WorkerProcess::OnStatus(const internal::WorkerStatus& status) {
  if (phase_ == Phase::kEnding) {
    if (status.stuck()) Kill("its threads are blocked in the kernel");
    return;
  }
  if (phase_ == Phase::kAwaitingHello) return Kill("it spoke before it said hello");
  if (!internal::WorkerStatus::State_IsValid(status.state()) ||
      status.state() == internal::WorkerStatus::STATE_UNSPECIFIED) {
    return Kill(absl::StrCat("it reported an unknown state ", status.state()));
  }
  if (!internal::WorkerStatus::HandleLack_IsValid(status.handle_lack())) {
    return Kill(absl::StrCat("it reported an unknown lack of handles ", status.handle_lack()));
  }
  if (phase_ == Phase::kAwaitingHandover) {
    early_status_ = status;
    return;
  }
  if (phase_ == Phase::kAwaitingStatus) {
    phase_ = Phase::kReady;
    ready_at_ = EventLoop::Clock::now();
    loop_.Cancel(deadline_);
    query_ = loop_.CallAfter(limits_.query_every, [this] { Query(); });
  }
  events_.on_status(status);
}

// Of a worker that has ended.
void WorkerProcess::ReadLastWords() {
  for (int i = 0; i < kMessagesPerRound && channel_open_ && phase_ == Phase::kAwaitingHello; ++i) {
    const auto message = channel_.ReceiveFromWorker();
    if (!message.ok() || !message->has_value()) return;
    if ((*message)->has_failure()) OnFailure((*message)->failure());
  }
}

void WorkerProcess::Query() {
  if (Since(heard_at_) > limits_.silence) {
    return Kill(absl::StrCat("it has not answered for ", absl::FormatDuration(limits_.silence)));
  }
  internal::ToWorker message;
  message.mutable_query_status();
  // Not sent because earlier ones are unread: the silence will tell.
  (void)channel_.Send(message);
  query_ = loop_.CallAfter(limits_.query_every, [this] { Query(); });
}

void WorkerProcess::OnHangUp() {
  CloseChannel();
  // As a rule it is about to end; one that was told to stop has its deadline already.
  if (phase_ == Phase::kEnding) return;
  loop_.Cancel(query_);
  loop_.Cancel(deadline_);
  deadline_ = loop_.CallAfter(limits_.hang_up, [this] { Kill("it closed its control channel"); });
}

std::optional<WorkerEnd> WorkerProcess::FindEnd() {
  // For a process that has ended to be waited for by its parent, who is not we.
  constexpr int kMaxChecks = 20;
  WorkerEnd end;
  const auto reaped = process_.Reap();
  if (reaped.ok()) {
    if (!reaped->has_value()) return std::nullopt;
    end.exit = **reaped;
    return end;
  }
  const auto exit = process_.Exit();
  if (exit.ok() && exit->has_value()) {
    end.exit = **exit;
    return end;
  }
  if (exit.ok() && ++exit_checks_ <= kMaxChecks) return std::nullopt;
  end.exit_known = false;
  return end;
}

void WorkerProcess::OnExit() {
  constexpr absl::Duration kCheckEvery = absl::Milliseconds(5);
  std::optional<WorkerEnd> end = FindEnd();
  if (!end.has_value()) {
    loop_.epoll().Remove(process_.fd());
    exit_check_ = loop_.CallAfter(kCheckEvery, [this] { OnExit(); });
    return;
  }
  ReadLastWords();
  end->was_ready = ready_at_ != EventLoop::Clock::time_point();
  end->healthy_for = end->was_ready ? Since(ready_at_) : absl::ZeroDuration();
  end->misdeed = misdeed_;
  end->last_words = last_words_;
  loop_.Cancel(deadline_);
  loop_.Cancel(query_);
  CloseChannel();
  loop_.epoll().Remove(process_.fd());
  const auto on_end = std::move(events_.on_end);
  on_end(*end);
}

}  // namespace fsd::supervisor
