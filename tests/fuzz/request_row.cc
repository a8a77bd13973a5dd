#include "tests/fuzz/request_row.h"

#include <linux/fuse.h>
#include <sys/uio.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "server/errors/check.h"
#include "server/fuse/request.h"
#include "server/fuse/session.h"
#include "server/telemetry/log.h"

namespace fsd::fuzz {
namespace {

// One request on its way.
class Flight final : public fuse::RequestOwner {
 public:
  // Copies of their exact size, so that the sanitizers see every byte too far.
  Flight(std::span<const uint8_t> bytes, size_t room)
      : readable_(bytes.begin(), bytes.end()), writable_(room) {
    // Split at odd places, as the guest may.
    const size_t cut = readable_.size() / 3;
    in_[0] = {readable_.data(), cut};
    in_[1] = {readable_.data() + cut, readable_.size() - cut};
    const size_t room_cut = writable_.size() / 2;
    out_[0] = {writable_.data(), room_cut};
    out_[1] = {writable_.data() + room_cut, writable_.size() - room_cut};
  }

  void Serve(fuse::Session& session) {
    request_.Begin(in_, out_, *this);
    session.Prepare(request_);
    session.Serve(request_);
  }

  void OnReplied(fuse::Request&, uint32_t written) override {
    FSD_CHECK(!replied_);
    replied_ = true;
    FSD_CHECK(written <= writable_.size());
    if (written == 0) return;
    fuse_out_header reply;
    FSD_CHECK(written >= sizeof reply);
    std::memcpy(&reply, writable_.data(), sizeof reply);
    FSD_CHECK(reply.len == written);
    FSD_CHECK(reply.error <= 0 && reply.error >= -511);
    FSD_CHECK(reply.error == 0 || written == sizeof reply);
    if (readable_.size() < sizeof(fuse_in_header)) return;
    fuse_in_header request;
    std::memcpy(&request, readable_.data(), sizeof request);
    FSD_CHECK(reply.unique == request.unique);
  }
  bool replied() const { return replied_; }

 private:
  std::vector<uint8_t> readable_;
  std::vector<uint8_t> writable_;
  iovec in_[2];
  iovec out_[2];
  fuse::Request request_;
  bool replied_ = false;
};

fuse::SessionOptions OptionsOf(uint8_t bits) {
  const bool handles = (bits & 2) == 0;
  return {.cache = static_cast<fuse::CachePolicy>((bits >> 4) & 3),
          .read_only = (bits & 1) != 0,
          .negative_timeout = absl::Seconds(1),
          .writeback = (bits & 4) != 0,
          .readdirplus = static_cast<fuse::ReadDirPlus>((bits >> 6) % 3),
          .zero_message_open = !handles,
          .xattr = true,
          .posix_acl = fuse::Use::kAuto,
          .security_label = fuse::Use::kAuto,
          .submounts = (bits & 8) == 0,
          .locks = handles};
}

uint16_t TakeNumber(std::span<const uint8_t>& input) {
  uint16_t number;
  std::memcpy(&number, input.data(), sizeof number);
  input = input.subspan(sizeof number);
  return number;
}

}  // namespace

void ServeRow(backends::Filesystem& filesystem, std::span<const uint8_t> input) {
  if (input.empty()) return;
  telemetry::SetLogLevel(telemetry::LogLevel::kError);  // a line a mount would be a million
  std::vector<std::unique_ptr<Flight>> waiting;         // for locks
  fuse::Session session(
      filesystem, OptionsOf(input[0]), [](const fuse::NegotiatedInit&) {}, [] {});
  input = input.subspan(1);
  while (input.size() >= 2 * sizeof(uint16_t)) {
    const size_t wanted = TakeNumber(input);
    const size_t room = TakeNumber(input);
    const size_t bytes = std::min(wanted, input.size());
    auto flight = std::make_unique<Flight>(input.first(bytes), room);
    input = input.subspan(bytes);
    flight->Serve(session);
    if (!flight->replied()) waiting.push_back(std::move(flight));
  }
  session.Reset();
  for (const auto& flight : waiting) FSD_CHECK(flight->replied());
}

}  // namespace fsd::fuzz
