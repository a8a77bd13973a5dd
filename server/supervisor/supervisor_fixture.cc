#include "server/supervisor/supervisor_fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <utility>

#include "server/os/unix_socket.h"

namespace fsd::supervisor {
namespace {

// Generous: only a failing test waits so long.
constexpr std::chrono::milliseconds kPatience = std::chrono::seconds(120);

using Answer = std::promise<absl::StatusOr<ExportView>>;

Callback<ExportView> Keep(std::shared_ptr<Answer> answer) {
  return [answer = std::move(answer)](absl::StatusOr<ExportView> view) {
    answer->set_value(std::move(view));
  };
}

ExportTarget TargetOf(const std::string& id) { return {.id = id, .precondition = nullptr}; }

}  // namespace

RunningSupervisor::RunningSupervisor(const Config& config, const Timing& timing)
    : supervisor_(*Supervisor::Create(config, timing)) {
  supervisor_->SetObserver([this](const ExportView& view) {
    const std::lock_guard lock(mutex_);
    seen_.push_back(view);
    changed_.notify_all();
  });
  thread_ = std::thread([this] { supervisor_->Run(); });
}

void RunningSupervisor::Stop() {
  if (!thread_.joinable()) return;
  supervisor_->Shutdown();
  thread_.join();
}

std::future<absl::StatusOr<ExportView>> RunningSupervisor::StartCreate(
    const internal::ExportSpec& spec, bool validate_only) {
  auto promise = std::make_shared<std::promise<absl::StatusOr<ExportView>>>();
  supervisor_->CreateExport(spec, "", validate_only, [promise](absl::StatusOr<ExportView> view) {
    promise->set_value(std::move(view));
  });
  return promise->get_future();
}

absl::StatusOr<ExportView> RunningSupervisor::Get(const std::string& id) {
  auto promise = std::make_shared<std::promise<absl::StatusOr<ExportView>>>();
  supervisor_->GetExport(
      id, [promise](absl::StatusOr<ExportView> view) { promise->set_value(std::move(view)); });
  return promise->get_future().get();
}

std::vector<ExportView> RunningSupervisor::List() {
  auto promise = std::make_shared<std::promise<absl::StatusOr<std::vector<ExportView>>>>();
  supervisor_->ListExports([promise](absl::StatusOr<std::vector<ExportView>> views) {
    promise->set_value(std::move(views));
  });
  return *promise->get_future().get();
}

absl::Status RunningSupervisor::Delete(const std::string& id, bool force) {
  return StartDelete(id,
                     {.mode = force ? Deletion::Mode::kForce : Deletion::Mode::kSafe, .wait = {}})
      .get();
}

std::future<absl::Status> RunningSupervisor::StartDelete(const std::string& id,
                                                         const Deletion& deletion) {
  auto promise = std::make_shared<std::promise<absl::Status>>();
  supervisor_->DeleteExport(TargetOf(id), deletion,
                            [promise](absl::Status status) { promise->set_value(status); });
  return promise->get_future();
}

absl::StatusOr<UpdatedExport> RunningSupervisor::Update(const std::string& id,
                                                        const SpecChange& change,
                                                        bool validate_only) {
  std::promise<absl::StatusOr<UpdatedExport>> promise;
  supervisor_->UpdateExport(
      id, change, validate_only,
      [&promise](absl::StatusOr<UpdatedExport> updated) { promise.set_value(std::move(updated)); });
  return promise.get_future().get();
}

std::future<absl::StatusOr<ExportView>> RunningSupervisor::StartDrain(const std::string& id,
                                                                      const DrainWait& wait) {
  auto answer = std::make_shared<Answer>();
  supervisor_->DrainExport(TargetOf(id), wait, Keep(answer));
  return answer->get_future();
}

absl::StatusOr<ExportView> RunningSupervisor::Drain(const std::string& id) {
  const auto answer = std::make_shared<Answer>();
  supervisor_->DrainExport(TargetOf(id), std::nullopt, Keep(answer));
  return answer->get_future().get();
}

absl::StatusOr<ExportView> RunningSupervisor::Resume(const std::string& id) {
  const auto answer = std::make_shared<Answer>();
  supervisor_->ResumeExport(TargetOf(id), Keep(answer));
  return answer->get_future().get();
}

absl::StatusOr<ExportView> RunningSupervisor::Disconnect(const std::string& id) {
  const auto answer = std::make_shared<Answer>();
  supervisor_->DisconnectExport(TargetOf(id), Keep(answer));
  return answer->get_future().get();
}

absl::StatusOr<ExportView> RunningSupervisor::RestartWorker(const std::string& id, bool force) {
  const auto answer = std::make_shared<Answer>();
  supervisor_->RestartWorker(TargetOf(id), force, Keep(answer));
  return answer->get_future().get();
}

telemetry::LogLevel RunningSupervisor::SetLogLevel(telemetry::LogLevel level) {
  std::promise<telemetry::LogLevel> promise;
  supervisor_->SetLogLevel(level, [&promise](absl::StatusOr<telemetry::LogLevel> before) {
    promise.set_value(*before);
  });
  return promise.get_future().get();
}

absl::Duration RunningSupervisor::SetSlowRequest(absl::Duration threshold) {
  std::promise<absl::Duration> promise;
  supervisor_->SetSlowRequest(
      threshold, [&promise](absl::StatusOr<absl::Duration> before) { promise.set_value(*before); });
  return promise.get_future().get();
}

ExportView RunningSupervisor::Await(const std::string& id, ExportState state) {
  return Await(id, [state](const ExportView& view) { return view.state == state; });
}

ExportView RunningSupervisor::Await(const std::string& id,
                                    const std::function<bool(const ExportView&)>& condition) {
  std::unique_lock lock(mutex_);
  ExportView found;
  const bool seen = changed_.wait_for(lock, kPatience, [&] {
    for (size_t& next = next_[id]; next < seen_.size();) {
      const ExportView& view = seen_[next++];
      if (view.record.spec().id() != id || !condition(view)) continue;
      found = view;
      return true;
    }
    return false;
  });
  EXPECT_TRUE(seen) << "what was waited for was not seen";
  return found;
}

SupervisorTest::SupervisorTest() {
  char name[] = "/tmp/fsd-test-XXXXXX";
  root_ = ::mkdtemp(name);
  ::mkdir((root_ + "/srv").c_str(), 0755);
  ::mkdir((root_ + "/vms").c_str(), 0755);
  config_.state_dir = root_ + "/state";
  config_.runtime_dir = root_ + "/run";
  config_.allow_source = {root_ + "/srv"};
  config_.allow_socket = {root_ + "/vms"};
  char cwd[4096];
  config_.worker_binary = std::string(::getcwd(cwd, sizeof cwd)) + "/server/supervisor/fake_worker";
  // Nobody who behaves meets these on a slow machine.
  timing_.worker.ready = absl::Minutes(2);
  timing_.worker.stop = absl::Minutes(2);
  timing_.restart.first_delay = absl::Milliseconds(1);
}

SupervisorTest::~SupervisorTest() {
  running_.reset();
  [[maybe_unused]] const int status = std::system(("rm -rf " + root_).c_str());
}

RunningSupervisor& SupervisorTest::Start() {
  running_.reset();
  running_ = std::make_unique<RunningSupervisor>(config_, timing_);
  return *running_;
}

internal::ExportSpec SupervisorTest::SpecOf(const std::string& id, const std::string& tag) const {
  internal::ExportSpec spec;
  spec.set_id(id);
  spec.set_tag(tag);
  spec.set_source_path(root_ + "/srv");
  return spec;
}

os::UniqueFd SupervisorTest::Connect(const std::string& id) const {
  auto connected = os::ConnectUnix(SocketOf(id), os::SocketType::kStream);
  EXPECT_TRUE(connected.ok());
  return connected.ok() ? *std::move(connected) : os::UniqueFd();
}

void SupervisorTest::Write(const os::UniqueFd& front_end, char letter) {
  EXPECT_EQ(::write(front_end.get(), &letter, 1), 1);
}

std::optional<char> SupervisorTest::Ask(const os::UniqueFd& front_end, char letter) {
  Write(front_end, letter);
  pollfd polled{.fd = front_end.get(), .events = POLLIN, .revents = 0};
  char answer = 0;
  const bool answered = ::poll(&polled, 1, static_cast<int>(kPatience.count())) == 1 &&
                        ::read(front_end.get(), &answer, 1) == 1;
  return answered ? std::optional(answer) : std::nullopt;
}

bool SupervisorTest::Answers(const os::UniqueFd& front_end) {
  if (::write(front_end.get(), "p", 1) != 1) return false;
  pollfd polled{.fd = front_end.get(), .events = POLLIN, .revents = 0};
  char answer[4];
  return ::poll(&polled, 1, static_cast<int>(kPatience.count())) == 1 &&
         ::read(front_end.get(), answer, sizeof answer) == sizeof answer;
}

bool SupervisorTest::Exists(const std::string& path) const {
  return ::access((root_ + path).c_str(), F_OK) == 0;
}

void SupervisorTest::Touch(const std::string& path) const {
  ::close(::open((root_ + path).c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
}

ino_t SupervisorTest::InodeOf(const std::string& path) {
  struct stat info {};
  ::lstat(path.c_str(), &info);
  return info.st_ino;
}

bool SupervisorTest::HasNoChild() {
  return ::waitpid(-1, nullptr, WNOHANG) == -1 && errno == ECHILD;
}

size_t SupervisorTest::CountOpenFds() {
  size_t count = 0;
  DIR* const directory = ::opendir("/proc/self/fd");
  while (::readdir(directory) != nullptr) ++count;
  ::closedir(directory);
  return count;
}

}  // namespace fsd::supervisor
