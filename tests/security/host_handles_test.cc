// The wall around the host's files by handle: open_by_handle_at(2) takes no path, so no mount stops
// it.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "server/errors/check.h"
#include "server/ipc/handle_channel.h"
#include "server/os/unique_fd.h"
#include "server/os/unix_socket.h"
#include "server/worker/handle_keeper.h"
#include "tests/security/climb.h"
#include "tests/security/prison.h"

namespace fsd::security {
namespace {

using ipc::HandleOperation;
using ipc::IssuedHandle;

// The handle of a file, as whoever may open the file can know it, without a proof.
IssuedHandle HandleOf(int directory, const std::string& path) {
  struct {
    file_handle header;
    unsigned char bytes[ipc::kMaxHandleBytes];
  } raw{};
  raw.header.handle_bytes = ipc::kMaxHandleBytes;
  int mount;
  FSD_CHECK(::name_to_handle_at(directory, path.c_str(), &raw.header, &mount, 0) == 0);
  IssuedHandle handle{};
  handle.type = raw.header.handle_type;
  handle.size = raw.header.handle_bytes;
  std::memcpy(handle.bytes, raw.header.f_handle, handle.size);
  return handle;
}

int OpenByHandle(int mount, const IssuedHandle& handle) {
  struct {
    file_handle header;
    unsigned char bytes[ipc::kMaxHandleBytes];
  } raw{};
  raw.header.handle_type = handle.type;
  raw.header.handle_bytes = handle.size;
  std::memcpy(raw.header.f_handle, handle.bytes, handle.size);
  return ::open_by_handle_at(mount, &raw.header, O_RDONLY | O_CLOEXEC);
}

ipc::HandleAnswer Ask(const Inmate& in, HandleOperation operation, int fd,
                      const IssuedHandle& handle) {
  const ipc::HandleRequest request{
      .operation = operation, .open_flags = 0, .handle = handle, .name = {}};
  ipc::HandleAnswer answer{};
  FSD_CHECK(
      os::SendWithFds(in.handle_keeper, std::as_bytes(std::span(&request, 1)), std::span(&fd, 1))
          .ok());
  FSD_CHECK(
      os::ReceiveWithFds(in.handle_keeper, std::as_writable_bytes(std::span(&answer, 1)), 1).ok());
  return answer;
}

std::string AskToOpen(const Inmate& in, int mount, const IssuedHandle& handle,
                      HandleOperation operation = HandleOperation::kOpen) {
  const ipc::HandleAnswer answer = Ask(in, operation, mount, handle);
  return answer.error == 0 ? "done" : ::strerrorname_np(answer.error);
}

int OnTheExportsMount(const Inmate& in) { return ::openat(in.root, "file", O_RDONLY | O_CLOEXEC); }

TEST(HostHandles, TheDataPlaneOpensNone) {
  Prison prison;
  const IssuedHandle secret = HandleOf(AT_FDCWD, prison.outside_path() + "/secret");
  ExpectTheyHold(
      prison, "the host's files, by handle",
      {{"of a file beside the export",
        [&](const Inmate& in) { return Contents(OpenByHandle(OnTheExportsMount(in), secret)); },
        {{kEveryMode, "SIGSYS"},
         {kSystemCalls, "SIGSYS"},
         {kCapabilities, "EPERM"},
         {kLandlock, "EACCES"},
         {kNoWalls, "secret"}}}});
}

TEST(HostHandles, TheHandleKeeperOpensWhatItHasIssuedAndNothingElse) {
  Prison prison;
  const std::string path = prison.outside_path() + "/secret";
  const IssuedHandle unproven = HandleOf(AT_FDCWD, path);
  // The proof of another worker's keeper.
  const auto other = worker::HandleKeeper::Create(/*read_only=*/false);
  ASSERT_TRUE(other.ok());
  const ipc::HandleRequest request{
      .operation = HandleOperation::kIssue, .open_flags = 0, .handle = {}, .name = {}};
  const os::UniqueFd secret(::open(path.c_str(), O_PATH | O_CLOEXEC));
  os::UniqueFd none;
  const IssuedHandle of_another_keeper =
      other->Answer(std::as_bytes(std::span(&request, 1)), std::span(&secret, 1), none).handles[0];

  const auto issued = [](const Inmate& in, int fd) {
    return Ask(in, HandleOperation::kIssue, fd, {}).handles[0];
  };
  const std::vector<Attempt> attempts = {
      // What it is for.
      [&](const Inmate& in) {
        const int file = OnTheExportsMount(in);
        return AskToOpen(in, file, issued(in, file));
      },
      [&](const Inmate& in) { return AskToOpen(in, OnTheExportsMount(in), unproven); },
      [&](const Inmate& in) {
        return AskToOpen(in, OnTheExportsMount(in), unproven, HandleOperation::kOpenForIo);
      },
      [&](const Inmate& in) { return AskToOpen(in, OnTheExportsMount(in), of_another_keeper); },
      // The proof of one of its own under another handle.
      [&](const Inmate& in) {
        const int file = OnTheExportsMount(in);
        IssuedHandle forged = unproven;
        forged.proof = issued(in, file).proof;
        return AskToOpen(in, file, forged);
      },
      // One of its own on another mount.
      [&](const Inmate& in) { return AskToOpen(in, in.proc, issued(in, OnTheExportsMount(in))); },
      [&](const Inmate& in) {
        IssuedHandle longer = issued(in, OnTheExportsMount(in));
        longer.size = ipc::kMaxHandleBytes + 1;
        return AskToOpen(in, OnTheExportsMount(in), longer);
      },
  };
  EXPECT_EQ(
      prison.Run(kEveryWall, attempts),
      (std::vector<std::string>{"done", "EPERM", "EPERM", "EPERM", "EPERM", "EPERM", "EINVAL"}));
}

// As a VMM could hand to a data plane, of files that it may not open itself.
TEST(HostHandles, TheHandleKeeperTouchesNothingOnAMountThatIsNotTheJails) {
  Prison prison;
  const os::UniqueFd secret(
      ::open((prison.outside_path() + "/secret").c_str(), O_PATH | O_CLOEXEC));
  const os::UniqueFd export_on_the_host(
      ::open(prison.export_path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  prison.LetIn(secret.get());
  prison.LetIn(export_on_the_host.get());

  const std::vector<Attempt> attempts = {
      [&](const Inmate& in) {
        const IssuedHandle handle = Ask(in, HandleOperation::kIssue, secret.get(), {}).handles[0];
        return handle.size == 0 ? "none" : "issued";
      },
      [&](const Inmate& in) -> std::string {
        const ipc::HandleRequest request{
            .operation = HandleOperation::kLink, .open_flags = 0, .handle = {}, .name = "planted"};
        const int fds[] = {secret.get(), export_on_the_host.get()};
        ipc::HandleAnswer answer{};
        FSD_CHECK(
            os::SendWithFds(in.handle_keeper, std::as_bytes(std::span(&request, 1)), fds).ok());
        FSD_CHECK(
            os::ReceiveWithFds(in.handle_keeper, std::as_writable_bytes(std::span(&answer, 1)), 0)
                .ok());
        return answer.error == 0 ? "done" : ::strerrorname_np(answer.error);
      },
  };
  EXPECT_EQ(prison.Run(kEveryWall, attempts), (std::vector<std::string>{"none", "EXDEV"}));
}

}  // namespace
}  // namespace fsd::security
