#include "server/fuse/request_driver.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "server/errors/check.h"

namespace fsd::fuse {
namespace {

constexpr char kUntouched = '\xee';

}  // namespace

std::string Text(std::string_view text) {
  std::string bytes(text);
  bytes.push_back('\0');
  return bytes;
}

std::string Message(uint32_t opcode, uint64_t node, std::string_view arguments) {
  const fuse_in_header header = {
      .len = static_cast<uint32_t>(sizeof(fuse_in_header) + arguments.size()),
      .opcode = opcode,
      .unique = 77,
      .nodeid = node,
      .uid = 1000,
      .gid = 1001,
      .pid = 1002,
      .total_extlen = 0,
      .padding = 0};
  return Raw(header) + std::string(arguments);
}

ScatteredBytes::ScatteredBytes(std::string_view bytes, const std::vector<size_t>& cuts) {
  size_t begin = 0;
  const auto add = [&](size_t end) {
    const size_t length = end - begin;
    pieces_.emplace_back(new char[length]);
    std::memcpy(pieces_.back().get(), bytes.data() + begin, length);
    iovecs_.push_back({.iov_base = pieces_.back().get(), .iov_len = length});
    begin = end;
  };
  for (const size_t cut : cuts) add(std::min(cut, bytes.size()));
  if (begin < bytes.size()) add(bytes.size());
}

std::string ScatteredBytes::Joined() const {
  std::string bytes;
  for (const iovec& piece : iovecs_) {
    bytes.append(static_cast<const char*>(piece.iov_base), piece.iov_len);
  }
  return bytes;
}

Flight::Flight(Session& session, std::string_view message, const Shape& shape)
    : readable_(message, shape.readable_cuts),
      writable_(std::string(shape.reply_space, kUntouched), shape.writable_cuts) {
  Request& request = *request_;
  request.Begin(readable_.iovecs(), writable_.iovecs(), *this);
  lane_ = session.Prepare(request);
  session.Serve(request);
}

Flight::~Flight() { FSD_CHECK(replies_ == 1); }

Answer Flight::answer() const {
  FSD_CHECK(replies_ == 1);
  const std::string bytes = writable_.Joined();
  Answer answer;
  answer.written = written_;
  if (written_ >= sizeof(answer.header)) {
    std::memcpy(&answer.header, bytes.data(), sizeof(answer.header));
    answer.body = bytes.substr(sizeof(answer.header), written_ - sizeof(answer.header));
  }
  answer.rest_untouched = std::all_of(bytes.begin() + written_, bytes.end(),
                                      [](char byte) { return byte == kUntouched; });
  return answer;
}

void Flight::OnReplied(Request& request, uint32_t written) {
  FSD_CHECK(request_.get() == &request);
  request_.reset();
  written_ = written;
  ++replies_;
}

RequestDriver::RequestDriver(backends::Filesystem& filesystem, SessionOptions options)
    : session_(filesystem, std::move(options), nullptr, nullptr) {
  const Answer answer =
      Send(FUSE_INIT, 0, InitArguments(kProtocolMajor, kProtocolMinor, kEveryInitFlag));
  FSD_CHECK(answer.error() == 0);
}

std::unique_ptr<Flight> RequestDriver::Start(uint32_t opcode, uint64_t node,
                                             std::string_view arguments, const Shape& shape) {
  return std::make_unique<Flight>(session_, Message(opcode, node, arguments), shape);
}

Answer RequestDriver::Send(uint32_t opcode, uint64_t node, std::string_view arguments,
                           const Shape& shape) {
  return SendBytes(Message(opcode, node, arguments), shape);
}

Answer RequestDriver::SendBytes(std::string_view message, const Shape& shape) {
  return Flight(session_, message, shape).answer();
}

std::string InitArguments(uint32_t major, uint32_t minor, uint64_t flags) {
  fuse_init_in in{};
  in.major = major;
  in.minor = minor;
  in.max_readahead = 131072;
  in.flags = static_cast<uint32_t>(flags);
  in.flags2 = static_cast<uint32_t>(flags >> 32);
  return Raw(in);
}

}  // namespace fsd::fuse
