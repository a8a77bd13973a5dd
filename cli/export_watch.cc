#include "cli/export_watch.h"

#include <algorithm>
#include <iostream>
#include <thread>

#include "cli/failure.h"
#include "cli/printable.h"
#include "cli/watch_view.h"

namespace fsd::cli {
namespace {

using Clock = std::chrono::system_clock;

class Watch {
 public:
  Watch(Client& client, const std::string& doing, const std::string& filter,
        const std::optional<Clock::time_point>& deadline, const WatchHandler& handler)
      : client_(client), doing_(doing), deadline_(deadline), handler_(handler) {
    request_.set_filter(filter);
  }

  ExitCode Run() {
    if (const ExitCode found = client_.FindServer(); found != ExitCode::kOk) return found;
    for (;;) {
      const grpc::Status status = ReadStream();
      if (has_enough_) return ExitCode::kOk;
      if (deadline_.has_value() && Clock::now() >= *deadline_) return ExitCode::kTimedOut;
      if (!MayGoOn(status)) {
        std::cerr << DescribeFailure(status, doing_);
        return ToExitCode(status.error_code());
      }
      Pause();
    }
  }

 private:
  grpc::Status ReadStream() {
    grpc::ClientContext context;
    if (deadline_.has_value()) context.set_deadline(*deadline_);
    if (request_.resume_token().empty()) view_.BeginSnapshot();
    const auto reader = client_.exports().WatchExports(&context, request_);
    v1::WatchExportsResponse response;
    while (!has_enough_ && reader->Read(&response)) {
      TellOfEnd();
      if (!response.resume_token().empty()) request_.set_resume_token(response.resume_token());
      for (const v1::WatchExportsResponse& event : view_.Take(response)) {
        has_enough_ = has_enough_ || !handler_(event);
      }
    }
    if (has_enough_) context.TryCancel();
    return reader->Finish();
  }

  bool MayGoOn(const grpc::Status& status) {
    switch (status.error_code()) {
      case grpc::StatusCode::OUT_OF_RANGE:        // RESUME_TOKEN_EXPIRED
      case grpc::StatusCode::RESOURCE_EXHAUSTED:  // WATCH_TOO_SLOW
        if (request_.resume_token().empty()) return false;
        request_.clear_resume_token();
        return true;
      case grpc::StatusCode::OK:
      case grpc::StatusCode::CANCELLED:  // by a server that ends
      case grpc::StatusCode::UNAVAILABLE:
        if (!was_connected_) return false;
        if (!is_broken_) {
          std::cerr << "fsctl: the server has ended the stream ("
                    << Printable(status.error_message()) << "); trying again\n";
        }
        is_broken_ = true;
        return true;
      default:
        return false;
    }
  }

  void TellOfEnd() {
    if (is_broken_) std::cerr << "fsctl: the server is back\n";
    is_broken_ = false;
    was_connected_ = true;
    pause_ = kFirstPause;
  }

  void Pause() {
    Clock::time_point until = Clock::now() + pause_;
    if (deadline_.has_value()) until = std::min(until, *deadline_);
    std::this_thread::sleep_until(until);
    pause_ = std::min<Clock::duration>(2 * pause_, std::chrono::seconds(2));
  }

  static constexpr std::chrono::milliseconds kFirstPause{100};

  Client& client_;
  const std::string& doing_;
  const std::optional<Clock::time_point>& deadline_;
  const WatchHandler& handler_;
  v1::WatchExportsRequest request_;
  WatchView view_;
  bool has_enough_ = false;
  bool was_connected_ = false;
  bool is_broken_ = false;
  Clock::duration pause_ = kFirstPause;
};

}  // namespace

ExitCode WatchExports(Client& client, const std::string& doing, const std::string& filter,
                      const std::optional<Clock::time_point>& deadline,
                      const WatchHandler& handler) {
  return Watch(client, doing, filter, deadline, handler).Run();
}

}  // namespace fsd::cli
