// fsd-worker: serves one export until a supervisor says Stop or it dies.
//
// Only a supervisor starts it: as the first process of a new pid namespace if its jail is to have
// namespaces, with the descriptors of server/ipc/inherited_fds.h and without arguments. It ends
// with a status of server/ipc/worker_exit.h. In order: adopt what it was given, enter the jail,
// compile the lists of system calls, fork the data plane and, for an export with host handles, the
// handle keeper, confine each process to its list, serve.
#include <fcntl.h>
#include <malloc.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <ctime>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "proto/fsd/internal/worker.pb.h"
#include "server/errors/errno_or.h"
#include "server/errors/status_macros.h"
#include "server/exe/adopted_fds.h"
#include "server/exe/backend_factory.h"
#include "server/exe/failure_report.h"
#include "server/exe/handle_keeper_client.h"
#include "server/exe/worker_jail.h"
#include "server/ipc/worker_channel.h"
#include "server/ipc/worker_exit.h"
#include "server/os/cycle_clock.h"
#include "server/os/unique_fd.h"
#include "server/sandbox/resource_limits.h"
#include "server/sandbox/sandbox.h"
#include "server/sandbox/seccomp_filter.h"
#include "server/telemetry/log.h"
#include "server/worker/handle_keeper.h"
#include "server/worker/keeper.h"
#include "server/worker/worker.h"

namespace fsd::exe {
namespace {

int Fail(int exit_status, std::string_view export_name, const absl::Status& why) {
  FSD_LOG(kError, export_name, "%s", why.message());
  return exit_status;
}

// The supervisor, whom `control_listener` reaches, is told too.
int Fail(int exit_status, std::string_view export_name, const absl::Status& why,
         int control_listener) {
  ReportFailure(control_listener, why);
  return Fail(exit_status, export_name, why);
}

absl::StatusOr<internal::WorkerSpec> ReadSpec(int fd) {
  struct stat info;
  if (::fstat(fd, &info) != 0) return ErrnoStatus(Errno::Last(), "fstat of the specification");
  if (info.st_size > static_cast<off_t>(ipc::kMaxSpecBytes)) {
    return absl::InvalidArgumentError(
        absl::StrCat("a specification of ", info.st_size, " bytes is too large"));
  }
  std::string bytes(static_cast<size_t>(info.st_size), '\0');
  if (::pread(fd, bytes.data(), bytes.size(), 0) != info.st_size) {
    return absl::InternalError("the specification cannot be read");
  }
  internal::WorkerSpec spec;
  if (!spec.ParseFromString(bytes)) {
    return absl::InvalidArgumentError("the specification is not one");
  }
  if (!ipc::IsSpoken(spec.version(), 0)) {
    return absl::InvalidArgumentError(absl::StrCat("the specification has version ", spec.version(),
                                                   ", this worker ", ipc::kProtocolVersion));
  }
  if (spec.log_level() < static_cast<int>(telemetry::LogLevel::kDebug) ||
      spec.log_level() > static_cast<int>(telemetry::LogLevel::kError)) {
    return absl::InvalidArgumentError(
        absl::StrCat("the specification has no log level ", spec.log_level()));
  }
  return spec;
}

// `fds` keeps its own if there is no worker to have them.
absl::StatusOr<std::unique_ptr<worker::Worker>> MakeWorker(
    internal::WorkerSpec spec, AdoptedFds& fds, sandbox::Jail& jail,
    sandbox::DataPlaneConfinement confinement, os::UniqueFd handle_keeper,
    const os::CycleClock& clock) {
  std::unique_ptr<HandleKeeperClient> broker;
  if (handle_keeper.valid()) {
    broker = std::make_unique<HandleKeeperClient>(std::move(handle_keeper));
  }
  FSD_ASSIGN_OR_RETURN(auto filesystem,
                       MakeBackend(spec.spec(), std::move(jail.root),
                                   std::move(confinement.proc_self_fd), std::move(broker)));
  return worker::Worker::Create({.spec = std::move(spec),
                                 .control_listener = std::move(fds.control_listener),
                                 .vhost_listener = std::move(fds.vhost_listener),
                                 .filesystem = std::move(filesystem),
                                 .clock = clock,
                                 .counters = std::move(fds.counters),
                                 .landlock_lacking = !confinement.has_landlock,
                                 .devices_refused = jail.devices_refused});
}

int RunDataPlane(const internal::WorkerSpec& spec, AdoptedFds fds, sandbox::Jail& jail,
                 os::UniqueFd handle_keeper, const sandbox::SeccompFilter& filter,
                 const os::CycleClock& clock) {
  const std::string& name = spec.spec().id();
  const int supervisor = fds.control_listener.get();
  auto confinement = sandbox::ConfineDataPlane(jail, spec.spec().read_only());
  if (!confinement.ok()) {
    return Fail(ipc::kWorkerJailUnavailable, name, confinement.status(), supervisor);
  }
  auto worker =
      MakeWorker(spec, fds, jail, *std::move(confinement), std::move(handle_keeper), clock);
  if (!worker.ok()) return Fail(ipc::kWorkerSetUpFailed, name, worker.status(), supervisor);
  if (const absl::Status confined = filter.Install(); !confined.ok()) {
    return Fail(ipc::kWorkerJailUnavailable, name, confined);
  }
  return (*worker)->Run();
}

int RunHandleKeeper(const internal::ExportSpec& spec, int socket, const sandbox::Jail& jail,
                    const sandbox::SeccompFilter& filter) {
  const std::string& name = spec.id();
  const ErrnoOr<worker::HandleKeeper> keeper = worker::HandleKeeper::Create(spec.read_only());
  if (!keeper.ok()) {
    return Fail(ipc::kWorkerSetUpFailed, name, ErrnoStatus(keeper.error(), "drawing a key"));
  }
  if (const absl::Status confined = sandbox::Confine(sandbox::Process::kHandleKeeper, jail, filter);
      !confined.ok()) {
    return Fail(ipc::kWorkerJailUnavailable, name, confined);
  }
  if (const ErrnoOr<void> served = keeper->Serve(socket); !served.ok()) {
    return Fail(ipc::kWorkerHandleKeeperDied, name, ErrnoStatus(served.error(), "keeping handles"));
  }
  return 0;
}

int Main() {
  // Much of what a worker logs a guest or a front-end can bring about.
  telemetry::StartLog("fsd-worker", telemetry::LogLevel::kInfo,
                      telemetry::LogLimit{.burst = 100, .per_second = 10});
  ::signal(SIGPIPE, SIG_IGN);
  auto fds = AdoptInheritedFds();
  if (!fds.ok()) return Fail(ipc::kWorkerBadInvocation, "", fds.status());
  const auto spec = ReadSpec(fds->spec.get());
  if (!spec.ok()) return Fail(ipc::kWorkerBadInvocation, "", spec.status());
  const std::string& name = spec->spec().id();
  telemetry::SetLogLevel(static_cast<telemetry::LogLevel>(spec->log_level()));
  // Before the jail, where there is no /sys.
  const os::CycleClock clock = os::CycleClock::Start();
  // For the log: in the jail, the zone's file would be the guest's.
  ::tzset();
  FSD_LOG(kInfo, name, "worker starts, serving %s", spec->spec().source_path());
  const int supervisor = fds->control_listener.get();
  if (const auto limited = sandbox::LimitOpenFiles(spec->spec().limits().open_files());
      !limited.ok()) {
    return Fail(ipc::kWorkerSetUpFailed, name, limited, supervisor);
  }

  auto jail = EnterJail(*spec, std::move(fds->source_directory));
  if (!jail.ok()) return Fail(ipc::kWorkerJailUnavailable, name, jail.status(), supervisor);

  const auto filters = CompileFilters(spec->spec(), *jail);
  if (!filters.ok()) return Fail(ipc::kWorkerJailUnavailable, name, filters.status(), supervisor);
  // A free page that was written to is memory all the same, and each process that writes to it
  // again has one of its own.
  ::malloc_trim(0);

  // The first for the data plane, the second for the handle keeper.
  int handle_sockets[2] = {-1, -1};
  if (jail->host_handles &&
      ::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, handle_sockets) != 0) {
    return Fail(ipc::kWorkerSetUpFailed, name, ErrnoStatus(Errno::Last(), "socketpair"));
  }
  const auto data_plane = worker::ForkDataPlane([&] {
    return RunDataPlane(*spec, *std::move(fds), *jail, os::UniqueFd(handle_sockets[0]),
                        filters->data_plane, clock);
  });
  if (!data_plane.ok()) return Fail(ipc::kWorkerSetUpFailed, name, data_plane.status());
  std::optional<pid_t> handle_keeper;
  if (jail->host_handles) {
    const auto forked = worker::ForkHandleKeeper(handle_sockets[1], [&](int socket) {
      return RunHandleKeeper(spec->spec(), socket, *jail, *filters->handle_keeper);
    });
    // The data plane ends with this process.
    if (!forked.ok()) ::_exit(Fail(ipc::kWorkerSetUpFailed, name, forked.status()));
    handle_keeper = *forked;
    ::close(handle_sockets[1]);
  }
  if (const absl::Status confined =
          sandbox::Confine(sandbox::Process::kKeeper, *jail, filters->keeper);
      !confined.ok()) {
    ::_exit(Fail(ipc::kWorkerJailUnavailable, name, confined));
  }
  const int status = worker::AwaitEnd(*data_plane, handle_keeper, name);
  // Without destructors: every descriptor of ours was the data plane's to close.
  ::_exit(status);
}

}  // namespace
}  // namespace fsd::exe

int main() { return fsd::exe::Main(); }
