// Client: one server, as the commands see it.
#ifndef FSD_CLI_CLIENT_H_
#define FSD_CLI_CLIENT_H_

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "cli/exit_code.h"
#include "cli/output.h"
#include "proto/fsd/v1/export_service.grpc.pb.h"
#include "proto/fsd/v1/server_service.grpc.pb.h"

namespace fsd::cli {

// Where a server of the user who asks listens: "unix:///run/fsd/fsd.sock" for root, else below
// $XDG_RUNTIME_DIR; empty if that is not set.
std::string DefaultServer();

// The options that every command takes.
struct Options {
  std::string server = DefaultServer();
  Style style;
  std::chrono::nanoseconds timeout = std::chrono::seconds(60);
};

class Client {
 public:
  using Rpc = std::function<grpc::Status(grpc::ClientContext&)>;

  explicit Client(const Options& options);

  // Makes one call: `rpc` on a context with the deadline. A failure is described on stderr, with
  // `doing` as in DescribeFailure; so is a server that is not there, which is found out first.
  ExitCode Call(const std::string& doing, const Rpc& rpc);

  // As Call, of a call that the server answers only when something has happened, at most `wait`
  // from now; absent: without a deadline.
  ExitCode WaitingCall(const std::string& doing,
                       const std::optional<std::chrono::nanoseconds>& wait, const Rpc& rpc);

  // Makes one call with the deadline, and says nothing of a failure.
  grpc::Status Try(const Rpc& rpc);

  // kOk if something listens at the server's address, else what was said about it on stderr.
  ExitCode FindServer();

  v1::ExportService::Stub& exports() { return *exports_; }
  v1::ServerService::Stub& server() { return *server_; }

 private:
  Options options_;
  std::unique_ptr<v1::ExportService::Stub> exports_;
  std::unique_ptr<v1::ServerService::Stub> server_;
};

// True of "unix:///absolute/path", the one form of address there is.
bool IsServerAddress(const std::string& address);

}  // namespace fsd::cli

#endif  // FSD_CLI_CLIENT_H_
