// GuestOfExport: one export and a guest that has mounted it, for tests of what the guest sees and
// what the host gets.
//
// A supervisor, a worker behind its jail, and a front-end without a VM. One thread.
#ifndef FSD_TESTS_HARNESS_GUEST_OF_EXPORT_H_
#define FSD_TESTS_HARNESS_GUEST_OF_EXPORT_H_

#include <fcntl.h>
#include <sys/stat.h>

#include <functional>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "proto/fsd/internal/export_spec.pb.h"
#include "tests/harness/front_end.h"
#include "tests/harness/fuse_client.h"
#include "tests/harness/running_supervisor.h"

namespace fsd::harness {

// A file that the guest has open.
struct GuestFile {
  uint64_t node = 0;
  uint64_t handle = 0;
};

class GuestOfExport {
 public:
  // Every INIT flag there is: whatever the worker agrees to then is the options' doing.
  static constexpr uint64_t kAllFlags = ~uint64_t{0};

  // Exports a directory of `supervisor`, as `id`, with what `set_options` changes in the
  // specification; the directory may be there already. Its guest has not said INIT.
  static absl::StatusOr<std::unique_ptr<GuestOfExport>> Make(
      RunningSupervisor& supervisor, const std::string& id,
      const std::function<void(internal::ExportSpec&)>& set_options);

  // Deletes the export; the directory stays until the supervisor ends.
  ~GuestOfExport();

  // The flags agreed on, flags2 in the upper half.
  absl::StatusOr<uint64_t> Init(uint64_t offered = kAllFlags);

  FuseClient& fuse() { return fuse_; }
  std::string host_path(std::string_view name) const {
    return directory_ + "/" + std::string(name);
  }

  // The reply of a request whose arguments are a struct, names and a tail; EIO if the worker is
  // gone or breaks the protocol.
  template <typename T>
  FuseReply Call(uint32_t opcode, uint64_t node, const T& body,
                 std::initializer_list<std::string_view> names = {}, std::string_view tail = {}) {
    return Send(opcode, node, std::as_bytes(std::span(&body, 1)), names, tail);
  }
  FuseReply Call(uint32_t opcode, uint64_t node, std::initializer_list<std::string_view> names) {
    return Send(opcode, node, {}, names, {});
  }

  FuseReply Lookup(std::string_view name);
  // The node of a file in the root, which must be there.
  uint64_t NodeOf(std::string_view name) { return Lookup(name).As<fuse_entry_out>().nodeid; }
  // Makes a file in the root and opens it; zeros if that fails.
  GuestFile Create(std::string_view name, uint32_t mode = 0644, uint32_t flags = O_RDWR);
  struct stat HostStat(std::string_view name) const;
  // The flags, as in open(2), of the worker's fds that are `name` on the host, opened for I/O; the
  // bits of all of them together, 0 if there is none.
  uint32_t HostOpenFlags(std::string_view name) const;

 private:
  GuestOfExport(RunningSupervisor& supervisor, std::string id, std::unique_ptr<FrontEnd> front_end)
      : supervisor_(supervisor),
        id_(std::move(id)),
        directory_(supervisor.share(id_)),
        front_end_(std::move(front_end)),
        fuse_(*front_end_) {}

  FuseReply Send(uint32_t opcode, uint64_t node, std::span<const std::byte> body,
                 std::initializer_list<std::string_view> names, std::string_view tail);
  static FuseReply OrIoError(absl::StatusOr<FuseReply> reply);

  RunningSupervisor& supervisor_;
  const std::string id_;
  const std::string directory_;
  const std::unique_ptr<FrontEnd> front_end_;
  FuseClient fuse_;
};

}  // namespace fsd::harness

#endif  // FSD_TESTS_HARNESS_GUEST_OF_EXPORT_H_
