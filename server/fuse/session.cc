#include "server/fuse/session.h"

#include <utility>

#include "server/fuse/abi.h"
#include "server/fuse/opcode_row.h"
#include "server/fuse/opcode_table.h"
#include "server/telemetry/log.h"

namespace fsd::fuse {

namespace {

bool Served(Service service, const SessionOptions& options) {
  switch (service) {
    case Service::kAlways:
      return true;
    case Service::kXattr:
      return options.xattr;
    case Service::kLocks:
      return options.locks;
  }
  return false;
}

}  // namespace

Session::Session(backends::Filesystem& filesystem, SessionOptions options,
                 std::function<void(const NegotiatedInit&)> on_mounted,
                 std::function<void()> on_unmounted)
    : mount_(filesystem, std::move(options), std::move(on_mounted), std::move(on_unmounted)) {}

Session::~Session() = default;

Session::Lane Session::Prepare(Request& request) {
  request.ReadHeader();
  const fuse_in_header& header = request.header();
  const OpcodeRow* row = FindOpcode(header.opcode);
  request.SetRoute(mount_, row);
  FSD_LOG(kDebug, mount_.options().export_name,
          "received request: opcode=%s (%u), inode=%u, unique=%u, pid=%u",
          row != nullptr ? row->name : "UNKNOWN", header.opcode, header.nodeid, header.unique,
          header.pid);
  return row != nullptr && row->may_block ? Lane::kSlow : Lane::kQueue;
}

void Session::Serve(Request& request) {
  if (const ErrnoOr<void> accepted = Accept(request); !accepted.ok()) {
    return request.ReplyError(accepted.error());
  }
  request.row()->handler(request);
}

ErrnoOr<void> Session::Accept(Request& request) const {
  if (!request.header_valid()) return Errno(EINVAL);
  const OpcodeRow* row = request.row();
  if (row == nullptr) return Errno(ENOSYS);
  if (!row->before_init && !mount_.mounted()) return Errno(EIO);
  if (row->mutates && mount_.options().read_only) return Errno(EROFS);
  if (row->handler == nullptr || !Served(row->service, mount_.options())) return Errno(ENOSYS);
  // Before anything is done: afterwards it would be too late to tell the guest what was done.
  if (row->has_reply && !request.HasReplySpace(row->reply_bytes)) return Errno(EINVAL);
  return request.ReadArguments();
}

void Session::Reset() { mount_.Reset(); }

}  // namespace fsd::fuse
