#include "server/vhost_user/test_front_end.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <cstring>
#include <filesystem>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "server/os/memory_file.h"
#include "server/os/unix_socket.h"

namespace fsd::vhost_user {
namespace {

const char* Word(const os::UniqueFd& fd) { return fd.valid() ? "fd" : "none"; }

}  // namespace

void FakeDevice::SetMemory(std::shared_ptr<const virtqueue::GuestMemory> memory,
                           std::function<void()> done) {
  calls_.push_back(absl::StrCat("memory ", memory->region_count()));
  Answer(std::move(done));
}

void FakeDevice::SetDirtyLog(std::shared_ptr<const virtqueue::DirtyLog> new_log) {
  calls_.push_back(new_log == nullptr ? "log off" : "log on");
  log = std::move(new_log);
}

absl::Status FakeDevice::StartVring(size_t index, VringStart start) {
  calls_.push_back(absl::StrCat("start ", index, " from ", start.setup.next_available));
  starts[index] = std::move(start);
  return start_result;
}

void FakeDevice::StopVring(size_t index, std::function<void(uint16_t)> done) {
  calls_.push_back(absl::StrCat("stop ", index));
  Answer([this, done = std::move(done)] { done(next_available); });
}

void FakeDevice::SetVringEnabled(size_t index, bool enabled) {
  calls_.push_back(absl::StrCat(enabled ? "enable " : "disable ", index));
}

void FakeDevice::SetVringCall(size_t index, os::UniqueFd call) {
  calls_.push_back(absl::StrCat("call ", index, " ", Word(call)));
}

void FakeDevice::SetVringError(size_t index, os::UniqueFd error) {
  calls_.push_back(absl::StrCat("error ", index, " ", Word(error)));
}

void FakeDevice::Reset(std::function<void()> done) {
  calls_.push_back("reset");
  Answer(std::move(done));
}

std::vector<std::string> FakeDevice::TakeCalls() { return std::exchange(calls_, {}); }

bool FakeDevice::AnswerNext() {
  if (owed_.empty()) return false;
  const std::function<void()> answer = std::move(owed_.front());
  owed_.pop_front();
  answer();
  return true;
}

void FakeDevice::Answer(std::function<void()> answer) {
  if (defers) {
    owed_.push_back(std::move(answer));
  } else {
    answer();
  }
}

std::optional<uint64_t> Reply::number() const {
  uint64_t value;
  if (body.size() != sizeof value) return std::nullopt;
  std::memcpy(&value, body.data(), sizeof value);
  return value;
}

TestFrontEnd::TestFrontEnd(FakeDevice& device, bool offer_config) {
  auto sockets = os::UnixSocketPair(os::SocketType::kStream);
  EXPECT_TRUE(sockets.ok());
  peer_ = std::move(sockets->first);
  connection_ = std::make_unique<Connection>(
      std::move(sockets->second), device,
      Connection::Options{
          .export_name = "test", .offer_config = offer_config, .resume = [this] { Advance(0); }});
}

void TestFrontEnd::SendBytes(std::span<const std::byte> bytes, std::span<const int> fds) {
  const ErrnoOr<size_t> sent = os::SendWithFds(peer_.get(), bytes, fds);
  EXPECT_TRUE(sent.ok() && *sent == bytes.size());
}

std::vector<std::byte> TestFrontEnd::Encode(FrontendRequest request,
                                            std::span<const std::byte> body, uint32_t flags) {
  const MessageHeader header{.request = static_cast<uint32_t>(request),
                             .flags = flags,
                             .size = static_cast<uint32_t>(body.size())};
  std::vector<std::byte> bytes(sizeof header + body.size());
  std::memcpy(bytes.data(), &header, sizeof header);
  if (!body.empty()) std::memcpy(bytes.data() + sizeof header, body.data(), body.size());
  return bytes;
}

void TestFrontEnd::Tell(FrontendRequest request, std::span<const std::byte> body,
                        std::span<const int> fds, Ack ack) {
  SendBytes(Encode(request, body, kVersion | (ack == Ack::kAsked ? kNeedReplyFlag : 0)), fds);
  Advance(EPOLLIN);
}

std::optional<Reply> TestFrontEnd::TakeReply() {
  Reply reply;
  const auto header = std::as_writable_bytes(std::span(&reply.header, 1));
  const ErrnoOr<os::Received> head = os::ReceiveWithFds(peer_.get(), header, 0);
  if (!head.ok() || head->bytes == 0) return std::nullopt;
  EXPECT_EQ(head->bytes, header.size());
  EXPECT_EQ(reply.header.flags, kVersion | kReplyFlag);
  reply.body.resize(reply.header.size);
  if (reply.header.size == 0) return reply;
  const ErrnoOr<os::Received> body = os::ReceiveWithFds(peer_.get(), reply.body, 0);
  EXPECT_TRUE(body.ok() && body->bytes == reply.body.size());
  return reply;
}

std::optional<uint64_t> TestFrontEnd::TakeNumber() {
  const std::optional<Reply> reply = TakeReply();
  return reply ? reply->number() : std::nullopt;
}

void TestFrontEnd::Negotiate(uint64_t virtio_features, uint64_t protocol_features) {
  Tell(FrontendRequest::kSetProtocolFeatures, protocol_features);
  Tell(FrontendRequest::kSetOwner);
  Tell(FrontendRequest::kSetFeatures, virtio_features);
}

void TestFrontEnd::AddMemory() {
  const os::UniqueFd memory = MakeMemory();
  const int fds[] = {memory.get()};
  Tell(FrontendRequest::kAddMemReg, SingleMemoryRegion{.region = kRegion}, fds);
}

void TestFrontEnd::StartVring(uint32_t index, uint32_t base) {
  const os::UniqueFd kick = MakeEvent();
  const int fds[] = {kick.get()};
  Tell(FrontendRequest::kSetVringNum, VringState{index, 128});
  Tell(FrontendRequest::kSetVringBase, VringState{index, base});
  Tell(FrontendRequest::kSetVringAddr, AddressOf(index));
  Tell(FrontendRequest::kSetVringKick, uint64_t{index}, fds);
}

std::optional<StopReason> TestFrontEnd::Advance(uint32_t events) {
  if (connection_ != nullptr) stopped_ = connection_->Advance(events);
  return stopped_;
}

VringAddress TestFrontEnd::AddressOf(uint32_t index, bool logged) {
  const uint64_t ring = kUserAddress + 0x10000 * index;
  return {.index = index,
          .flags = logged ? kVringLogFlag : 0,
          .descriptor = ring,
          .used = ring + 0x4000,
          .available = ring + 0x2000,
          .log = 0x4000 + 0x10000 * index};
}

os::UniqueFd MakeMemory() {
  ErrnoOr<os::UniqueFd> memory = os::CreateMemoryFile("guest", TestFrontEnd::kMemoryBytes);
  EXPECT_TRUE(memory.ok());
  return std::move(memory).value();
}

os::UniqueFd MakeEvent() { return os::UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)); }

size_t CountOpenFds() {
  return static_cast<size_t>(std::distance(std::filesystem::directory_iterator("/proc/self/fd"),
                                           std::filesystem::directory_iterator()));
}

}  // namespace fsd::vhost_user
