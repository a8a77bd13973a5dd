#include "server/fuse/request.h"

#include <string.h>

#include <algorithm>

#include "server/fuse/reply.h"
#include "server/telemetry/log.h"

namespace fsd::fuse {
namespace {

const char* ErrnoName(Errno error) {
  const char* name = strerrorname_np(error.value());
  return name != nullptr ? name : "unknown";
}

}  // namespace

void Request::Begin(backends::IoVectors readable, backends::IoVectors writable,
                    RequestOwner& owner) {
  body_ = IovecCursor(readable);
  writable_ = IovecCursor(writable);
  owner_ = &owner;
  mount_ = nullptr;
  row_ = nullptr;
  header_ = {};
  header_valid_ = false;
  arguments_ = {};
  lent_bytes_ = 0;
}

void Request::ReadHeader() {
  const size_t readable_bytes = body_.remaining();
  const bool whole = body_.CopyOut(&header_, sizeof(header_)) == sizeof(header_);
  header_valid_ = whole && header_.len >= sizeof(header_) && header_.len <= readable_bytes;
  body_.Limit(header_valid_ ? header_.len - sizeof(header_) : 0);
  caller = {.uid = header_.uid, .gid = header_.gid, .pid = header_.pid};
  unique = header_.unique;
}

void Request::SetRoute(Mount& mount, const OpcodeRow* row) {
  mount_ = &mount;
  row_ = row;
}

ErrnoOr<void> Request::ReadArguments() {
  const size_t given_bytes = body_.remaining();
  if (given_bytes < row_->argument_bytes) return Errno(EINVAL);
  size_t wanted_bytes = row_->argument_bytes;
  switch (row_->body) {
    case Body::kFixed:
      // A struct that grows with the protocol is longer than its oldest form.
      wanted_bytes = std::min(given_bytes, kInlineArgumentBytes);
      break;
    case Body::kNames:
      if (given_bytes > kMaxArgumentBytes) return Errno(ENAMETOOLONG);
      wanted_bytes = given_bytes;
      break;
    case Body::kPayload:
      break;
  }
  char* to = inline_arguments_.data();
  if (wanted_bytes > kInlineArgumentBytes) {
    large_arguments_.reset(new char[wanted_bytes]);
    to = large_arguments_.get();
  }
  arguments_ = {to, body_.CopyOut(to, wanted_bytes)};
  return {};
}

IovecCursor Request::ReplySpace() const {
  IovecCursor space = writable_;
  space.Skip(sizeof(fuse_out_header));
  return space;
}

bool Request::HasReplySpace(size_t bytes) const {
  return writable_.remaining() >= sizeof(fuse_out_header) + bytes;
}

backends::IoVectors Request::LendReplySpace(size_t bytes) {
  const IovecCursor space = ReplySpace();
  lent_bytes_ = std::min(bytes, space.remaining());
  return space.Lend(lent_bytes_, lent_iovecs_);
}

DirentPacker& Request::PackEntries(size_t bytes) {
  IovecCursor space = ReplySpace();
  space.Limit(bytes);
  return packer_ = DirentPacker::Plain(space);
}

DirentPacker& Request::PackEntriesPlus(size_t bytes) {
  IovecCursor space = ReplySpace();
  space.Limit(bytes);
  return packer_ = DirentPacker::Plus(space, mount_->entry_terms());
}

void Request::ReplyBytes(std::span<const std::byte> body) {
  const uint32_t written = WriteReply(writable_, unique, body);
  FSD_LOG(kDebug, log_name(), "replying ok: unique=%u, len=%u", unique, written);
  Finish(written);
}

void Request::ReplyInPlace(size_t body_bytes) {
  const uint32_t written = WriteReplyHeader(writable_, unique, body_bytes);
  FSD_LOG(kDebug, log_name(), "replying ok: unique=%u, len=%u", unique, written);
  Finish(written);
}

void Request::ReplyError(Errno error) {
  if (row_ != nullptr && !row_->has_reply) return ReplyNothing();
  const uint32_t written = WriteErrorReply(writable_, unique, error);
  FSD_LOG(kDebug, log_name(), "replying error: unique=%u, error=%s", unique,
          ErrnoName(ReplyErrno(error)));
  Finish(written);
}

void Request::ReplyNothing() { Finish(0); }

void Request::Finish(uint32_t written) {
  large_arguments_.reset();
  lent_iovecs_.Release();
  // The owner may begin the next request here before this call returns.
  owner_->OnReplied(*this, written);
}

}  // namespace fsd::fuse
