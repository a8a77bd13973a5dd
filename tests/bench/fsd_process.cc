#include "tests/bench/fsd_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "grpcpp/grpcpp.h"
#include "server/errors/status_macros.h"
#include "server/os/unique_fd.h"

namespace fsd::bench {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds kCallPatience{60};
constexpr int kStopPatienceMs = 60'000;

absl::Status StatusOf(const grpc::Status& status, std::string_view what) {
  if (status.ok()) return absl::OkStatus();
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                      absl::StrCat(std::string(what), ": ", status.error_message()));
}

void SetDeadline(grpc::ClientContext& context) {
  context.set_deadline(std::chrono::system_clock::now() + kCallPatience);
}

}  // namespace

absl::StatusOr<std::unique_ptr<FsdProcess>> FsdProcess::Start(const std::string& binary) {
  char path[] = "/tmp/fsd-scale-XXXXXX";
  // In memory, as /run is.
  char run_path[] = "/dev/shm/fsd-scale-XXXXXX";
  if (::mkdtemp(path) == nullptr || ::mkdtemp(run_path) == nullptr) {
    return ErrnoStatus(Errno::Last(), "mkdtemp");
  }
  std::unique_ptr<FsdProcess> started(new FsdProcess(path, run_path));
  fs::create_directory(started->directory_ + "/shares");
  FSD_RETURN_IF_ERROR(started->Spawn(binary));
  started->exports_ = v1::ExportService::NewStub(grpc::CreateChannel(
      absl::StrCat("unix://", path, "/socket"), grpc::InsecureChannelCredentials()));
  FSD_RETURN_IF_ERROR(started->AwaitAnswer());
  return started;
}

FsdProcess::~FsdProcess() {
  Stop();
  std::error_code ignored;
  fs::remove_all(directory_, ignored);
  fs::remove_all(run_directory_, ignored);
}

absl::Status FsdProcess::Spawn(const std::string& binary) {
  std::vector<std::string> words = {fs::canonical(binary).string(),
                                    "--listen",
                                    absl::StrCat("unix://", directory_, "/socket"),
                                    "--state-dir",
                                    directory_ + "/state",
                                    "--runtime-dir",
                                    run_directory_,
                                    "--allow-source",
                                    directory_ + "/shares"};
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  const os::UniqueFd log(
      ::open((directory_ + "/log").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (!log.valid()) return ErrnoStatus(Errno::Last(), "open the log");
  pid_ = ::fork();
  if (pid_ < 0) {
    pid_ = 0;
    return ErrnoStatus(Errno::Last(), "fork");
  }
  if (pid_ > 0) return absl::OkStatus();
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  ::dup2(log.get(), STDOUT_FILENO);
  ::dup2(log.get(), STDERR_FILENO);
  ::execv(arguments[0], arguments.data());
  ::_exit(127);
}

absl::Status FsdProcess::AwaitAnswer() {
  grpc::ClientContext context;
  SetDeadline(context);
  context.set_wait_for_ready(true);
  v1::ListExportsResponse answer;
  const grpc::Status listed = exports_->ListExports(&context, {}, &answer);
  if (listed.ok()) return absl::OkStatus();
  std::ostringstream log;
  log << std::ifstream(directory_ + "/log").rdbuf();
  return StatusOf(listed, absl::StrCat("fsd does not answer; its log:\n", log.str()));
}

void FsdProcess::MakeShare(const std::string& id) const {
  fs::create_directory(absl::StrCat(directory_, "/shares/", id));
}

absl::StatusOr<std::string> FsdProcess::Create(const std::string& id) {
  v1::CreateExportRequest request;
  request.set_export_id(id);
  request.mutable_export_()->mutable_source()->mutable_passthrough()->set_path(
      absl::StrCat(directory_, "/shares/", id));
  request.mutable_export_()->set_tag(id);
  grpc::ClientContext context;
  SetDeadline(context);
  v1::Export made;
  FSD_RETURN_IF_ERROR(
      StatusOf(exports_->CreateExport(&context, request, &made), "create export " + id));
  return made.socket().path();
}

absl::Status FsdProcess::Delete(const std::string& id) {
  v1::DeleteExportRequest request;
  request.set_name("exports/" + id);
  request.set_mode(v1::DeleteExportRequest::FORCE);
  grpc::ClientContext context;
  SetDeadline(context);
  google::protobuf::Empty nothing;
  return StatusOf(exports_->DeleteExport(&context, request, &nothing), "delete export " + id);
}

void FsdProcess::Stop() {
  if (pid_ == 0) return;
  const os::UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
  ::kill(pid_, SIGTERM);
  pollfd entry{.fd = process.get(), .events = POLLIN, .revents = 0};
  if (::poll(&entry, 1, kStopPatienceMs) != 1) ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  pid_ = 0;
}

}  // namespace fsd::bench
