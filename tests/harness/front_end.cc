#include "tests/harness/front_end.h"

#include <poll.h>
#include <unistd.h>

#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/errors/check.h"
#include "server/errors/status_macros.h"
#include "server/os/unix_socket.h"
#include "tests/harness/vhost_user_messages.h"

namespace fsd::harness {
namespace {

constexpr uint64_t kFeatureIndirect = uint64_t{1} << 28;
constexpr uint64_t kFeatureEventIndex = uint64_t{1} << 29;
constexpr uint64_t kFeatureProtocol = uint64_t{1} << 30;
constexpr uint64_t kFeatureVersion1 = uint64_t{1} << 32;
constexpr uint64_t kProtocolMultiQueue = uint64_t{1} << 0;
constexpr uint64_t kProtocolReplyAck = uint64_t{1} << 3;
constexpr uint64_t kProtocolMemSlots = uint64_t{1} << 15;

struct SingleRegion {
  uint64_t padding;
  GuestArena::Region region;
};
static_assert(sizeof(SingleRegion) == 40);

template <typename T>
std::span<const std::byte> Bytes(const T& value) {
  return std::as_bytes(std::span(&value, 1));
}

}  // namespace

bool WaitReadable(int fd, std::chrono::milliseconds timeout) {
  pollfd entry{.fd = fd, .events = POLLIN, .revents = 0};
  return ::poll(&entry, 1, static_cast<int>(timeout.count())) == 1;
}

FrontEnd::FrontEnd(os::UniqueFd socket, GuestArena arena, Options options)
    : socket_(std::move(socket)), arena_(std::move(arena)), options_(options) {
  for (size_t i = 0; i < options.queues; ++i) {
    kicks_.push_back(*os::EventFd::Create());
    calls_.push_back(*os::EventFd::Create());
  }
  ResetQueues();
}

absl::StatusOr<std::unique_ptr<FrontEnd>> FrontEnd::Connect(const std::string& socket_path,
                                                            Options options) {
  ErrnoOr<os::UniqueFd> socket = os::ConnectUnix(socket_path, os::SocketType::kStream);
  if (!socket.ok()) return ErrnoStatus(socket.error(), "connect to " + socket_path);
  FSD_ASSIGN_OR_RETURN(
      GuestArena arena,
      GuestArena::Create(options.memory_bytes, options.memory_regions, options.memory_may_shrink));
  return std::unique_ptr<FrontEnd>(new FrontEnd(*std::move(socket), std::move(arena), options));
}

void FrontEnd::ResetQueues() {
  queues_.clear();
  arena_.ReleaseTo(0);
  for (size_t i = 0; i < options_.queues; ++i) {
    queues_.push_back(std::make_unique<DriverQueue>(arena_, options_.queue));
  }
  bases_.assign(options_.queues, 0);
}

absl::Status FrontEnd::Start() {
  FSD_ASSIGN_OR_RETURN(const uint64_t offered, GetU64(kGetFeatures));
  if ((offered & kFeatureProtocol) == 0 || (offered & kFeatureVersion1) == 0) {
    return absl::FailedPreconditionError(absl::StrCat("features offered: ", offered));
  }
  uint64_t wanted = kFeatureProtocol | kFeatureVersion1;
  if (options_.queue.event_index) wanted |= kFeatureEventIndex;
  if (options_.queue.indirect) wanted |= kFeatureIndirect;
  features_ = offered & wanted;
  FSD_ASSIGN_OR_RETURN(const uint64_t offered_protocol, GetU64(kGetProtocolFeatures));
  protocol_features_ =
      offered_protocol & (kProtocolMultiQueue | kProtocolReplyAck | kProtocolMemSlots);
  FSD_RETURN_IF_ERROR(Send(kSetProtocolFeatures, Bytes(protocol_features_)));
  if ((protocol_features_ & kProtocolMultiQueue) != 0) {
    FSD_ASSIGN_OR_RETURN(const uint64_t queues, GetU64(kGetQueueNum));
    if (queues < options_.queues) {
      return absl::FailedPreconditionError(absl::StrCat("the back-end has ", queues, " queues"));
    }
  }
  FSD_RETURN_IF_ERROR(Send(kSetOwner, {}));
  FSD_RETURN_IF_ERROR(Send(kSetFeatures, Bytes(features_)));
  FSD_RETURN_IF_ERROR(SendMemory());
  return StartQueues();
}

absl::Status FrontEnd::SendMemory() {
  if ((protocol_features_ & kProtocolMemSlots) != 0 &&
      (protocol_features_ & kProtocolReplyAck) != 0) {
    for (const GuestArena::Region& region : arena_.regions()) {
      const SingleRegion body{.padding = 0, .region = region};
      const int fds[] = {arena_.fd()};
      FSD_ASSIGN_OR_RETURN(const uint64_t refused, SendAcknowledged(kAddMemReg, Bytes(body), fds));
      if (refused != 0) return absl::InternalError("the back-end refused a memory region");
    }
    return absl::OkStatus();
  }
  struct {
    uint32_t count;
    uint32_t padding;
    GuestArena::Region regions[2];
  } table{};
  std::vector<int> fds;
  for (const GuestArena::Region& region : arena_.regions()) {
    table.regions[table.count++] = region;
    fds.push_back(arena_.fd());
  }
  const size_t size = 8 + table.count * sizeof(GuestArena::Region);
  return Send(kSetMemTable, Bytes(table).first(size), fds);
}

absl::Status FrontEnd::StartQueue(size_t index, uint16_t base) {
  const auto number = static_cast<uint32_t>(index);
  const DriverQueue& queue = *queues_[index];
  const uint64_t index_word = number;
  const int call[] = {calls_[index].fd()};
  const int kick[] = {kicks_[index].fd()};
  const VringAddress addresses{.index = number,
                               .flags = 0,
                               .descriptors = GuestArena::UserAddress(queue.descriptor_address()),
                               .used = GuestArena::UserAddress(queue.used_address()),
                               .available = GuestArena::UserAddress(queue.available_address()),
                               .log = 0};
  FSD_RETURN_IF_ERROR(Send(kSetVringCall, Bytes(index_word), call));
  FSD_RETURN_IF_ERROR(Send(kSetVringNum, Bytes(VringState{number, queue.size()})));
  FSD_RETURN_IF_ERROR(Send(kSetVringBase, Bytes(VringState{number, base})));
  FSD_RETURN_IF_ERROR(Send(kSetVringAddr, Bytes(addresses)));
  FSD_RETURN_IF_ERROR(Send(kSetVringKick, Bytes(index_word), kick));
  return Send(kSetVringEnable, Bytes(VringState{number, 1}));
}

absl::Status FrontEnd::StartQueues() {
  for (size_t i = 0; i < queues_.size(); ++i) FSD_RETURN_IF_ERROR(StartQueue(i, bases_[i]));
  return absl::OkStatus();
}

absl::Status FrontEnd::StopQueues() {
  for (size_t i = 0; i < queues_.size(); ++i) {
    FSD_RETURN_IF_ERROR(Send(kSetVringEnable, Bytes(VringState{static_cast<uint32_t>(i), 0})));
  }
  for (size_t i = 0; i < queues_.size(); ++i) {
    FSD_RETURN_IF_ERROR(Send(kGetVringBase, Bytes(VringState{static_cast<uint32_t>(i), 0})));
    FSD_ASSIGN_OR_RETURN(const std::vector<std::byte> body, Receive(kGetVringBase));
    VringState state{};
    if (body.size() != sizeof state) return absl::InternalError("GET_VRING_BASE: wrong size");
    std::memcpy(&state, body.data(), sizeof state);
    bases_[i] = static_cast<uint16_t>(state.value);
  }
  return absl::OkStatus();
}

void FrontEnd::Kick(size_t index) {
  if (queues_[index]->KickNeeded()) kicks_[index].Signal();
}

absl::Status FrontEnd::WaitUsed(size_t index) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (!queues_[index]->RequestCall()) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) return absl::DeadlineExceededError("no request was answered");
    pollfd entries[] = {{.fd = calls_[index].fd(), .events = POLLIN, .revents = 0},
                        {.fd = socket_.get(), .events = POLLRDHUP, .revents = 0}};
    if (::poll(entries, 2, static_cast<int>(left.count())) <= 0) continue;
    calls_[index].Drain();
    if ((entries[1].revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0 &&
        !queues_[index]->RequestCall()) {
      return absl::UnavailableError("the back-end closed the connection");
    }
  }
  queues_[index]->SuppressCalls();
  return absl::OkStatus();
}

absl::Status FrontEnd::Send(uint32_t request, std::span<const std::byte> body,
                            std::span<const int> fds, uint32_t flags) {
  const Header header{
      .request = request, .flags = flags | kVersion, .size = static_cast<uint32_t>(body.size())};
  const std::span<const std::byte> header_bytes = Bytes(header);
  std::vector<std::byte> message(header_bytes.begin(), header_bytes.end());
  message.insert(message.end(), body.begin(), body.end());
  size_t sent = 0;
  while (sent < message.size()) {
    const auto bytes = os::SendWithFds(socket_.get(), std::span(message).subspan(sent),
                                       sent == 0 ? fds : std::span<const int>());
    if (!bytes.ok()) {
      if (bytes.error() == Errno(EAGAIN)) {
        pollfd entry{.fd = socket_.get(), .events = POLLOUT, .revents = 0};
        if (::poll(&entry, 1, static_cast<int>(kPatience / std::chrono::milliseconds(1))) == 1) {
          continue;
        }
      }
      return absl::UnavailableError(ErrnoStatus(bytes.error(), "send").message());
    }
    sent += *bytes;
  }
  return absl::OkStatus();
}

absl::Status FrontEnd::ReceiveExactly(std::span<std::byte> buffer) {
  while (!buffer.empty()) {
    if (!WaitReadable(socket_.get(), kPatience)) {
      return absl::DeadlineExceededError("the back-end does not answer");
    }
    const ssize_t bytes = ::read(socket_.get(), buffer.data(), buffer.size());
    if (bytes == 0) return absl::UnavailableError("the back-end closed the connection");
    if (bytes < 0) return absl::UnavailableError(ErrnoStatus(Errno::Last(), "read").message());
    buffer = buffer.subspan(static_cast<size_t>(bytes));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::byte>> FrontEnd::Receive(uint32_t request) {
  Header header{};
  FSD_RETURN_IF_ERROR(ReceiveExactly(std::as_writable_bytes(std::span(&header, 1))));
  if (header.request != request || (header.flags & 7) != 5 || header.size > 65536) {
    return absl::InternalError(absl::StrCat("reply to ", header.request, " with flags ",
                                            header.flags, "; expected one to ", request));
  }
  std::vector<std::byte> body(header.size);
  FSD_RETURN_IF_ERROR(ReceiveExactly(body));
  return body;
}

absl::StatusOr<uint64_t> FrontEnd::SendAcknowledged(uint32_t request,
                                                    std::span<const std::byte> body,
                                                    std::span<const int> fds) {
  FSD_RETURN_IF_ERROR(Send(request, body, fds, kNeedReply));
  FSD_ASSIGN_OR_RETURN(const std::vector<std::byte> reply, Receive(request));
  uint64_t value = 0;
  if (reply.size() != sizeof value) return absl::InternalError("acknowledgement of a wrong size");
  std::memcpy(&value, reply.data(), sizeof value);
  return value;
}

absl::StatusOr<uint64_t> FrontEnd::GetU64(uint32_t request) {
  FSD_RETURN_IF_ERROR(Send(request, {}));
  FSD_ASSIGN_OR_RETURN(const std::vector<std::byte> reply, Receive(request));
  uint64_t value = 0;
  if (reply.size() != sizeof value) return absl::InternalError("reply of a wrong size");
  std::memcpy(&value, reply.data(), sizeof value);
  return value;
}

bool FrontEnd::WaitClosed() {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  std::byte buffer[256];
  while (std::chrono::steady_clock::now() < deadline) {
    if (!WaitReadable(socket_.get(), std::chrono::milliseconds(100))) continue;
    const ssize_t bytes = ::read(socket_.get(), buffer, sizeof buffer);
    if (bytes == 0 || (bytes < 0 && errno == ECONNRESET)) return true;
  }
  return false;
}

}  // namespace fsd::harness
