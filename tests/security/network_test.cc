// The wall to the network and to the host's sockets.
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/vm_sockets.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "server/errors/check.h"
#include "server/os/unique_fd.h"
#include "tests/security/climb.h"
#include "tests/security/prison.h"

namespace fsd::security {
namespace {

// A socket's address, ready for the calls that take one.
struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

Address Unix(std::string_view path) {
  Address address;
  auto* its = reinterpret_cast<sockaddr_un*>(&address.storage);
  its->sun_family = AF_UNIX;
  std::memcpy(its->sun_path, path.data(), path.size());
  address.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
  return address;
}

Address Loopback() {
  Address address;
  auto* its = reinterpret_cast<sockaddr_in*>(&address.storage);
  its->sin_family = AF_INET;
  its->sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
  address.size = sizeof *its;
  return address;
}

// A service of the host's; `address` becomes where it listens.
os::UniqueFd Listen(Address& address) {
  os::UniqueFd listener(::socket(address.get()->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  FSD_CHECK(::bind(listener.get(), address.get(), address.size) == 0);
  FSD_CHECK(::listen(listener.get(), 128) == 0);
  FSD_CHECK(::getsockname(listener.get(), address.get(), &address.size) == 0);
  return listener;
}

std::string Connect(const Address& address) {
  const int socket = ::socket(address.get()->sa_family, SOCK_STREAM, 0);
  return Outcome(socket < 0 ? -1 : ::connect(socket, address.get(), address.size));
}

std::string BringUpLoopback() {
  const int socket = ::socket(AF_INET, SOCK_DGRAM, 0);
  ifreq request{};
  std::strncpy(request.ifr_name, "lo", IFNAMSIZ - 1);
  request.ifr_flags = IFF_UP;
  return Outcome(socket < 0 ? -1 : ::ioctl(socket, SIOCSIFFLAGS, &request));
}

std::string HearKernelEvents() {
  const int socket = ::socket(AF_NETLINK, SOCK_RAW, NETLINK_KOBJECT_UEVENT);
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = 1;
  return Outcome(
      socket < 0 ? -1 : ::bind(socket, reinterpret_cast<sockaddr*>(&address), sizeof address));
}

TEST(Network, NothingCanBeReached) {
  Prison prison;
  Address inet = Loopback();
  Address abstract = Unix(std::string(1, '\0') + absl::StrCat("fsd-prison-", ::getpid()));
  Address path = Unix(prison.outside_path() + "/socket");
  const os::UniqueFd listeners[] = {Listen(inet), Listen(abstract), Listen(path)};
  const os::UniqueFd unconnected(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  prison.LetIn(unconnected.get());
  ExpectTheyHold(prison, "the network",
                 {
                     {"a service on the loopback",
                      [&](const Inmate&) { return Connect(inet); },
                      {{kEveryMode, "SIGSYS"},
                       {kSystemCalls, "SIGSYS"},
                       {kNamespaces, "ENETUNREACH"},
                       {kLandlock, "EACCES"},
                       {kNoWalls, "done"}}},
                     {"an abstract unix socket",
                      [&](const Inmate&) { return Connect(abstract); },
                      {{kEveryMode, "SIGSYS"},
                       {kSystemCalls, "SIGSYS"},
                       {kNamespaces, "ECONNREFUSED"},
                       {kLandlock, "EPERM"},
                       {kNoWalls, "done"}}},
                     {"a unix socket with a path",
                      [&](const Inmate&) { return Connect(path); },
                      {{kEveryMode, "SIGSYS"},
                       {kSystemCalls, "SIGSYS"},
                       {kMounts, "ENOENT"},
                       {kNoWalls, "done"}}},
                     {"through a socket of the host's that came in",
                      [&](const Inmate&) {
                        return Outcome(::connect(unconnected.get(), inet.get(), inet.size));
                      },
                      {{kEveryMode, "SIGSYS"}, {kSystemCalls, "SIGSYS"}, {kNoWalls, "done"}}},
                 });
}

TEST(Network, NoSocketIsMade) {
  Prison prison;
  const std::vector<Behind> held_twice = {{kEveryMode, "SIGSYS"},
                                          {kSystemCalls, "SIGSYS"},
                                          {kCapabilities, "EPERM"},
                                          {kNoWalls, "done"}};
  const std::vector<Behind> held = {
      {kEveryMode, "SIGSYS"}, {kSystemCalls, "SIGSYS"}, {kNoWalls, "done"}};
  const auto socket = [](int family, int type, int protocol) {
    return [=](const Inmate&) { return Outcome(::socket(family, type, protocol)); };
  };
  ExpectTheyHold(
      prison, "sockets",
      {
          {"a raw one", socket(AF_INET, SOCK_RAW, IPPROTO_ICMP), held_twice},
          {"a raw one of IPv6", socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6), held_twice},
          {"a packet socket", socket(AF_PACKET, SOCK_RAW, ::htons(ETH_P_ALL)), held_twice},
          {"vsock", socket(AF_VSOCK, SOCK_STREAM, 0), held},
          {"netlink: routes", socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE), held},
          {"netlink: the kernel's events", [](const Inmate&) { return HearKernelEvents(); }, held},
          {"a pair of unix sockets",
           [](const Inmate&) {
             int pair[2];
             return Outcome(::socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
           },
           held},
          {"an interface brought up", [](const Inmate&) { return BringUpLoopback(); }, held_twice},
      });
}

}  // namespace
}  // namespace fsd::security
