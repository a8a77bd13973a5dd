// A VMM that sends anything: vhost-user messages with any descriptors, over a real socket.
//
// An input is a row of steps, each a byte. Below kFirstDeed it is a request's number, and a message
// follows: u8 how, u8 descriptors (their number in the upper half, the first one's kind in the
// lower; the next ones' kinds count up), u16 bytes of body, the body. Otherwise it is a deed.
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "server/errors/check.h"
#include "server/os/event_fd.h"
#include "server/os/memory_file.h"
#include "server/os/unique_fd.h"
#include "server/os/unix_socket.h"
#include "server/telemetry/log.h"
#include "server/vhost_user/connection.h"
#include "server/vhost_user/message.h"
#include "tests/fuzz/open_fds.h"
#include "tests/fuzz/ring_device.h"

namespace {

using fsd::os::UniqueFd;
using fsd::vhost_user::Connection;

constexpr size_t kMemoryBytes = 1 << 20;
constexpr int kMaxSteps = 200;

enum Deed : uint8_t {
  kFirstDeed = 0xf0,
  kDefer = 0xf0,        // the device answers later from now on, or at once again
  kAnswer = 0xf1,       // what it owes
  kTakeReplies = 0xf2,  // the front-end reads
  kAdvance = 0xf3,      // the connection reads
  kWriteMemory = 0xf4,  // u32 offset, u8 length, bytes
  kRunRings = 0xf5,
  kShrinkMemory = 0xf6,  // u16 pages are left
  kShutDown = 0xf7,      // the front-end's sending half
  kSendBytes = 0xf8,     // u8 length, bytes: no message at all
};

enum How : uint8_t {
  kHeaderFlags = 0x0f,  // as they are sent, but for the version, which is right if they are 0 or 8
  kWithinTwo = 0x10,    // the message comes in two pieces
  kLie = 0x20,          // its header says another size
  kFdsLate = 0x40,      // the descriptors come with the second piece
  kUnread = 0x80,       // the connection does not read it yet
};

// Descriptors of every kind, which messages borrow.
class OddFds {
 public:
  OddFds() {
    // Not sealed: it can shrink.
    memory_ = UniqueFd(::memfd_create("fuzz", MFD_CLOEXEC));
    const std::string path = "/proc/self/fd/" + std::to_string(memory_.get());
    int pipe[2];
    FSD_CHECK(::pipe2(pipe, O_CLOEXEC | O_NONBLOCK) == 0);
    fds_[0] = UniqueFd(::fcntl(memory_.get(), F_DUPFD_CLOEXEC, 0));
    fds_[1] = UniqueFd(::fcntl(fsd::os::EventFd::Create()->fd(), F_DUPFD_CLOEXEC, 0));
    fds_[2] = *fsd::os::CreateMemoryFile("empty", 0);
    fds_[3] = UniqueFd(pipe[0]);
    fds_[4] = UniqueFd(pipe[1]);
    fds_[5] = UniqueFd(::open("/dev/null", O_RDWR | O_CLOEXEC));
    fds_[6] = UniqueFd(::open("/dev/zero", O_RDWR | O_CLOEXEC));
    fds_[7] = UniqueFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    fds_[8] = UniqueFd(::open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    fds_[9] = UniqueFd(::open(path.c_str(), O_PATH | O_CLOEXEC));
    fds_[10] = UniqueFd(::epoll_create1(EPOLL_CLOEXEC));
    fds_[11] = *fsd::os::CreateSealedFile("sealed", {});
    for (const UniqueFd& fd : fds_) FSD_CHECK(fd.valid());
  }

  int memory() const { return memory_.get(); }
  // Borrowed. The first sixteenth of kinds that are none is the memory again.
  int Get(size_t kind) const { return fds_[kind % 16 < fds_.size() ? kind % 16 : 0].get(); }

 private:
  UniqueFd memory_;
  std::array<UniqueFd, 12> fds_;
};

// What is left of the input.
class Steps {
 public:
  explicit Steps(std::span<const uint8_t> input) : input_(input) {}

  bool empty() const { return input_.empty(); }
  // Zeros behind the end.
  template <typename T>
  T Take() {
    T value{};
    const auto bytes = TakeBytes(sizeof value);
    std::memcpy(&value, bytes.data(), bytes.size());
    return value;
  }
  std::span<const uint8_t> TakeBytes(size_t length) {
    const auto bytes = input_.first(std::min(length, input_.size()));
    input_ = input_.subspan(bytes.size());
    return bytes;
  }

 private:
  std::span<const uint8_t> input_;
};

class Play {
 public:
  explicit Play(const OddFds& fds) : fds_(fds) {
    auto pair = fsd::os::UnixSocketPair(fsd::os::SocketType::kStream);
    FSD_CHECK(pair.ok());
    peer_ = std::move(pair->first);
    FSD_CHECK(::ftruncate(fds_.memory(), 0) == 0);
    FSD_CHECK(::ftruncate(fds_.memory(), kMemoryBytes) == 0);
    connection_ = std::make_unique<Connection>(
        std::move(pair->second), device_,
        Connection::Options{
            .export_name = "fuzz", .offer_config = true, .resume = [this] { Advance(0); }});
  }

  ~Play() {
    while (device_.AnswerNext()) {
    }
    peer_.reset();
    if (!over_) Advance(EPOLLIN | EPOLLHUP);
    connection_.reset();
    // As the worker does at a connection's end.
    device_.defers = false;
    bool reset = false;
    device_.Reset([&reset] { reset = true; });
    FSD_CHECK(reset);
  }

  bool over() const { return over_; }

  void Step(Steps& steps) {
    const auto step = steps.Take<uint8_t>();
    switch (step) {
      case kDefer:
        device_.defers = !device_.defers;
        break;
      case kAnswer:
        device_.AnswerNext();
        break;
      case kTakeReplies:
        TakeReplies();
        break;
      case kAdvance:
        Advance(EPOLLIN);
        break;
      case kWriteMemory: {
        const auto offset = steps.Take<uint32_t>() % kMemoryBytes;
        const auto bytes = steps.TakeBytes(steps.Take<uint8_t>());
        if (device_.memory_may_have_shrunk) break;  // it would grow again
        (void)!::pwrite(fds_.memory(), bytes.data(), std::min(bytes.size(), kMemoryBytes - offset),
                        static_cast<off_t>(offset));
        break;
      }
      case kRunRings:
        device_.RunRings();
        break;
      case kShrinkMemory: {
        device_.memory_may_have_shrunk = true;
        const off_t left = off_t{4096} * (steps.Take<uint16_t>() % (kMemoryBytes / 4096));
        FSD_CHECK(::ftruncate(fds_.memory(), left) == 0);
        break;
      }
      case kShutDown:
        ::shutdown(peer_.get(), SHUT_WR);
        Advance(EPOLLIN);
        break;
      case kSendBytes:
        Send(steps.TakeBytes(steps.Take<uint8_t>()), {});
        Advance(EPOLLIN);
        break;
      default:
        Message(step, steps);
    }
  }

 private:
  void Message(uint32_t request, Steps& steps) {
    const auto how = steps.Take<uint8_t>();
    const auto described = steps.Take<uint8_t>();
    const auto body = steps.TakeBytes(steps.Take<uint16_t>() & 0x7ff);
    std::vector<int> fds;
    for (size_t i = 0; i < static_cast<size_t>(described >> 4); ++i) {
      fds.push_back(fds_.Get((described & 0xf) + i));
    }
    uint32_t flags = how & kHeaderFlags;
    if ((flags & ~fsd::vhost_user::kNeedReplyFlag) == 0) flags |= fsd::vhost_user::kVersion;
    auto claimed = static_cast<uint32_t>(body.size());
    if ((how & kLie) != 0) claimed += claimed % 7 - 3;
    const fsd::vhost_user::MessageHeader header{
        .request = request, .flags = flags, .size = claimed};
    std::vector<uint8_t> message(sizeof header);
    std::memcpy(message.data(), &header, sizeof header);
    message.insert(message.end(), body.begin(), body.end());

    const size_t cut = (how & kWithinTwo) != 0 ? message.size() / 3 : message.size();
    const bool late = (how & kFdsLate) != 0;
    Send(std::span(message).first(cut), late ? std::vector<int>() : fds);
    if (cut != message.size()) {
      Advance(EPOLLIN);
      Send(std::span(message).subspan(cut), late ? fds : std::vector<int>());
    }
    if ((how & kUnread) == 0) Advance(EPOLLIN);
  }

  void Send(std::span<const uint8_t> bytes, const std::vector<int>& fds) {
    if (bytes.empty()) return;
    // A full socket loses the rest, so that it is no message either.
    (void)fsd::os::SendWithFds(peer_.get(), std::as_bytes(bytes), fds);
  }

  void Advance(uint32_t events) {
    if (over_) return;
    if (connection_->Advance(events).has_value()) over_ = true;
    FSD_CHECK(connection_->started_vrings() <= device_.queue_count());
  }

  // Replies are whole, and to what was asked with the right flags.
  void TakeReplies() {
    std::array<std::byte, 4096> buffer;
    while (true) {
      const auto received = fsd::os::ReceiveWithFds(peer_.get(), buffer, 0);
      if (!received.ok() || received->bytes == 0) break;
      const auto bytes = std::span(buffer).first(received->bytes);
      unread_.insert(unread_.end(), bytes.begin(), bytes.end());
    }
    fsd::vhost_user::MessageHeader header;
    while (unread_.size() >= sizeof header) {
      std::memcpy(&header, unread_.data(), sizeof header);
      FSD_CHECK(header.flags == (fsd::vhost_user::kVersion | fsd::vhost_user::kReplyFlag));
      FSD_CHECK(header.size <= fsd::vhost_user::kMaxBodyBytes);
      if (unread_.size() < sizeof header + header.size) break;
      unread_.erase(unread_.begin(),
                    unread_.begin() + static_cast<std::ptrdiff_t>(sizeof header + header.size));
    }
    Advance(EPOLLOUT);
  }

  const OddFds& fds_;
  UniqueFd peer_;
  fsd::fuzz::RingDevice device_;
  std::unique_ptr<Connection> connection_;
  std::vector<std::byte> unread_;
  bool over_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const OddFds& fds = *new OddFds;
  // A line a refused message would be a million.
  fsd::telemetry::SetLogLevel(fsd::telemetry::LogLevel::kError);
  const fsd::fuzz::NoFdLeak no_leak;
  Play play(fds);
  Steps steps({data, size});
  for (int i = 0; i < kMaxSteps && !steps.empty() && !play.over(); ++i) play.Step(steps);
  return 0;
}
