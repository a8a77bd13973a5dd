#include "tests/harness/running_supervisor.h"

#include <stdlib.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <future>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/errors/errno_or.h"
#include "server/errors/status_macros.h"
#include "tests/harness/front_end.h"

namespace fsd::harness {
namespace {

// Runs `start`, which takes a callback, and waits for what the callback is given.
template <typename Result, typename Operation>
Result Await(Operation start) {
  auto promise = std::make_shared<std::promise<Result>>();
  std::future<Result> future = promise->get_future();
  start([promise](Result result) { promise->set_value(std::move(result)); });
  if (future.wait_for(kPatience) != std::future_status::ready) {
    return absl::DeadlineExceededError("the supervisor does not answer");
  }
  return future.get();
}

}  // namespace

absl::StatusOr<std::unique_ptr<RunningSupervisor>> RunningSupervisor::Start(
    const std::string& worker_binary, const std::function<void(supervisor::Config&)>& configure) {
  char path[] = "/tmp/fsd-test-XXXXXX";
  if (::mkdtemp(path) == nullptr) return ErrnoStatus(Errno::Last(), "mkdtemp");
  std::unique_ptr<RunningSupervisor> running(new RunningSupervisor(path));
  std::filesystem::create_directory(running->directory_ + "/shares");
  supervisor::Config config;
  config.listen = {{.address = absl::StrCat("unix://", path, "/fsd.sock")}};
  config.state_dir = running->directory_ + "/state";
  config.runtime_dir = running->directory_ + "/run";
  config.allow_source = {running->directory_ + "/shares"};
  config.worker_binary = worker_binary;
  config.weakest_sandbox = internal::ExportSpec::SANDBOX_NONE;
  config.weakest_seccomp = internal::ExportSpec::SECCOMP_OFF;
  config.allow_capabilities = {"CAP_LINUX_IMMUTABLE", "CAP_SYS_ADMIN"};
  configure(config);
  FSD_ASSIGN_OR_RETURN(running->supervisor_, supervisor::Supervisor::Create(std::move(config)));
  running->thread_ = std::thread([raw = running->supervisor_.get()] { raw->Run(); });
  return running;
}

RunningSupervisor::~RunningSupervisor() {
  if (thread_.joinable()) {
    supervisor_->Shutdown();
    thread_.join();
  }
  supervisor_.reset();
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

absl::StatusOr<supervisor::ExportView> RunningSupervisor::Create(const std::string& id) {
  std::filesystem::create_directories(share(id));
  internal::ExportSpec spec;
  spec.set_id(id);
  spec.set_source_path(share(id));
  spec.set_tag(id);
  spec.set_cache(internal::ExportSpec::CACHE_AUTO);
  return Create(std::move(spec));
}

absl::StatusOr<supervisor::ExportView> RunningSupervisor::Create(internal::ExportSpec spec) {
  const char* const seccomp = std::getenv("FSD_TEST_SECCOMP");
  if (seccomp != nullptr && std::string_view(seccomp) == "log") {
    spec.set_seccomp(internal::ExportSpec::SECCOMP_LOG);
  }
  return Await<absl::StatusOr<supervisor::ExportView>>(
      [&](auto done) { supervisor_->CreateExport(std::move(spec), "", false, std::move(done)); });
}

absl::StatusOr<supervisor::ExportView> RunningSupervisor::Get(const std::string& id) {
  return Await<absl::StatusOr<supervisor::ExportView>>(
      [&](auto done) { supervisor_->GetExport(id, std::move(done)); });
}

absl::Status RunningSupervisor::Delete(const std::string& id, bool force) {
  return Await<absl::Status>([&](auto done) {
    supervisor_->DeleteExport(
        {.id = id, .precondition = nullptr},
        {.mode = force ? supervisor::Deletion::Mode::kForce : supervisor::Deletion::Mode::kSafe,
         .wait = {}},
        std::move(done));
  });
}

absl::StatusOr<supervisor::UpdatedExport> RunningSupervisor::Update(
    const std::string& id, const std::function<void(internal::ExportSpec&)>& change) {
  return Await<absl::StatusOr<supervisor::UpdatedExport>>([&](auto done) {
    supervisor_->UpdateExport(
        id,
        [&change](const internal::ExportRecord& record) -> absl::StatusOr<internal::ExportSpec> {
          internal::ExportSpec spec = record.spec();
          change(spec);
          return spec;
        },
        false, std::move(done));
  });
}

absl::StatusOr<telemetry::ExportCounts> RunningSupervisor::Counts(const std::string& id) {
  FSD_ASSIGN_OR_RETURN(const supervisor::ExportSample sample,
                       Await<absl::StatusOr<supervisor::ExportSample>>(
                           [&](auto done) { supervisor_->SampleExport(id, std::move(done)); }));
  const ErrnoOr<telemetry::ExportCounts> counts = sample.ReadCounts();
  if (!counts.ok()) return ErrnoStatus(counts.error(), "read the counters");
  return *counts;
}

absl::StatusOr<supervisor::ExportView> RunningSupervisor::WaitFor(
    const std::string& id, const std::function<bool(const supervisor::ExportView&)>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (true) {
    FSD_ASSIGN_OR_RETURN(supervisor::ExportView view, Get(id));
    if (condition(view)) return view;
    if (std::chrono::steady_clock::now() > deadline) {
      return absl::DeadlineExceededError(
          absl::StrCat("export ", id, " stays in state ", static_cast<int>(view.state)));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

absl::StatusOr<supervisor::ExportView> RunningSupervisor::WaitFor(const std::string& id,
                                                                  supervisor::ExportState state) {
  return WaitFor(id, [state](const supervisor::ExportView& view) { return view.state == state; });
}

}  // namespace fsd::harness
