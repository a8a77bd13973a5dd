// A guest without a VM that does exactly so much, for tests of what is counted:
//
//   metrics_load SOCKET    says "done", then ends when its input does
//
// INIT; CREATE of "file"; 3 WRITEs and 2 READs of 4096 bytes; 10 GETATTRs; 5 LOOKUPs of a name that
// is not there; a lock, and a SETLKW of another owner that waits for it until the end.
#include <fcntl.h>
#include <linux/fuse.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <memory>
#include <string>

#include "server/errors/check.h"
#include "tests/harness/front_end.h"
#include "tests/harness/fuse_client.h"

namespace fsd {
namespace {

constexpr uint32_t kBytes = 4096;

void Succeeds(const absl::StatusOr<harness::FuseReply>& reply) {
  FSD_CHECK(reply.ok() && reply->error == 0);
}

fuse_lk_in Lock(uint64_t handle, uint64_t owner) {
  fuse_lk_in in{};
  in.fh = handle;
  in.owner = owner;
  in.lk = {.start = 0, .end = 9, .type = F_WRLCK, .pid = static_cast<uint32_t>(owner)};
  return in;
}

int Main(const std::string& socket) {
  const auto front_end = *harness::FrontEnd::Connect(socket, {});
  FSD_CHECK(front_end->Start().ok());
  harness::FuseClient fuse(*front_end);
  FSD_CHECK(fuse.Init(FUSE_INIT_EXT | FUSE_POSIX_LOCKS).ok());
  const auto created = fuse.Create(FUSE_ROOT_ID, "file", 0644, O_RDWR);
  Succeeds(created);
  const uint64_t node = created->As<fuse_entry_out>().nodeid;
  fuse_open_out open;
  std::memcpy(&open, created->body.data() + sizeof(fuse_entry_out), sizeof open);
  for (int i = 0; i < 3; ++i) {
    Succeeds(fuse.Write(node, open.fh, uint64_t{kBytes} * static_cast<uint64_t>(i),
                        std::string(kBytes, 'x')));
  }
  for (int i = 0; i < 2; ++i) Succeeds(fuse.Read(node, open.fh, 0, kBytes));
  for (int i = 0; i < 10; ++i) Succeeds(fuse.GetAttributes(node));
  for (int i = 0; i < 5; ++i) {
    const auto missing = fuse.Lookup(FUSE_ROOT_ID, "missing");
    FSD_CHECK(missing.ok() && missing->error == ENOENT);
  }
  Succeeds(fuse.SetLock(node, Lock(open.fh, 1)));
  const fuse_lk_in waiting = Lock(open.fh, 2);
  FSD_CHECK(
      fuse.Submit(FUSE_SETLKW, node, harness::Arguments(std::as_bytes(std::span(&waiting, 1))), 0)
          .ok());
  front_end->Kick(1);
  std::puts("done");
  std::fflush(stdout);
  char byte;
  while (::read(STDIN_FILENO, &byte, 1) > 0) {
  }
  return 0;
}

}  // namespace
}  // namespace fsd

int main(int argc, char** argv) { return argc == 2 ? fsd::Main(argv[1]) : 2; }
