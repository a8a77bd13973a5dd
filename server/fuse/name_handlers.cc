#include "server/fuse/name_handlers.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include <string_view>
#include <utility>

#include "server/fuse/abi.h"
#include "server/fuse/attributes.h"
#include "server/fuse/creation.h"
#include "server/fuse/operation.h"

namespace fsd::fuse {
namespace {

using backends::Call;
using backends::Creation;
using backends::Entry;
using backends::NodeId;

constexpr uint32_t kPermissionBits = 07777;

void Rename(Request& request, Arguments arguments, NodeId new_parent, uint32_t flags) {
  const ErrnoOr<std::string_view> name = arguments.TakeName(NameUse::kRename);
  if (!name.ok()) return request.ReplyError(name.error());
  const ErrnoOr<std::string_view> new_name = arguments.TakeName(NameUse::kRename);
  if (!new_name.ok()) return request.ReplyError(new_name.error());
  RunOperation<void, ReplyEmpty>(request, [&](Call<void> call) {
    return request.filesystem().Rename(call, request.node(), *name, new_parent, *new_name, flags);
  });
}

void FinishLookup(backends::CallState& state, ErrnoOr<Entry>&& result) {
  auto& request = static_cast<Request&>(state);
  const EntryTerms terms = request.mount().entry_terms();
  if (!result.ok() && result.error() == Errno(ENOENT) && !terms.negative.zero()) {
    return request.Reply([&] { return ToNegativeEntryOut(terms); });
  }
  FinishOperation<Entry, ReplyEntry>(state, std::move(result));
}

}  // namespace

void HandleLookup(Request& request) {
  const ErrnoOr<std::string_view> name = request.arguments().TakeName(NameUse::kLookup);
  if (!name.ok()) return request.ReplyError(name.error());
  RunOperationThen<Entry>(request, FinishLookup, [&](Call<Entry> call) {
    return request.filesystem().Lookup(call, request.node(), *name);
  });
}

void HandleForget(Request& request) {
  const auto forget = request.arguments().Take<fuse_forget_in>();
  request.filesystem().Forget(request.node(), forget.nlookup);
  request.ReplyNothing();
}

void HandleBatchForget(Request& request) {
  const auto batch = request.arguments().Take<fuse_batch_forget_in>();
  const size_t given = request.payload_bytes() / sizeof(fuse_forget_one);
  if (batch.count <= given && batch.count <= kMaxForgets) {
    IovecCursor cursor = request.payload();
    for (uint32_t i = 0; i < batch.count; ++i) {
      fuse_forget_one one{};
      cursor.CopyOut(&one, sizeof(one));
      request.filesystem().Forget(NodeId{one.nodeid}, one.nlookup);
    }
  }
  request.ReplyNothing();
}

void HandleReadLink(Request& request) {
  RunOperation<size_t, ReplyFilled>(request, [&](Call<size_t> call) {
    return request.filesystem().ReadLink(call, request.node(),
                                         request.LendReplySpace(kMaxTargetBytes));
  });
}

void HandleSymlink(Request& request) {
  Arguments arguments = request.arguments();
  const ErrnoOr<std::string_view> name = arguments.TakeName(NameUse::kMakeOrLink);
  if (!name.ok()) return request.ReplyError(name.error());
  const ErrnoOr<std::string_view> target = arguments.TakeTarget();
  if (!target.ok()) return request.ReplyError(target.error());
  const ErrnoOr<Creation> creation = DecodeCreation(request, arguments.rest(), /*umask=*/0);
  if (!creation.ok()) return request.ReplyError(creation.error());
  RunOperation<Entry, ReplyEntry>(request, [&](Call<Entry> call) {
    return request.filesystem().Symlink(call, request.node(), *name, *target, *creation);
  });
}

void HandleMakeNode(Request& request) {
  Arguments arguments = request.arguments();
  const auto in = arguments.Take<fuse_mknod_in>();
  const ErrnoOr<std::string_view> name = arguments.TakeName(NameUse::kMakeOrLink);
  if (!name.ok()) return request.ReplyError(name.error());
  const ErrnoOr<Creation> creation = DecodeCreation(request, arguments.rest(), in.umask);
  if (!creation.ok()) return request.ReplyError(creation.error());
  const bool is_device = S_ISCHR(in.mode) || S_ISBLK(in.mode);
  RunOperation<Entry, ReplyEntry>(request, [&](Call<Entry> call) {
    return request.filesystem().MakeNode(call, request.node(), *name,
                                         in.mode & (S_IFMT | kPermissionBits),
                                         is_device ? DecodeDevice(in.rdev) : 0, *creation);
  });
}

void HandleMakeDirectory(Request& request) {
  Arguments arguments = request.arguments();
  const auto in = arguments.Take<fuse_mkdir_in>();
  const ErrnoOr<std::string_view> name = arguments.TakeName(NameUse::kMakeOrLink);
  if (!name.ok()) return request.ReplyError(name.error());
  const ErrnoOr<Creation> creation = DecodeCreation(request, arguments.rest(), in.umask);
  if (!creation.ok()) return request.ReplyError(creation.error());
  RunOperation<Entry, ReplyEntry>(request, [&](Call<Entry> call) {
    return request.filesystem().MakeDirectory(call, request.node(), *name,
                                              in.mode & kPermissionBits, *creation);
  });
}

void HandleUnlink(Request& request) {
  const ErrnoOr<std::string_view> name = request.arguments().TakeName(NameUse::kUnlink);
  if (!name.ok()) return request.ReplyError(name.error());
  RunOperation<void, ReplyEmpty>(request, [&](Call<void> call) {
    return request.filesystem().Unlink(call, request.node(), *name);
  });
}

void HandleRemoveDirectory(Request& request) {
  const ErrnoOr<std::string_view> name = request.arguments().TakeName(NameUse::kRemoveDirectory);
  if (!name.ok()) return request.ReplyError(name.error());
  RunOperation<void, ReplyEmpty>(request, [&](Call<void> call) {
    return request.filesystem().RemoveDirectory(call, request.node(), *name);
  });
}

void HandleRename(Request& request) {
  Arguments arguments = request.arguments();
  const auto in = arguments.Take<fuse_rename_in>();
  Rename(request, arguments, NodeId{in.newdir}, 0);
}

void HandleRename2(Request& request) {
  Arguments arguments = request.arguments();
  const auto in = arguments.Take<fuse_rename2_in>();
  constexpr uint32_t kKnownFlags = RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT;
  if ((in.flags & ~kKnownFlags) != 0) return request.ReplyError(Errno(EINVAL));
  Rename(request, arguments, NodeId{in.newdir}, in.flags);
}

void HandleLink(Request& request) {
  Arguments arguments = request.arguments();
  const auto in = arguments.Take<fuse_link_in>();
  const ErrnoOr<std::string_view> new_name = arguments.TakeName(NameUse::kMakeOrLink);
  if (!new_name.ok()) return request.ReplyError(new_name.error());
  RunOperation<Entry, ReplyEntry>(request, [&](Call<Entry> call) {
    return request.filesystem().Link(call, NodeId{in.oldnodeid}, request.node(), *new_name);
  });
}

}  // namespace fsd::fuse
