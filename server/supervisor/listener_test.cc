#include "server/supervisor/listener.h"

#include <fstream>

#include "gmock/gmock.h"
#include "server/supervisor/config.h"

namespace fsd::supervisor {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const Listener kTcp{.address = "tcp://[::]:7443",
                    .certificate = "/etc/fsd/server.crt",
                    .key = "/etc/fsd/server.key",
                    .client_ca = "/etc/fsd/clients.crt",
                    .clients = {{.role = Role::kAdministrator, .common_name = "vmm"}}};

std::vector<std::string> ProblemsOf(const std::vector<Listener>& listeners) {
  ConfigProblems problems;
  CheckListeners(listeners, problems);
  return problems.lines();
}

std::vector<std::string> ProblemsOfYaml(const std::string& text, Config& config) {
  const std::string path = ::testing::TempDir() + "/listener.yaml";
  std::ofstream(path) << text;
  ConfigProblems problems;
  ReadConfigFile(path, config, problems);
  return problems.lines();
}

TEST(ListenerTest, ReadsEntriesOfEveryKind) {
  Config config;

  EXPECT_THAT(ProblemsOfYaml(R"(listen:
  - address: unix:///run/fsd/fsd.sock
    role: admin
    owner: 7
    group: root
    mode: "0660"
  - {address: "unix:///run/fsd/reader.sock", role: reader, mode: 0666}
  - address: tcp://0.0.0.0:7443
    certificate: /c
    key: /k
    client_ca: /a
    clients:
      - {role: admin, common_name: vmm}
      - {role: reader, alternative_name: monitor.example.org}
)",
                             config),
              IsEmpty());

  ASSERT_EQ(config.listen.size(), 3u);
  EXPECT_EQ(config.listen[0].path(), "/run/fsd/fsd.sock");
  EXPECT_EQ(config.listen[0].role, Role::kAdministrator);
  EXPECT_EQ(config.listen[0].uid, 7u);
  EXPECT_EQ(config.listen[0].gid, 0u);
  EXPECT_EQ(config.listen[0].mode, 0660u);
  EXPECT_EQ(config.listen[1].role, Role::kReader);
  EXPECT_EQ(config.listen[1].mode, 0666u);
  EXPECT_EQ(config.listen[1].uid, static_cast<uid_t>(-1));
  EXPECT_TRUE(config.listen[2].is_tcp());
  EXPECT_EQ(config.listen[2].host_and_port(), "0.0.0.0:7443");
  EXPECT_EQ(config.listen[2].client_ca, "/a");
  ASSERT_EQ(config.listen[2].clients.size(), 2u);
  EXPECT_EQ(config.listen[2].clients[0].role, Role::kAdministrator);
  EXPECT_EQ(config.listen[2].clients[1].alternative_name, "monitor.example.org");
}

TEST(ListenerTest, WhatAnEntryMustNotHoldIsNamedWithItsLine) {
  Config config;

  EXPECT_THAT(
      ProblemsOfYaml(R"(listen:
  - address: unix:///run/a.sock
    role: root
    mode: rw
    owner: no-such-account
    colour: red
  - address: unix:///run/b.sock
  - address: tcp://127.0.0.1:1
    role: admin
    clients: [{common_name: x}]
  - text
)",
                     config),
      ElementsAre(EndsWith(":3: listen: key 'role' must be admin or reader"),
                  EndsWith(":4: listen: key 'mode' must be permission bits in octal, as 0660"),
                  EndsWith(":5: listen: key 'owner' must be a user of this host, or an id"),
                  HasSubstr(":6: listen: unknown key 'colour'; known keys: address, "),
                  HasSubstr(":7: listen: key 'role' is missing"),
                  HasSubstr(":10: listen: key 'role' is missing"),
                  HasSubstr(":8: listen: key 'role' is for unix sockets"),
                  HasSubstr(":11: listen: expected address, ")));
}

TEST(ListenerTest, AddressesThatCanWorkAreAccepted) {
  EXPECT_THAT(ProblemsOf({{.address = "unix:///run/a.sock"},
                          {.address = "unix:///run/b.sock", .role = Role::kReader, .mode = 0666},
                          kTcp}),
              IsEmpty());
}

TEST(ListenerTest, AddressesThatCannotWorkAreRefused) {
  for (const char* address :
       {"", "0.0.0.0:80", "unix://a.sock", "unix:/run/a.sock", "tcp://127.0.0.1", "tcp://:80",
        "tcp://::1:80", "tcp://h:0", "tcp://h:65536", "tcp://h:http"}) {
    Listener listener = kTcp;
    listener.address = address;
    if (!listener.is_tcp()) listener = {.address = address};
    EXPECT_EQ(ProblemsOf({listener}).size(), 1u) << address;
  }
  EXPECT_THAT(ProblemsOf({}), ElementsAre(HasSubstr("name at least one address")));
  EXPECT_THAT(ProblemsOf({kTcp, kTcp}), ElementsAre(HasSubstr("is there twice")));
}

TEST(ListenerTest, TcpWithoutAPartOfMutualTlsIsRefusedAndThePartNamed) {
  EXPECT_THAT(ProblemsOf({{.address = "tcp://127.0.0.1:7443"}}),
              ElementsAre(HasSubstr("lacks certificate"), HasSubstr("lacks key"),
                          HasSubstr("lacks client_ca"), HasSubstr("lacks clients")));
  Listener nameless = kTcp;
  nameless.clients.push_back({.role = Role::kReader});
  EXPECT_THAT(ProblemsOf({nameless}), ElementsAre(HasSubstr("has a client without a name")));
  Listener relative = kTcp;
  relative.key = "server.key";
  EXPECT_THAT(ProblemsOf({relative}), ElementsAre(HasSubstr("key that is no absolute path")));
}

TEST(ListenerTest, AnAdministratorsSocketIsNotForEverybody) {
  EXPECT_THAT(ProblemsOf({{.address = "unix:///run/a.sock", .mode = 0666}}),
              Contains(HasSubstr("lets everybody administer the server")));
}

TEST(ListenerTest, TlsIsNotForUnixSockets) {
  EXPECT_THAT(ProblemsOf({{.address = "unix:///run/a.sock", .certificate = "/c"}}),
              ElementsAre(HasSubstr("is a unix socket")));
}

}  // namespace
}  // namespace fsd::supervisor
