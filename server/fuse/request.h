// Request: one FUSE request from its chain's buffers to its reply.
//
// Lives in a preallocated slot and is used again and again: Begin, then exactly one reply. It is
// the CallState of the backend operation it causes, so a pending operation finds its way back here.
//
// The header and the arguments are copied out of guest memory once, before anything is checked.
// The payload of READ and WRITE is not copied: it goes straight between the file and guest memory.
//
// One thread at a time; a pending operation hands it to the thread that completes it. Whoever has
// replied, or was told that an operation is pending, no longer touches it.
#ifndef FSD_SERVER_FUSE_REQUEST_H_
#define FSD_SERVER_FUSE_REQUEST_H_

#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <span>
#include <string_view>
#include <type_traits>

#include "backends/filesystem.h"
#include "server/errors/errno_or.h"
#include "server/fuse/abi.h"
#include "server/fuse/arguments.h"
#include "server/fuse/dirent_packer.h"
#include "server/fuse/iovec_cursor.h"
#include "server/fuse/mount.h"
#include "server/fuse/opcode_row.h"

namespace fsd::fuse {

class Request;

// Who lent the buffers and wants them back.
class RequestOwner {
 public:
  // The reply is in place: `written` bytes of the writable buffers, 0 if the opcode has no reply.
  // The request and its buffers are no longer used. Called once for each Begin, from any thread.
  virtual void OnReplied(Request& request, uint32_t written) = 0;

 protected:
  ~RequestOwner() = default;
};

class Request : public backends::CallState {
 public:
  Request() = default;
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;

  // Takes a chain's buffers; they stay valid until OnReplied.
  void Begin(backends::IoVectors readable, backends::IoVectors writable, RequestOwner& owner);

  // Of the request that is under way, for its owner's log and tables; valid after
  // Session::Prepare. Zero where the chain was too short to hold it.
  const fuse_in_header& header() const { return header_; }

  // Of a COPY_FILE_RANGE that is prepared, how many bytes it asks for; 0 if it is too short to say.
  // An estimate only: the arguments are the guest's until they are copied, when it is served.
  uint64_t CopyLengthAtAGlance() const;

  // Once replied: bytes from the reply's first on that may have been written besides the reply. An
  // operation that fails may have filled some of what it was lent.
  size_t touched_bytes() const {
    return sizeof(fuse_out_header) + std::max(lent_behind_ + lent_bytes_, packer_.bytes_packed());
  }

  // Once replied: the errno that the reply carries, 0 if none; and how many bytes of a file's
  // contents were read, written or copied.
  int reply_error() const { return reply_error_; }
  size_t content_bytes() const { return content_bytes_; }

  // --- for the session ---

  // Copies the header out. It is not valid if it is cut short, if its length is not between its own
  // size and what is readable, or if its extensions are longer than the request.
  void ReadHeader();
  bool header_valid() const { return header_valid_; }
  void SetRoute(Mount& mount, const OpcodeRow* row);
  const OpcodeRow* row() const { return row_; }
  // Whether a reply with a body of `bytes` can be written.
  bool HasReplySpace(size_t bytes) const;
  // Copies the arguments as the row says. EINVAL, ENAMETOOLONG or E2BIG.
  ErrnoOr<void> ReadArguments();

  // --- for the handlers, once the arguments were read ---

  Mount& mount() const { return *mount_; }
  backends::Filesystem& filesystem() const { return mount_->filesystem(); }
  backends::NodeId node() const { return backends::NodeId{header_.nodeid}; }
  // Whether the request says whose it is (see kInvalidId).
  bool caller_known() const { return header_.uid != kInvalidId && header_.gid != kInvalidId; }
  size_t argument_bytes() const { return arguments_.size(); }
  Arguments arguments() const { return Arguments(arguments_); }
  // The request's extensions (fuse_in_header.total_extlen), for Body::kCreation; else empty.
  std::span<const char> extensions() const { return extensions_; }

  // Bytes of the request behind its arguments (Body::kPayload), and a cursor over them.
  size_t payload_bytes() const { return body_.remaining(); }
  IovecCursor payload() const { return body_; }
  backends::IoVectors LendPayload() { return body_.Lend(body_.remaining(), lent_iovecs_); }

  // Bytes that the reply's body may have, and the first `bytes` of them (behind `behind` others)
  // for an operation to fill; the operation may not claim more (lent_bytes).
  size_t reply_space_bytes() const { return ReplySpace().remaining(); }
  backends::IoVectors LendReplySpace(size_t bytes, size_t behind = 0);
  size_t lent_bytes() const { return lent_bytes_; }

  // Where a directory's entries go: the first `bytes` of the reply's space, or all of it.
  DirentPacker& PackEntries(size_t bytes);
  DirentPacker& PackEntriesPlus(size_t bytes);
  size_t packed_bytes() const { return packer_.bytes_packed(); }

  // To be said before the reply of a READ, WRITE or COPY_FILE_RANGE.
  void NoteContents(size_t bytes) { content_bytes_ = bytes; }

  // --- the reply; exactly one of these ---

  // With the body that `make` returns.
  template <typename Make>
  void Reply(const Make& make) {
    using Body = std::invoke_result_t<Make>;
    IovecCursor space = writable_;
    void* const header = space.Place<fuse_out_header>();
    void* const place = space.Place<Body>();
    if (header == nullptr || place == nullptr) [[unlikely]] {
      const Body body = make();
      return ReplyBytes(std::as_bytes(std::span(&body, 1)));
    }
    constexpr uint32_t kLength = sizeof(fuse_out_header) + sizeof(Body);
    ::new (place) Body(make());
    ::new (header) fuse_out_header{.len = kLength, .error = 0, .unique = unique};
    FinishOk(kLength);
  }
  void ReplyBytes(std::span<const std::byte> body);
  void ReplyEmpty() { ReplyBytes({}); }
  // The first `body_bytes` of the reply's space are the body.
  void ReplyInPlace(size_t body_bytes);
  // `front` and then `bytes` that are in place behind it are the body.
  template <typename Front>
  void ReplyInFrontOf(const Front& front, size_t bytes) {
    ReplySpace().CopyIn(&front, sizeof(front));
    ReplyInPlace(sizeof(front) + bytes);
  }
  // For opcodes without a reply, nothing.
  void ReplyError(Errno error);
  void ReplyNothing();

 private:
  // Inline are a struct and two names of the greatest length; on the heap, for the request's
  // lifetime only, what else can be valid: a symlink's target, a security label, an attribute's
  // value.
  static constexpr size_t kInlineArgumentBytes = 640;

  IovecCursor ReplySpace() const;
  std::string_view log_name() const { return mount_->options().export_name; }
  // `written`: less than the header and `body_bytes` if that did not fit, and an error was written.
  void FinishIfFit(uint32_t written, size_t body_bytes);
  void FinishOk(uint32_t written);
  void Finish(uint32_t written);

  IovecCursor writable_;  // never moved
  IovecCursor body_;      // the request; behind its header, then behind its arguments
  RequestOwner* owner_ = nullptr;
  Mount* mount_ = nullptr;
  const OpcodeRow* row_ = nullptr;  // nullptr for an unknown opcode
  fuse_in_header header_{};
  bool header_valid_ = false;
  std::span<const char> arguments_;
  size_t extension_bytes_ = 0;  // at the end of the request
  std::span<const char> extensions_;
  size_t lent_behind_ = 0;
  size_t lent_bytes_ = 0;
  size_t content_bytes_ = 0;
  int reply_error_ = 0;
  IovecStorage lent_iovecs_;
  DirentPacker packer_;
  std::unique_ptr<char[]> large_arguments_;
  std::array<char, kInlineArgumentBytes> inline_arguments_;
};

}  // namespace fsd::fuse

#endif  // FSD_SERVER_FUSE_REQUEST_H_
