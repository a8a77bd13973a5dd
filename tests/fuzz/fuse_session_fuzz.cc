// A guest that sends anything: FUSE requests against the memory backend.
//
// An input is a row of requests, each u16 request bytes, u16 room for the reply, then the bytes.
#include <linux/fuse.h>
#include <sys/uio.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "backends/memory/memory_filesystem.h"
#include "server/errors/check.h"
#include "server/fuse/request.h"
#include "server/fuse/session.h"

namespace {

// One request on its way.
class Flight : public fsd::fuse::RequestOwner {
 public:
  // Copies of their exact size, so that the sanitizers see every byte too far.
  Flight(const uint8_t* data, size_t bytes, size_t room)
      : readable_(data, data + bytes), writable_(room) {
    // Split at odd places, as the guest may.
    const size_t cut = readable_.size() / 3;
    in_[0] = {readable_.data(), cut};
    in_[1] = {readable_.data() + cut, readable_.size() - cut};
    const size_t room_cut = writable_.size() / 2;
    out_[0] = {writable_.data(), room_cut};
    out_[1] = {writable_.data() + room_cut, writable_.size() - room_cut};
  }

  void Serve(fsd::fuse::Session& session) {
    request_.Begin(in_, out_, *this);
    session.Prepare(request_);
    session.Serve(request_);
  }

  void OnReplied(fsd::fuse::Request&, uint32_t written) override {
    FSD_CHECK(!replied_);
    replied_ = true;
    FSD_CHECK(written <= writable_.size());
    if (written == 0) return;
    fuse_out_header header;
    FSD_CHECK(written >= sizeof header);
    std::memcpy(&header, writable_.data(), sizeof header);
    FSD_CHECK(header.len == written);
    FSD_CHECK(header.error <= 0 && header.error > -4096);
  }
  bool replied() const { return replied_; }

 private:
  std::vector<uint8_t> readable_;
  std::vector<uint8_t> writable_;
  iovec in_[2];
  iovec out_[2];
  fsd::fuse::Request request_;
  bool replied_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::vector<std::unique_ptr<Flight>> waiting;  // for locks
  fsd::memory::MemoryFilesystem filesystem({.pages = 64, .inodes = 64, .handles = 64});
  fsd::fuse::Session session(
      filesystem,
      {.negative_timeout = absl::Seconds(1),
       .xattr = true,
       .posix_acl = fsd::fuse::Use::kAuto,
       .security_label = fsd::fuse::Use::kAuto,
       .locks = true},
      [](const fsd::fuse::NegotiatedInit&) {}, [] {});
  while (size >= 4) {
    uint16_t lengths[2];
    std::memcpy(lengths, data, sizeof lengths);
    data += sizeof lengths;
    size -= sizeof lengths;
    const size_t bytes = std::min<size_t>(lengths[0], size);
    auto flight = std::make_unique<Flight>(data, bytes, lengths[1]);
    data += bytes;
    size -= bytes;
    flight->Serve(session);
    if (!flight->replied()) waiting.push_back(std::move(flight));
  }
  session.Reset();
  for (const auto& flight : waiting) FSD_CHECK(flight->replied());
  return 0;
}
