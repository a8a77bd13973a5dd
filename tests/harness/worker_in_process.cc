#include "tests/harness/worker_in_process.h"

#include <fcntl.h>
#include <stdlib.h>

#include <filesystem>
#include <utility>

#include "backends/passthrough/passthrough_filesystem.h"
#include "server/errors/check.h"
#include "server/errors/status_macros.h"
#include "server/ipc/worker_channel.h"
#include "server/os/unix_socket.h"

namespace fsd::harness {

absl::StatusOr<std::unique_ptr<WorkerInProcess>> WorkerInProcess::Start(internal::ExportSpec spec) {
  char directory[] = "/tmp/fsd-worker-XXXXXX";
  FSD_CHECK(::mkdtemp(directory) != nullptr);
  std::unique_ptr<WorkerInProcess> made(new WorkerInProcess(directory));
  std::filesystem::create_directory(made->share());
  passthrough::Options options;
  options.root.reset(::open(made->share().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  options.proc_self_fd.reset(::open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC));
  FSD_ASSIGN_OR_RETURN(std::unique_ptr<backends::Filesystem> filesystem,
                       passthrough::PassthroughFilesystem::Create(std::move(options)));
  made->filesystem_ = filesystem.get();
  internal::WorkerSpec worker_spec;
  worker_spec.set_version(ipc::kProtocolVersion);
  worker_spec.set_export_uid("uid");
  *worker_spec.mutable_spec() = std::move(spec);
  worker_spec.mutable_spec()->set_id("test");
  worker_spec.mutable_spec()->set_tag("test");
  FSD_ASSIGN_OR_RETURN(
      made->worker_,
      worker::Worker::Create(
          {.spec = std::move(worker_spec),
           .control_listener = *os::ListenUnix(made->control(), os::SocketType::kSeqPacket, {}),
           .vhost_listener = *os::ListenUnix(made->socket(), os::SocketType::kStream, {}),
           .filesystem = std::move(filesystem)}));
  made->thread_ = *os::Thread::Start("control", [made = made.get()] { made->worker_->Run(); });
  return made;
}

WorkerInProcess::~WorkerInProcess() {
  if (worker_ != nullptr) Stop();
  std::filesystem::remove_all(directory_);
}

void WorkerInProcess::Stop() {
  ipc::WorkerChannel channel(*os::ConnectUnix(control(), os::SocketType::kSeqPacket));
  internal::ToWorker hello;
  hello.mutable_hello()->set_version(ipc::kProtocolVersion);
  FSD_CHECK(channel.Send(hello).ok());
  internal::ToWorker stop;
  stop.mutable_stop();
  FSD_CHECK(channel.Send(stop).ok());
  thread_.Join();
  worker_.reset();
}

}  // namespace fsd::harness
