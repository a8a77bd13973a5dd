#include "tests/harness/guest_of_export.h"

#include <cstring>
#include <filesystem>
#include <fstream>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/errors/check.h"
#include "server/errors/status_macros.h"

namespace fsd::harness {
namespace {

// The flags of one fd as its fdinfo tells them, in octal; 0 if it is gone.
uint32_t FlagsOf(const std::filesystem::path& fdinfo) {
  std::ifstream lines(fdinfo);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("flags:")) {
      return static_cast<uint32_t>(std::stoul(line.substr(6), nullptr, 8));
    }
  }
  return 0;
}

}  // namespace

absl::StatusOr<std::unique_ptr<GuestOfExport>> GuestOfExport::Make(
    RunningSupervisor& supervisor, const std::string& id,
    const std::function<void(internal::ExportSpec&)>& set_options) {
  std::filesystem::create_directories(supervisor.share(id));
  internal::ExportSpec spec;
  spec.set_id(id);
  spec.set_source_path(supervisor.share(id));
  spec.set_tag(id);
  spec.set_cache(internal::ExportSpec::CACHE_AUTO);
  set_options(spec);
  FSD_ASSIGN_OR_RETURN(const supervisor::ExportView view, supervisor.Create(std::move(spec)));
  FSD_ASSIGN_OR_RETURN(std::unique_ptr<FrontEnd> front_end,
                       FrontEnd::Connect(view.record.spec().socket_path(), {}));
  FSD_RETURN_IF_ERROR(front_end->Start());
  return std::unique_ptr<GuestOfExport>(new GuestOfExport(supervisor, id, std::move(front_end)));
}

GuestOfExport::~GuestOfExport() { supervisor_.Delete(id_, true).IgnoreError(); }

absl::StatusOr<uint64_t> GuestOfExport::Init(uint64_t offered) {
  FSD_ASSIGN_OR_RETURN(const fuse_init_out out, fuse_.Init(offered));
  return out.flags | (uint64_t{out.flags2} << 32);
}

FuseReply GuestOfExport::Lookup(std::string_view name) {
  return OrIoError(fuse_.Lookup(FUSE_ROOT_ID, name));
}

GuestFile GuestOfExport::Create(std::string_view name, uint32_t mode, uint32_t flags) {
  const FuseReply reply = OrIoError(fuse_.Create(FUSE_ROOT_ID, name, mode, flags));
  if (reply.error != 0) return {};
  fuse_open_out open;
  std::memcpy(&open, reply.body.data() + sizeof(fuse_entry_out), sizeof open);
  return {.node = reply.As<fuse_entry_out>().nodeid, .handle = open.fh};
}

struct stat GuestOfExport::HostStat(std::string_view name) const {
  struct stat info {};
  FSD_CHECK(::lstat(host_path(name).c_str(), &info) == 0);
  return info;
}

uint32_t GuestOfExport::HostOpenFlags(std::string_view name) const {
  const struct stat wanted = HostStat(name);
  const auto view = supervisor_.Get(id_);
  FSD_CHECK(view.ok());
  // The keeper's table is the data plane's.
  const std::filesystem::path process = absl::StrCat("/proc/", view->worker_pid);
  uint32_t flags = 0;
  for (const auto& entry : std::filesystem::directory_iterator(process / "fd")) {
    struct stat info {};
    if (::stat(entry.path().c_str(), &info) != 0 || info.st_ino != wanted.st_ino ||
        info.st_dev != wanted.st_dev) {
      continue;
    }
    const uint32_t its = FlagsOf(process / "fdinfo" / entry.path().filename());
    if ((its & O_PATH) == 0) flags |= its;
  }
  return flags;
}

FuseReply GuestOfExport::Send(uint32_t opcode, uint64_t node, std::span<const std::byte> body,
                              std::initializer_list<std::string_view> names,
                              std::string_view tail) {
  constexpr size_t kRoom = 8192;
  std::vector<std::byte> arguments = Arguments(body, names);
  const auto bytes = std::as_bytes(std::span(tail));
  arguments.insert(arguments.end(), bytes.begin(), bytes.end());
  return OrIoError(fuse_.Call(opcode, node, arguments, kRoom));
}

FuseReply GuestOfExport::OrIoError(absl::StatusOr<FuseReply> reply) {
  return reply.ok() ? *std::move(reply) : FuseReply{.error = EIO, .body = {}};
}

}  // namespace fsd::harness
