// RequestDriver: a guest for tests. Builds FUSE requests, scatters them over buffers, has a Session
// serve them and takes the replies apart.
//
// Every buffer is an allocation of its own and the Request is destroyed in OnReplied, so that the
// sanitizers see whoever reads past a buffer or touches a request that is over.
#ifndef FSD_SERVER_FUSE_REQUEST_DRIVER_H_
#define FSD_SERVER_FUSE_REQUEST_DRIVER_H_

#include <sys/uio.h>

#include <atomic>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "backends/filesystem.h"
#include "server/fuse/abi.h"
#include "server/fuse/request.h"
#include "server/fuse/session.h"

namespace fsd::fuse {

// A struct's bytes, and a text's with its NUL.
template <typename T>
std::string Raw(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof(value)};
}
std::string Text(std::string_view text);

// A whole request with a proper header: uid 1000, gid 1001, pid 1002, unique 77.
std::string Message(uint32_t opcode, uint64_t node, std::string_view arguments);

// Bytes cut into buffers before each of `cuts` (ascending).
class ScatteredBytes {
 public:
  ScatteredBytes(std::string_view bytes, const std::vector<size_t>& cuts);

  std::span<const iovec> iovecs() const { return iovecs_; }
  std::string Joined() const;

 private:
  std::vector<std::unique_ptr<char[]>> pieces_;
  std::vector<iovec> iovecs_;
};

struct Shape {
  size_t reply_space = 4096;  // bytes, the header included
  std::vector<size_t> readable_cuts = {};
  std::vector<size_t> writable_cuts = {};
};

struct Answer {
  uint32_t written = 0;
  fuse_out_header header{};  // zero if nothing was written
  std::string body;
  bool rest_untouched = false;  // nothing was written behind the reply

  int error() const { return -header.error; }
  template <typename T>
  T As() const {
    T value{};
    std::memcpy(&value, body.data(), std::min(sizeof(value), body.size()));
    return value;
  }
};

// One request on its way.
class Flight final : public RequestOwner {
 public:
  Flight(Session& session, std::string_view message, const Shape& shape);
  // Must have been answered.
  ~Flight();

  Session::Lane lane() const { return lane_; }
  int replies() const { return replies_.load(); }
  // Only after the reply.
  Answer answer() const;

  void OnReplied(Request& request, uint32_t written) override;

 private:
  ScatteredBytes readable_;
  ScatteredBytes writable_;
  std::unique_ptr<Request> request_ = std::make_unique<Request>();
  Session::Lane lane_{};
  uint32_t written_ = 0;
  std::atomic<int> replies_{0};
};

class RequestDriver {
 public:
  // A session on which INIT has succeeded, with every flag offered.
  explicit RequestDriver(backends::Filesystem& filesystem, SessionOptions options = {});

  Session& session() { return session_; }
  std::unique_ptr<Flight> Start(uint32_t opcode, uint64_t node, std::string_view arguments,
                                const Shape& shape = {});
  // For requests that are answered at once.
  Answer Send(uint32_t opcode, uint64_t node, std::string_view arguments, const Shape& shape = {});
  Answer SendBytes(std::string_view message, const Shape& shape = {});

 private:
  Session session_;
};

// INIT's arguments as a guest of protocol 7.`minor` sends them.
std::string InitArguments(uint32_t major, uint32_t minor, uint64_t flags);
inline constexpr uint64_t kEveryInitFlag = ~(1ULL << 31);  // bit 31 is FUSE_INIT_RESERVED

}  // namespace fsd::fuse

#endif  // FSD_SERVER_FUSE_REQUEST_DRIVER_H_
