#include "server/control/watch_hub.h"

#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "server/control/export_filter.h"
#include "server/control/export_validation.h"
#include "server/control/status_details.h"
#include "server/control/watch_cursor.h"

namespace fsd::control {
namespace {

grpc::Status TooSlow() {
  return FailedWith(
      absl::ResourceExhaustedError("more has changed than the server remembers while the stream "
                                   "was not read; watch again without a resume token, and read "
                                   "faster or with a filter"),
      v1::WATCH_TOO_SLOW);
}

grpc::Status ShuttingDown() {
  return FailedWith(absl::UnavailableError("the server is shutting down"), v1::SHUTTING_DOWN);
}

}  // namespace

// One call. What it shares with the hub is guarded by the hub's mutex.
class WatchHub::Stream final : public grpc::ServerWriteReactor<v1::WatchExportsResponse> {
 public:
  explicit Stream(std::shared_ptr<WatchHub> hub) : hub_(std::move(hub)) {}

  // Keeps `self` until gRPC is done with it.
  void Keep(std::shared_ptr<Stream> self) { self_ = std::move(self); }
  // Once, when the log is complete and the request is known.
  void Begin(std::optional<WatchCursor> cursor) ABSL_EXCLUSIVE_LOCKS_REQUIRED(hub_->mutex_) {
    cursor_ = std::move(cursor);
  }

  // Sends what is next, if nothing is on its way; sends the watcher away if it is lost.
  void Advance() {
    absl::MutexLock operation(&operation_mutex_);
    grpc::Status lost;
    {
      absl::MutexLock lock(&hub_->mutex_);
      if (ended_ || !hub_->started_) return;
      if (!cursor_.has_value()) cursor_.emplace(std::move(filter_), hub_->log_);
      if (cursor_->IsLost(hub_->log_)) {
        lost = TooSlow();
        EndLocked();
      } else {
        if (writing_) return;
        std::optional<v1::WatchExportsResponse> next = cursor_->Next(hub_->log_);
        if (!next.has_value()) return;
        response_ = *std::move(next);
        writing_ = true;
      }
    }
    if (!lost.ok()) return Finish(lost);
    StartWrite(&response_);
  }

  void End(const grpc::Status& status) {
    absl::MutexLock operation(&operation_mutex_);
    {
      absl::MutexLock lock(&hub_->mutex_);
      if (ended_) return;
      EndLocked();
    }
    Finish(status);
  }

  void OnWriteDone(bool ok) override {
    {
      absl::MutexLock lock(&hub_->mutex_);
      writing_ = false;
    }
    // Otherwise OnCancel says that the client is gone.
    if (ok) Advance();
  }
  void OnCancel() override { End(grpc::Status::CANCELLED); }
  void OnDone() override { const std::shared_ptr<Stream> last = std::move(self_); }

  ExportFilter filter_;  // until the cursor has it

 private:
  void EndLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(hub_->mutex_) {
    ended_ = true;
    for (auto it = hub_->streams_.begin(); it != hub_->streams_.end(); ++it) {
      if (it->get() != this) continue;
      hub_->streams_.erase(it);  // `self_` is still there
      return;
    }
  }

  const std::shared_ptr<WatchHub> hub_;
  std::shared_ptr<Stream> self_;
  // Held from deciding on an operation until it is started: none may follow Finish. Before the
  // hub's.
  absl::Mutex operation_mutex_;
  std::optional<WatchCursor> cursor_ ABSL_GUARDED_BY(hub_->mutex_);  // none: begins with a snapshot
  bool writing_ ABSL_GUARDED_BY(hub_->mutex_) = false;
  bool ended_ ABSL_GUARDED_BY(hub_->mutex_) = false;
  v1::WatchExportsResponse response_;  // on its way while `writing_`
};

std::shared_ptr<WatchHub> WatchHub::Create(const Limits& limits) {
  return std::shared_ptr<WatchHub>(new WatchHub(limits));
}

WatchHub::~WatchHub() = default;

void WatchHub::Update(const supervisor::ExportView& view) {
  {
    absl::MutexLock lock(&mutex_);
    log_.Add(view);
    if (!started_) return;
  }
  AdvanceAll();
}

void WatchHub::Start(const std::vector<supervisor::ExportView>& views) {
  {
    absl::MutexLock lock(&mutex_);
    for (const supervisor::ExportView& view : views) log_.Add(view);
    started_ = true;
  }
  AdvanceAll();
}

void WatchHub::AdvanceAll() {
  std::vector<std::shared_ptr<Stream>> streams;
  {
    absl::MutexLock lock(&mutex_);
    streams.assign(streams_.begin(), streams_.end());
  }
  for (const std::shared_ptr<Stream>& stream : streams) stream->Advance();
}

void WatchHub::Close() {
  std::vector<std::shared_ptr<Stream>> streams;
  {
    absl::MutexLock lock(&mutex_);
    closed_ = true;
    streams.assign(streams_.begin(), streams_.end());
  }
  for (const std::shared_ptr<Stream>& stream : streams) stream->End(ShuttingDown());
}

grpc::Status WatchHub::Open(const v1::WatchExportsRequest& request,
                            const std::shared_ptr<Stream>& stream) {
  FieldViolations violations = ValidateWatch(request);
  auto filter = ExportFilter::Parse(request.filter());
  if (!filter.ok()) {
    violations.push_back({"filter", v1::FILTER_INVALID, std::string(filter.status().message())});
  }
  absl::MutexLock lock(&mutex_);
  std::optional<WatchCursor> cursor;
  if (!request.resume_token().empty()) {
    const absl::StatusOr<uint64_t> after = log_.ReadToken(request.resume_token());
    if (absl::IsOutOfRange(after.status())) {
      return FailedWith(after.status(), v1::RESUME_TOKEN_EXPIRED);
    }
    if (!after.ok()) {
      violations.push_back(
          {"resume_token", v1::RESUME_TOKEN_INVALID, std::string(after.status().message())});
    } else if (filter.ok()) {
      cursor.emplace(*filter, *after);
    }
  }
  if (!violations.empty()) return InvalidFields(violations);
  if (closed_) return ShuttingDown();
  if (streams_.size() >= limits_.watchers) {
    return FailedWith(
        absl::ResourceExhaustedError(absl::StrCat(
            "there are ", limits_.watchers, " watchers already; end one, or try again later")),
        v1::LIMIT_REACHED, {{"limit", absl::StrCat(limits_.watchers)}});
  }
  stream->filter_ = *std::move(filter);
  stream->Begin(std::move(cursor));
  streams_.insert(stream);
  return grpc::Status::OK;
}

grpc::ServerWriteReactor<v1::WatchExportsResponse>* WatchHub::Watch(
    const v1::WatchExportsRequest& request) {
  const auto stream = std::make_shared<Stream>(shared_from_this());
  stream->Keep(stream);
  if (const grpc::Status status = Open(request, stream); !status.ok()) {
    stream->End(status);
  } else {
    stream->Advance();
  }
  return stream.get();
}

}  // namespace fsd::control
