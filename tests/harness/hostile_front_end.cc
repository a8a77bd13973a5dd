#include "tests/harness/hostile_front_end.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "server/errors/check.h"
#include "server/errors/status_macros.h"
#include "server/os/unix_socket.h"
#include "tests/harness/front_end.h"
#include "tests/harness/vhost_user_messages.h"

namespace fsd::harness {
namespace {

constexpr uint64_t kMemoryBytes = 1 << 20;
constexpr uint64_t kGuest = 0x1'0000'0000;
constexpr uint64_t kUser = 0x7e00'0000'0000;

struct Region {
  uint64_t guest;
  uint64_t size;
  uint64_t user;
  uint64_t offset;
};
template <typename T>
std::vector<std::byte> BytesOf(const T& value) {
  const auto bytes = std::as_bytes(std::span(&value, 1));
  return {bytes.begin(), bytes.end()};
}

}  // namespace

absl::StatusOr<HostileFrontEnd> HostileFrontEnd::Create(std::string socket_path, uint64_t seed) {
  HostileFrontEnd made(std::move(socket_path), seed);
  made.memory_.reset(::memfd_create("memory", MFD_CLOEXEC));
  made.event_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (::ftruncate(made.memory_.get(), kMemoryBytes) != 0) {
    return ErrnoStatus(Errno::Last(), "make memory");
  }
  int pipe[2];
  int pair[2];
  FSD_CHECK(::pipe2(pipe, O_CLOEXEC | O_NONBLOCK) == 0);
  FSD_CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
  const int tiny = ::memfd_create("tiny", MFD_CLOEXEC);
  FSD_CHECK(::ftruncate(tiny, 5000) == 0);
  for (const int fd :
       {::memfd_create("empty", MFD_CLOEXEC), tiny, ::open("/dev/null", O_RDWR | O_CLOEXEC),
        ::open("/dev/zero", O_RDWR | O_CLOEXEC), ::open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC),
        ::open("/proc/self/exe", O_RDONLY | O_CLOEXEC),
        ::open("/proc/self/exe", O_PATH | O_CLOEXEC), ::epoll_create1(EPOLL_CLOEXEC),
        ::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC), ::eventfd(0, EFD_CLOEXEC | EFD_SEMAPHORE),
        pipe[0], pipe[1], pair[0], pair[1]}) {
    FSD_CHECK(fd >= 0);
    made.fds_.emplace_back(fd);
  }
  return made;
}

uint64_t HostileFrontEnd::AnyNumber() {
  switch (Random(6)) {
    case 0:
      return random_();
    case 1:
      return ~uint64_t{0} - Random(4096);
    case 2:
      return uint64_t{1} << Random(64);
    case 3:
      return kUser + Random(2 * kMemoryBytes);
    case 4:
      return kGuest + Random(2 * kMemoryBytes);
    default:
      return Random(300);
  }
}

int HostileFrontEnd::AnyFd() {
  if (Chance(25)) return memory_.get();
  if (Chance(25)) return event_.get();
  return fds_[Random(fds_.size())].get();
}

void HostileFrontEnd::Say(uint32_t request, std::vector<std::byte> body, std::vector<int> fds) {
  const Header header{.request = request,
                      .flags = 1u | (Chance(20) ? 8u : 0u),
                      .size = static_cast<uint32_t>(body.size())};
  Message message{.bytes = BytesOf(header), .fds = std::move(fds)};
  message.bytes.insert(message.bytes.end(), body.begin(), body.end());
  messages_.push_back(std::move(message));
}

template <typename T>
void HostileFrontEnd::SayOf(uint32_t request, const T& body, std::vector<int> fds) {
  Say(request, BytesOf(body), std::move(fds));
}

void HostileFrontEnd::SayAnything() {
  static constexpr std::array<size_t, 9> kSizes = {0, 8, 8, 8, 16, 40, 12, 72, 1032};
  std::vector<std::byte> body(Chance(80) ? kSizes[Random(kSizes.size())] : Random(1100));
  for (size_t at = 0; at + 4 <= body.size(); at += 4) {
    const auto word = static_cast<uint32_t>(Chance(60) ? Random(4) : AnyNumber());
    std::memcpy(body.data() + at, &word, sizeof word);
  }
  std::vector<int> fds;
  for (uint64_t i = Chance(70) ? Random(3) : Random(34); i > 0; --i) fds.push_back(AnyFd());
  Say(static_cast<uint32_t>(Chance(95) ? 1 + Random(kLastRequest) : random_()), std::move(body),
      std::move(fds));
}

void HostileFrontEnd::Negotiate() {
  const uint64_t protocol = (1u << 0) | (1u << 1) | (1u << 3) | (1u << 5) | (1u << 13) | (1u << 15);
  SayOf(kSetProtocolFeatures, protocol);
  Say(kSetOwner, {});
  uint64_t features = (uint64_t{1} << 30) | (uint64_t{1} << 32);
  for (const int bit : {26, 28, 29}) {
    if (Chance(60)) features |= uint64_t{1} << bit;
  }
  SayOf(kSetFeatures, features);
}

// A whole table or a region more. Sane: one region that is the memory.
void HostileFrontEnd::SayMemory(bool sane) {
  struct {
    uint32_t count = 1;
    uint32_t padding = 0;
    Region regions[32]{{.guest = kGuest, .size = kMemoryBytes, .user = kUser, .offset = 0}};
  } table;
  std::vector<int> fds{memory_.get()};
  if (!sane) {
    table.count = static_cast<uint32_t>(Chance(80) ? 1 + Random(4) : Random(40));
    fds.clear();
    for (Region& region : table.regions) {
      region = {.guest = kGuest + Random(8) * (kMemoryBytes / 4),
                .size = kMemoryBytes >> Random(3),
                .user = kUser + Random(8) * (kMemoryBytes / 4),
                .offset = 0};
      switch (Random(7)) {
        case 0:
          region.size = AnyNumber();
          break;
        case 1:
          region.offset = AnyNumber();
          break;
        case 2:
          region.guest = AnyNumber();
          break;
        case 3:
          region.user = AnyNumber();
          break;
        case 4:
          region.size = Chance(50) ? 0 : 1 + Random(5000);
          break;
        default:
          break;
      }
    }
    const size_t count = Chance(85) ? std::min(table.count, 32u) : Random(32);
    while (fds.size() < count) fds.push_back(Chance(70) ? memory_.get() : AnyFd());
  }
  if (Chance(50)) {
    struct {
      uint64_t padding = 0;
      Region region;
    } one{.region = table.regions[0]};
    fds.resize(std::min<size_t>(fds.size(), sane || Chance(90) ? 1 : 2));
    return SayOf(kAddMemReg, one, std::move(fds));
  }
  std::vector<std::byte> body = BytesOf(table);
  body.resize(8 + 32 * std::min(table.count, 32u));
  Say(kSetMemTable, std::move(body), std::move(fds));
}

void HostileFrontEnd::SayRing(uint32_t index, bool sane) {
  const uint64_t word = index;
  VringState size{.index = index, .value = sane ? 64u : 1u << Random(17)};
  VringAddress address{.index = index,
                       .flags = static_cast<uint32_t>(Random(2)),
                       .descriptors = kUser + index * 0x10000,
                       .used = kUser + index * 0x10000 + 0x8000,
                       .available = kUser + index * 0x10000 + 0x4000,
                       .log = kGuest};
  if (!sane) {
    if (Chance(30)) size.value = static_cast<uint32_t>(AnyNumber());
    uint64_t* const field[] = {&address.descriptors, &address.used, &address.available,
                               &address.log};
    *field[Random(4)] = AnyNumber();
    if (Chance(30)) *field[Random(4)] = address.descriptors;
  }
  SayOf(kSetVringCall, word, {sane ? event_.get() : AnyFd()});
  SayOf(kSetVringErr, word, {sane ? event_.get() : AnyFd()});
  SayOf(kSetVringNum, size);
  SayOf(kSetVringBase, VringState{index, static_cast<uint32_t>(sane ? 0 : Random(70000))});
  SayOf(kSetVringAddr, address);
  SayOf(kSetVringKick, sane || Chance(80) ? word : word | 0x100,
        {Chance(50) ? event_.get() : AnyFd()});
  SayOf(kSetVringEnable, VringState{index, static_cast<uint32_t>(sane ? 1 : Random(3))});
}

void HostileFrontEnd::Plan() {
  messages_.clear();
  const uint64_t kind = Random(5);
  if (kind == 0) {
    for (uint64_t i = 1 + Random(20); i > 0; --i) SayAnything();
    return;
  }
  if (Chance(95)) Negotiate();
  if (Chance(95)) SayMemory(kind != 1);
  for (uint64_t i = Random(kind == 1 ? 6 : 2); i > 0; --i) SayMemory(false);
  if (Chance(30)) {
    SayOf(kSetLogBase,
          std::array<uint64_t, 2>{Chance(50) ? 4096 : AnyNumber(), Chance(50) ? 0 : AnyNumber()},
          {Chance(70) ? memory_.get() : AnyFd()});
  }
  for (uint32_t index = 0; index < 2; ++index) SayRing(index, kind >= 3);
  for (uint64_t i = Random(5); i > 0; --i) {
    switch (Random(5)) {
      case 0:
        SayMemory(Chance(50));
        break;
      case 1:
        SayOf(kGetVringBase, VringState{static_cast<uint32_t>(Random(3)), 0});
        break;
      case 2:
        Say(kResetDevice, {});
        break;
      case 3:
        SayOf(kRemMemReg, std::array<uint64_t, 5>{0, kGuest, kMemoryBytes, kUser, 0});
        break;
      default:
        SayRing(static_cast<uint32_t>(Random(2)), Chance(50));
    }
  }
  Damage();
}

// What may happen to any row of messages: one is lost, twice there, too long or short, another.
void HostileFrontEnd::Damage() {
  const size_t at = Random(messages_.size());
  switch (Random(6)) {
    case 0:
      messages_.erase(messages_.begin() + static_cast<std::ptrdiff_t>(at));
      break;
    case 1:
      messages_.push_back(messages_[at]);
      break;
    case 2:
      std::swap(messages_[at], messages_[Random(messages_.size())]);
      break;
    case 3:
      messages_[at].bytes[Random(messages_[at].bytes.size())] ^=
          static_cast<std::byte>(1 + Random(255));
      break;
    case 4:
      messages_[at].fds.clear();
      break;
    default:
      SayAnything();
      std::swap(messages_[at], messages_.back());
  }
}

bool HostileFrontEnd::Send(int socket, const Message& message, size_t bytes) {
  std::span<const std::byte> rest = std::span(message.bytes).first(bytes);
  std::span<const int> fds = message.fds;
  while (!rest.empty()) {
    const auto sent = os::SendWithFds(socket, rest, fds);
    if (!sent.ok()) return false;  // a socket that is full is given up too
    rest = rest.subspan(*sent);
    fds = {};
  }
  return true;
}

absl::StatusOr<bool> HostileFrontEnd::Attack() {
  const auto socket = os::ConnectUnix(socket_path_, os::SocketType::kStream);
  if (!socket.ok()) {
    if (socket.error() == Errno(EAGAIN)) return false;  // the backlog is full
    return ErrnoStatus(socket.error(), "connect");
  }
  const Header hello{.request = kGetFeatures, .flags = kVersion, .size = 0};
  if (!Send(socket->get(), {.bytes = BytesOf(hello), .fds = {}}, sizeof hello)) return false;
  if (!WaitReadable(socket->get(), kPatience)) {
    return absl::DeadlineExceededError("a front-end is not answered");
  }
  std::array<std::byte, 4096> answer;
  if (::recv(socket->get(), answer.data(), answer.size(), MSG_DONTWAIT) <= 0) return false;

  // What the rings have in them.
  std::array<uint16_t, 32> noise;
  for (uint16_t& word : noise) word = static_cast<uint16_t>(Chance(50) ? Random(64) : random_());
  const auto where = static_cast<off_t>(Random(64) * 0x1000 + (Chance(50) ? 0 : Random(256) * 2));
  FSD_CHECK(::pwrite(memory_.get(), noise.data(), sizeof noise, where) == sizeof noise);

  Plan();
  const size_t last = Chance(50) ? messages_.size() : Random(messages_.size() + 1);
  for (size_t i = 0; i < last; ++i) {
    if (!Send(socket->get(), messages_[i], messages_[i].bytes.size())) return true;
    if (Chance(30)) (void)::recv(socket->get(), answer.data(), answer.size(), MSG_DONTWAIT);
  }
  if (last < messages_.size()) {
    Send(socket->get(), messages_[last], Random(messages_[last].bytes.size()));
  }
  if (Chance(20)) {
    const uint64_t one = 1;
    (void)!::write(event_.get(), &one, sizeof one);
  }
  return true;
}

}  // namespace fsd::harness
