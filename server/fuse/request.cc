#include "server/fuse/request.h"

#include <string.h>

#include <algorithm>

#include "server/fuse/reply.h"
#include "server/telemetry/log.h"

namespace fsd::fuse {
namespace {

constexpr size_t kMaxNamesBytes = sizeof(fuse_setattr_in) + kMaxNameBytes + 1 + kMaxTargetBytes + 1;
// A security label of the greatest length and a group, each with its headers.
constexpr size_t kMaxCreationBytes = 64 + kMaxXattrNameBytes + 1 + kMaxXattrValueBytes;

struct Limit {
  size_t bytes;
  int error;
};

// The most that valid arguments can have, of those that are copied whole.
Limit LimitOf(Body body) {
  switch (body) {
    case Body::kFixed:
    case Body::kPayload:
      break;
    case Body::kNames:
      return {.bytes = kMaxNamesBytes, .error = ENAMETOOLONG};
    case Body::kCreation:
      return {.bytes = kMaxNamesBytes + kMaxCreationBytes, .error = ENAMETOOLONG};
    case Body::kXattr:
      return {.bytes = sizeof(fuse_setxattr_in) + kMaxXattrNameBytes + 1 + kMaxXattrValueBytes,
              .error = E2BIG};
    case Body::kIoctl:
      return {.bytes = sizeof(fuse_ioctl_in) + kMaxIoctlBytes, .error = EINVAL};
  }
  return {.bytes = 0, .error = EINVAL};
}

const char* ErrnoName(Errno error) {
  const char* name = strerrorname_np(error.value());
  return name != nullptr ? name : "unknown";
}

}  // namespace

void Request::Begin(backends::IoVectors readable, backends::IoVectors writable,
                    RequestOwner& owner) {
  body_.Begin(readable);
  writable_.Begin(writable);
  owner_ = &owner;
  mount_ = nullptr;
  row_ = nullptr;
  header_ = {};
  header_valid_ = false;
  arguments_ = {};
  extension_bytes_ = 0;
  extensions_ = {};
  lent_behind_ = 0;
  lent_bytes_ = 0;
  content_bytes_ = 0;
  reply_error_ = 0;
}

void Request::ReadHeader() {
  const size_t readable_bytes = body_.remaining();
  const bool whole = body_.CopyOut(&header_, sizeof(header_)) == sizeof(header_);
  extension_bytes_ = header_.total_extlen * kExtensionUnitBytes;
  header_valid_ =
      whole && header_.len >= sizeof(header_) + extension_bytes_ && header_.len <= readable_bytes;
  body_.Limit(header_valid_ ? header_.len - sizeof(header_) : 0);
  caller = {.uid = header_.uid, .gid = header_.gid, .pid = header_.pid};
  unique = header_.unique;
}

uint64_t Request::CopyLengthAtAGlance() const {
  IovecCursor body = body_;
  fuse_copy_file_range_in in{};
  return body.CopyOut(&in, sizeof in) == sizeof in ? in.len : 0;
}

void Request::SetRoute(Mount& mount, const OpcodeRow* row) {
  mount_ = &mount;
  row_ = row;
}

ErrnoOr<void> Request::ReadArguments() {
  const bool takes_extensions = row_->body == Body::kCreation;
  if (!takes_extensions) body_.Limit(body_.remaining() - extension_bytes_);
  const size_t given_bytes = body_.remaining() - (takes_extensions ? extension_bytes_ : 0);
  if (given_bytes < row_->argument_bytes) return Errno(EINVAL);
  size_t wanted_bytes = row_->argument_bytes;
  switch (row_->body) {
    case Body::kFixed:
      // A struct that grows with the protocol is longer than its oldest form.
      wanted_bytes = std::min(given_bytes, kInlineArgumentBytes);
      break;
    case Body::kNames:
    case Body::kCreation:
    case Body::kXattr:
    case Body::kIoctl: {
      const Limit limit = LimitOf(row_->body);
      if (body_.remaining() > limit.bytes) return Errno(limit.error);
      wanted_bytes = body_.remaining();
      break;
    }
    case Body::kPayload:
      break;
  }
  char* to = inline_arguments_.data();
  if (wanted_bytes > kInlineArgumentBytes) {
    large_arguments_.reset(new char[wanted_bytes]);
    to = large_arguments_.get();
  }
  const std::span<const char> copied(to, body_.CopyOut(to, wanted_bytes));
  arguments_ = takes_extensions ? copied.first(given_bytes) : copied;
  if (takes_extensions) extensions_ = copied.subspan(given_bytes);
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

backends::IoVectors Request::LendReplySpace(size_t bytes, size_t behind) {
  IovecCursor space = ReplySpace();
  lent_behind_ = space.Skip(behind);
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
  FinishIfFit(WriteReply(writable_, unique, body), body.size());
}

void Request::ReplyInPlace(size_t body_bytes) {
  FinishIfFit(WriteReplyHeader(writable_, unique, body_bytes), body_bytes);
}

void Request::ReplyError(Errno error) {
  if (row_ != nullptr && !row_->has_reply) return ReplyNothing();
  const uint32_t written = WriteErrorReply(writable_, unique, error);
  reply_error_ = ReplyErrno(error).value();
  FSD_LOG(kDebug, log_name(), "replying error: unique=%u, error=%s", unique,
          ErrnoName(ReplyErrno(error)));
  Finish(written);
}

void Request::ReplyNothing() { Finish(0); }

void Request::FinishIfFit(uint32_t written, size_t body_bytes) {
  if (written != sizeof(fuse_out_header) + body_bytes) reply_error_ = EINVAL;
  FinishOk(written);
}

void Request::FinishOk(uint32_t written) {
  FSD_LOG(kDebug, log_name(), "replying ok: unique=%u, len=%u", unique, written);
  Finish(written);
}

void Request::Finish(uint32_t written) {
  large_arguments_.reset();
  lent_iovecs_.Release();
  // The owner may begin the next request here before this call returns.
  owner_->OnReplied(*this, written);
}

}  // namespace fsd::fuse
