#include "cli/client.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <string_view>

#include "cli/failure.h"
#include "cli/printable.h"
#include "grpcpp/grpcpp.h"

namespace fsd::cli {
namespace {

constexpr std::string_view kScheme = "unix://";

// The errno of connecting to the server's socket, 0 if it works: gRPC tells a missing socket, a
// dead one and a forbidden one apart in prose only.
int Probe(const std::string& address) {
  const std::string path = address.substr(kScheme.size());
  sockaddr_un name = {};
  name.sun_family = AF_UNIX;
  if (path.size() >= sizeof(name.sun_path)) return ENAMETOOLONG;
  path.copy(name.sun_path, path.size());
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno;
  const int failed = connect(fd, reinterpret_cast<const sockaddr*>(&name), sizeof(name));
  const int error = failed != 0 ? errno : 0;
  close(fd);
  return error;
}

std::string DescribeUnreachable(const std::string& address, int error) {
  std::string text = "fsctl: cannot reach the server at " + Printable(address) + ": ";
  switch (error) {
    case ENOENT:
      text += "there is no such socket";
      break;
    case ECONNREFUSED:
      text += "nobody listens there";
      break;
    default:
      text += std::strerror(error);
  }
  if (error == EACCES || error == EPERM) {
    return text +
           "\nhint: the socket is for its owner and group (ls -l), as a rule root and fsd; who may "
           "only "
           "look uses the readers' (--server unix:///run/fsd/reader.sock)\n";
  }
  return text + "\nhint: start one with 'fsd --listen " + Printable(address) +
         " --allow-source DIR', or name another with --server or FSCTL_SERVER\n";
}

}  // namespace

std::string DefaultServer() {
  if (geteuid() == 0) return "unix:///run/fsd/fsd.sock";
  const char* const directory = std::getenv("XDG_RUNTIME_DIR");
  if (directory == nullptr || directory[0] != '/') return "";
  return std::string(kScheme) + directory + "/fsd/fsd.sock";
}

Client::Client(const Options& options) : options_(options) {
  grpc::ChannelArguments arguments;
  // A watch goes on soon after the server is back.
  // Not GRPC_ARG_MIN_RECONNECT_BACKOFF_MS: that is also how long an attempt may take, and a busy
  // server needs more than an eye blink.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2000);
  const auto channel =
      grpc::CreateCustomChannel(options.server, grpc::InsecureChannelCredentials(), arguments);
  exports_ = v1::ExportService::NewStub(channel);
  server_ = v1::ServerService::NewStub(channel);
}

ExitCode Client::FindServer() {
  if (options_.server.empty()) {
    std::cerr << "fsctl: XDG_RUNTIME_DIR is not set to a directory, and so the server's address is "
                 "not known\nhint: name one with --server or FSCTL_SERVER\n";
    return ExitCode::kUsage;
  }
  const int error = Probe(options_.server);
  if (error == 0) return ExitCode::kOk;
  std::cerr << DescribeUnreachable(options_.server, error);
  return error == EACCES || error == EPERM ? ExitCode::kPermission : ExitCode::kUnavailable;
}

ExitCode Client::Call(const std::string& doing, const Rpc& rpc) {
  return WaitingCall(doing, std::chrono::nanoseconds(0), rpc);
}

ExitCode Client::WaitingCall(const std::string& doing,
                             const std::optional<std::chrono::nanoseconds>& wait, const Rpc& rpc) {
  if (const ExitCode found = FindServer(); found != ExitCode::kOk) return found;
  grpc::ClientContext context;
  if (wait.has_value()) {
    context.set_deadline(std::chrono::system_clock::now() + *wait + options_.timeout);
  }
  const grpc::Status status = rpc(context);
  if (!status.ok()) std::cerr << DescribeFailure(status, doing);
  return ToExitCode(status.error_code());
}

grpc::Status Client::Try(const Rpc& rpc) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + options_.timeout);
  return rpc(context);
}

bool IsServerAddress(const std::string& address) {
  return address.starts_with(kScheme) && address.size() > kScheme.size() + 1 &&
         address[kScheme.size()] == '/';
}

}  // namespace fsd::cli
