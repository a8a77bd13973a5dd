// A guest that sends anything: FUSE requests against the memory backend.
//
// An input is a row of requests, each u16 request bytes, u16 room for the reply, then the bytes.
#include <linux/fuse.h>
#include <sys/uio.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "backends/memory/memory_filesystem.h"
#include "server/errors/check.h"
#include "server/fuse/request.h"
#include "server/fuse/session.h"

namespace {

class OneReply : public fsd::fuse::RequestOwner {
 public:
  void OnReplied(fsd::fuse::Request&, uint32_t written) override {
    ++replies;
    bytes = written;
  }
  int replies = 0;
  uint32_t bytes = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fsd::memory::MemoryFilesystem filesystem({.pages = 64, .inodes = 64, .handles = 64});
  fsd::fuse::Session session(
      filesystem, {}, [](const fsd::fuse::NegotiatedInit&) {}, [] {});
  fsd::fuse::Request request;
  while (size >= 4) {
    uint16_t lengths[2];
    std::memcpy(lengths, data, sizeof lengths);
    data += sizeof lengths;
    size -= sizeof lengths;
    const size_t bytes = std::min<size_t>(lengths[0], size);
    // Copies of their exact size, so that the sanitizers see every byte too far.
    std::vector<uint8_t> readable(data, data + bytes);
    std::vector<uint8_t> writable(lengths[1]);
    data += bytes;
    size -= bytes;
    // Split at odd places, as the guest may.
    const size_t cut = readable.size() / 3;
    const iovec in[] = {{readable.data(), cut}, {readable.data() + cut, readable.size() - cut}};
    const size_t room_cut = writable.size() / 2;
    const iovec out[] = {{writable.data(), room_cut},
                         {writable.data() + room_cut, writable.size() - room_cut}};
    OneReply owner;
    request.Begin(in, out, owner);
    session.Prepare(request);
    session.Serve(request);
    FSD_CHECK(owner.replies == 1);
    FSD_CHECK(owner.bytes <= writable.size());
    if (owner.bytes > 0) {
      fuse_out_header header;
      FSD_CHECK(owner.bytes >= sizeof header);
      std::memcpy(&header, writable.data(), sizeof header);
      FSD_CHECK(header.len == owner.bytes);
      FSD_CHECK(header.error <= 0 && header.error > -4096);
    }
  }
  return 0;
}
