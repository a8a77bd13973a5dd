#include "tests/bench/session.h"

#include <linux/fuse.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "server/errors/status_macros.h"

namespace fsd::bench {

absl::StatusOr<Session> Session::Mount(harness::FrontEnd& front_end) {
  Session session(front_end);
  FSD_ASSIGN_OR_RETURN(
      const fuse_init_out out,
      session.fuse_.Init(FUSE_ASYNC_READ | FUSE_ATOMIC_O_TRUNC | FUSE_BIG_WRITES |
                         FUSE_DO_READDIRPLUS | FUSE_READDIRPLUS_AUTO | FUSE_ASYNC_DIO |
                         FUSE_PARALLEL_DIROPS | FUSE_HANDLE_KILLPRIV_V2 | FUSE_MAX_PAGES));
  // Without MAX_PAGES a request has 32 pages.
  const size_t pages = (out.flags & FUSE_MAX_PAGES) != 0 ? out.max_pages : 32;
  session.max_transfer_ = std::min<size_t>(out.max_write, pages * 4096);
  return session;
}

absl::StatusOr<uint64_t> Session::Lookup(uint64_t parent, std::string_view name) {
  FSD_ASSIGN_OR_RETURN(const harness::FuseReply reply, fuse_.Lookup(parent, name));
  if (reply.error != 0) return ErrnoStatus(Errno(reply.error), absl::StrCat("LOOKUP ", Absl(name)));
  return reply.As<fuse_entry_out>().nodeid;
}

absl::StatusOr<uint64_t> Session::Open(uint64_t node, uint32_t flags) {
  FSD_ASSIGN_OR_RETURN(const harness::FuseReply reply, fuse_.Open(node, flags));
  if (reply.error != 0) return ErrnoStatus(Errno(reply.error), "OPEN");
  return reply.As<fuse_open_out>().fh;
}

absl::StatusOr<uint64_t> Session::OpenDirectory(uint64_t node) {
  FSD_ASSIGN_OR_RETURN(const harness::FuseReply reply, fuse_.OpenDirectory(node));
  if (reply.error != 0) return ErrnoStatus(Errno(reply.error), "OPENDIR");
  return reply.As<fuse_open_out>().fh;
}

}  // namespace fsd::bench
