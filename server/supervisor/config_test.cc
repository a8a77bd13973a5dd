#include "server/supervisor/config.h"

#include <fstream>

#include "gmock/gmock.h"

namespace fsd::supervisor {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;

std::string WriteFile(std::string_view text) {
  const std::string path = ::testing::TempDir() + "/fsd.yaml";
  std::ofstream(path) << text;
  return path;
}

absl::Status Read(const std::string& path, Config& config) {
  ConfigProblems problems;
  ReadConfigFile(path, config, problems);
  return problems.ToStatus();
}

std::string ErrorFor(std::string_view text) {
  Config config;
  return std::string(Read(WriteFile(text), config).message());
}

TEST(ConfigTest, ReadsEveryKey) {
  Config config;
  const absl::Status status = Read(WriteFile(R"(# an example
listen: unix:///run/x.sock
state_dir: /var/lib/x
runtime_dir: /run/x
allow_source: [/srv, /home]
allow_socket:
  - /run/vms
allow_socket_uid: [0, 1000-1999]
allow_socket_gid: [36]
weakest_sandbox: none
weakest_seccomp: log
allow_capabilities: [CAP_LINUX_IMMUTABLE]
cgroup: /sys/fs/cgroup/fsd
subordinate_ids: true
worker_binary: /usr/libexec/fsd-worker
workers: keep
log_level: debug
)"),
                                   config);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(config.listen.at(0).address, "unix:///run/x.sock");
  EXPECT_EQ(config.state_dir, "/var/lib/x");
  EXPECT_EQ(config.runtime_dir, "/run/x");
  EXPECT_THAT(config.allow_source, ElementsAre("/srv", "/home"));
  EXPECT_THAT(config.allow_socket, ElementsAre("/run/vms"));
  ASSERT_EQ(config.allow_socket_uid.size(), 2u);
  EXPECT_EQ(IdIntervalText(config.allow_socket_uid[0]), "0");
  EXPECT_EQ(IdIntervalText(config.allow_socket_uid[1]), "1000-1999");
  ASSERT_EQ(config.allow_socket_gid.size(), 1u);
  EXPECT_EQ(IdIntervalText(config.allow_socket_gid[0]), "36");
  EXPECT_EQ(config.weakest_sandbox, internal::ExportSpec::SANDBOX_NONE);
  EXPECT_EQ(config.weakest_seccomp, internal::ExportSpec::SECCOMP_LOG);
  EXPECT_THAT(config.allow_capabilities, ElementsAre("CAP_LINUX_IMMUTABLE"));
  EXPECT_EQ(config.cgroup, "/sys/fs/cgroup/fsd");
  EXPECT_TRUE(config.subordinate_ids);
  EXPECT_EQ(config.worker_binary, "/usr/libexec/fsd-worker");
  EXPECT_EQ(config.workers, Config::Workers::kKeep);
  EXPECT_EQ(config.log_level, telemetry::LogLevel::kDebug);
}

TEST(ConfigTest, KeysThatAreAbsentKeepTheirValue) {
  Config config;
  config.state_dir = "/elsewhere";
  ASSERT_TRUE(Read(WriteFile("workers: keep\n"), config).ok());
  EXPECT_EQ(config.state_dir, "/elsewhere");
  ASSERT_TRUE(Read(WriteFile("# nothing\n"), config).ok());
}

TEST(ConfigTest, AnUnknownKeyIsNamedWithItsLineAndTheKnownOnes) {
  const std::string error = ErrorFor("workers: keep\n\nworker: 3\n");
  EXPECT_THAT(error, HasSubstr("fsd.yaml:3: unknown key 'worker'"));
  EXPECT_THAT(error, HasSubstr("listen, state_dir, runtime_dir, allow_source"));
}

TEST(ConfigTest, AWrongTypeIsNamedWithItsLineAndWhatIsExpected) {
  EXPECT_THAT(ErrorFor("\nallow_source: /srv\n"),
              EndsWith("fsd.yaml:2: allow_source: must be a list of texts"));
  EXPECT_THAT(ErrorFor("allow_source: [[/srv]]\n"), HasSubstr("must be a list of texts"));
  EXPECT_THAT(ErrorFor("listen: {a: b}\n"), HasSubstr("must be an address, or a list"));
  EXPECT_THAT(ErrorFor("state_dir:\n"), HasSubstr("must be a text"));
  EXPECT_THAT(ErrorFor("workers: yes\n"), HasSubstr("must be stop or keep"));
  EXPECT_THAT(ErrorFor("allow_socket_uid: [root]\n"),
              HasSubstr("must be a list of ids, each from 0 to 4294967294, and of intervals"));
  EXPECT_THAT(ErrorFor("allow_socket_gid: [9-1]\n"), HasSubstr("must be a list of ids"));
  EXPECT_THAT(ErrorFor("weakest_sandbox: off\n"), HasSubstr("must be namespace, chroot or none"));
  EXPECT_THAT(ErrorFor("weakest_seccomp: none\n"), HasSubstr("must be kill, errno, log or off"));
  EXPECT_THAT(ErrorFor("allow_capabilities: CAP_BPF\n"), HasSubstr("must be a list of texts"));
  EXPECT_THAT(ErrorFor("subordinate_ids: 1\n"), HasSubstr("must be true or false"));
  EXPECT_THAT(ErrorFor("log_level: loud\n"), HasSubstr("must be debug, info, warning or error"));
}

TEST(ConfigTest, AKeyGivenTwiceIsRefused) {
  EXPECT_THAT(ErrorFor("workers: stop\nworkers: keep\n"),
              HasSubstr("fsd.yaml:2: workers: is given twice"));
}

TEST(ConfigTest, WhatIsNotYamlIsRefusedWithItsLine) {
  EXPECT_THAT(ErrorFor("listen: [a\n}: b\n"), HasSubstr("fsd.yaml:2: "));
  EXPECT_THAT(ErrorFor("- a\n- b\n"), HasSubstr("fsd.yaml:1: expected keys"));
}

TEST(ConfigTest, TimesAreWrittenWithTheirUnit) {
  Config config;
  ASSERT_TRUE(Read(WriteFile("slow_request: 250ms\n"), config).ok());
  EXPECT_EQ(config.slow_request, absl::Milliseconds(250));
  EXPECT_THAT(ErrorFor("slow_request: 5\n"),
              HasSubstr("fsd.yaml:1: slow_request: must be a time, as 500ms"));
}

TEST(ConfigTest, AllThatIsWrongIsToldAtOnce) {
  Config config;
  ConfigProblems problems;
  const std::string path =
      WriteFile("workers: maybe\nbogus: 1\nallow_source: srv\nstate_dir: lib\n");

  ReadConfigFile(path, config, problems);
  CheckConfig(config, problems);

  EXPECT_THAT(problems.lines(),
              ElementsAre(path + ":1: workers: must be stop or keep",
                          ::testing::StartsWith(path + ":2: unknown key 'bogus'"),
                          path + ":3: allow_source: must be a list of texts",
                          path + ":4: state_dir: 'lib' must be an absolute path without . and .."));
}

TEST(ConfigTest, AValueOfTheCommandLineIsReadAsTheFilesAndNamedByItsFlag) {
  Config config;
  ConfigProblems problems;

  SetConfigValue("workers", {"keep"}, "--workers", config, problems);
  SetConfigValue("allow_source", {"/a", "/b"}, "--allow-source", config, problems);
  SetConfigValue("log_level", {"loud"}, "--log-level", config, problems);
  SetConfigValue("state_dir", {"/a", "/b"}, "--state-dir", config, problems);

  EXPECT_EQ(config.workers, Config::Workers::kKeep);
  EXPECT_THAT(config.allow_source, ElementsAre("/a", "/b"));
  EXPECT_THAT(problems.lines(), ElementsAre("--log-level: must be debug, info, warning or error",
                                            "--state-dir: is given twice; leave one out"));
}

TEST(ConfigTest, FilesThatTheHostLacksAreNamed) {
  Config config;
  config.worker_binary = "/nonexistent/fsd-worker";
  config.listen = {{.address = "tcp://127.0.0.1:7443",
                    .certificate = "/nonexistent/server.crt",
                    .key = WriteFile("no key\n"),
                    .client_ca = "/nonexistent/ca.crt",
                    .clients = {{.role = Role::kReader, .common_name = "x"}}}};
  ConfigProblems problems;

  CheckConfigFiles(config, problems);

  EXPECT_THAT(problems.lines(),
              ElementsAre(HasSubstr("fsd-worker cannot be executed: No such file"),
                          HasSubstr("server.crt cannot be read: No such file"),
                          HasSubstr("fsd.yaml has no PEM block 'PRIVATE KEY-----'"),
                          HasSubstr("ca.crt cannot be read")));
}

TEST(ConfigTest, AMissingFileIsAnError) {
  Config config;
  const absl::Status status = Read("/nonexistent/fsd.yaml", config);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("/nonexistent/fsd.yaml"));
}

TEST(ConfigTest, ValuesThatCannotWorkAreRefused) {
  Config good;
  good.allow_source = {"/srv/"};
  ASSERT_TRUE(ValidateConfig(good).ok()) << ValidateConfig(good);

  const auto refused = [&good](auto change) {
    Config config = good;
    change(config);
    return ValidateConfig(config).code() == absl::StatusCode::kInvalidArgument;
  };
  EXPECT_TRUE(refused([](Config& c) { c.allow_source.clear(); }));
  EXPECT_TRUE(refused([](Config& c) { c.allow_source = {"srv"}; }));
  EXPECT_TRUE(refused([](Config& c) { c.allow_source = {"/srv/../etc"}; }));
  EXPECT_TRUE(refused([](Config& c) { c.allow_socket = {"run"}; }));
  EXPECT_TRUE(refused([](Config& c) { c.allow_socket_uid.clear(); }));
  EXPECT_TRUE(refused([](Config& c) { c.allow_socket_gid.clear(); }));
  EXPECT_TRUE(refused([](Config& c) { c.allow_capabilities = {"CAP_ALL"}; }));
  EXPECT_TRUE(refused([](Config& c) { c.cgroup = "fsd.slice"; }));
  EXPECT_FALSE(refused([](Config& c) { c.cgroup = "auto"; }));
  EXPECT_TRUE(refused([](Config& c) { c.slow_request = absl::Seconds(-1); }));
  EXPECT_TRUE(refused([](Config& c) { c.slow_request = absl::InfiniteDuration(); }));
  EXPECT_FALSE(refused([](Config& c) { c.slow_request = absl::ZeroDuration(); }));
  for (const char* listen : {"127.0.0.1", "localhost:9750", "127.0.0.1:65536", ":9750", "::1:9750",
                             "[127.0.0.1]:9750", "127.0.0.1:9750s", "127.0.0.1:"}) {
    EXPECT_TRUE(refused([listen](Config& c) { c.metrics_listen = listen; })) << listen;
  }
  for (const char* listen : {"", "127.0.0.1:9750", "0.0.0.0:0", "[::1]:9750"}) {
    EXPECT_FALSE(refused([listen](Config& c) { c.metrics_listen = listen; })) << listen;
  }
  EXPECT_TRUE(refused([](Config& c) { c.state_dir = "lib"; }));
  EXPECT_TRUE(refused([](Config& c) { c.runtime_dir = ""; }));
  EXPECT_TRUE(refused([](Config& c) { c.runtime_dir = "/" + std::string(100, 'r'); }));
  EXPECT_TRUE(refused([](Config& c) { c.worker_binary = "fsd-worker"; }));
  EXPECT_TRUE(refused([](Config& c) { c.listen = {{.address = "0.0.0.0:80"}}; }));
  EXPECT_TRUE(refused([](Config& c) { c.listen = {{.address = "unix://fsd.sock"}}; }));
  EXPECT_TRUE(
      refused([](Config& c) { c.listen = {{.address = "unix:///" + std::string(107, 's')}}; }));
}

}  // namespace
}  // namespace fsd::supervisor
