#include "server/access/unix_peers.h"

#include <unistd.h>

#include <set>
#include <string>

#include "gmock/gmock.h"

namespace fsd::access {
namespace {

std::string PeerOf(const os::UniqueFd& fd) { return "fd:" + std::to_string(fd.get()); }

os::UniqueFd Connection() { return os::UnixSocketPair(os::SocketType::kStream).value().first; }

TEST(UnixPeers, KnowsWhoseAConnectionIsByItsNumber) {
  UnixPeers peers;
  const auto connection = peers.Register(Connection());
  ASSERT_TRUE(connection.ok());

  const auto peer = peers.Find(PeerOf(*connection));

  ASSERT_TRUE(peer.has_value());
  EXPECT_EQ(peer->pid, getpid());
  EXPECT_EQ(peer->uid, getuid());
  EXPECT_EQ(peer->gid, getgid());
}

TEST(UnixPeers, KnowsNobodyElse) {
  const UnixPeers peers;
  for (const char* peer : {"", "fd:", "fd:1024", "fd:x", "unix:", "ipv4:127.0.0.1:1024"}) {
    EXPECT_FALSE(peers.Find(peer).has_value()) << peer;
  }
}

TEST(UnixPeers, ANumberDoesNotComeBackSoon) {
  UnixPeers peers;
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) {
    const auto connection = peers.Register(Connection());
    ASSERT_TRUE(connection.ok());
    EXPECT_TRUE(seen.insert(PeerOf(*connection)).second) << PeerOf(*connection);
  }
}

TEST(UnixPeers, NumbersGoRound) {
  UnixPeers peers;
  for (int i = 0; i < 10'000; ++i) {
    ASSERT_TRUE(peers.Register(Connection()).ok()) << i;
  }
}

TEST(UnixPeers, WhatIsNoUnixSocketIsRefused) {
  UnixPeers peers;
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const os::UniqueFd other(ends[1]);

  EXPECT_FALSE(peers.Register(os::UniqueFd(ends[0])).ok());
}

}  // namespace
}  // namespace fsd::access
