#include "server/exe/supervisor_flags.h"

#include <cstdlib>
#include <fstream>
#include <string>
#include <variant>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/fsd/internal/export_spec.pb.h"

namespace fsd::exe {
namespace {

using supervisor::Config;
using testing::ElementsAre;
using testing::HasSubstr;

std::variant<SupervisorFlags, EarlyExit> Parse(std::vector<const char*> args) {
  args.insert(args.begin(), "fsd");
  return ParseSupervisorFlags(static_cast<int>(args.size()), args.data(), "1.2.3");
}

Config Accepted(const std::vector<const char*>& args) {
  auto result = Parse(args);
  if (const auto* exit = std::get_if<EarlyExit>(&result)) {
    ADD_FAILURE() << exit->text;
    return {};
  }
  return std::get<SupervisorFlags>(result).config;
}

EarlyExit Ended(const std::vector<const char*>& args) {
  auto result = Parse(args);
  const auto* exit = std::get_if<EarlyExit>(&result);
  EXPECT_NE(exit, nullptr);
  return exit != nullptr ? *exit : EarlyExit{};
}

std::string WriteFile(const std::string& text) {
  const std::string path = testing::TempDir() + "/fsd.yaml";
  std::ofstream(path) << text;
  return path;
}

TEST(SupervisorFlags, DefaultsNeedOnlyASourceAndAWorker) {
  const Config config = Accepted({"--allow-source", "/srv", "--worker-binary", "/bin/true"});

  EXPECT_EQ(config.listen.at(0).address, "unix:///run/fsd/fsd.sock");
  EXPECT_THAT(config.allow_source, ElementsAre("/srv"));
  EXPECT_EQ(config.workers, Config::Workers::kStop);
  EXPECT_EQ(config.log_level, telemetry::LogLevel::kInfo);
}

TEST(SupervisorFlags, AWorkerThatIsNotThereIsNamed) {
  EXPECT_EQ(Ended({"--allow-source", "/srv", "--worker-binary", "/nonexistent/fsd-worker"}).text,
            "fsd: --worker-binary: /nonexistent/fsd-worker cannot be executed: No such file or "
            "directory\n");
}

TEST(SupervisorFlags, EveryFlagIsTaken) {
  const Config config = Accepted({"--listen",
                                  "unix:///tmp/a.sock",
                                  "--state-dir",
                                  "/tmp/state",
                                  "--runtime-dir",
                                  "/tmp/run",
                                  "--allow-source",
                                  "/srv",
                                  "--allow-source=/home",
                                  "--allow-socket",
                                  "/run/vm",
                                  "--worker-binary",
                                  "/bin/true",
                                  "--workers",
                                  "keep",
                                  "--log-level",
                                  "debug",
                                  "--slow-request",
                                  "250ms",
                                  "--metrics-listen",
                                  "127.0.0.1:9750",
                                  "--allow-socket-uid",
                                  "0",
                                  "--allow-socket-uid=100-199",
                                  "--allow-socket-gid",
                                  "36",
                                  "--weakest-sandbox",
                                  "chroot",
                                  "--weakest-seccomp",
                                  "off",
                                  "--allow-capabilities",
                                  "CAP_BPF",
                                  "--cgroup",
                                  "auto",
                                  "--subordinate-ids",
                                  "true"});

  EXPECT_EQ(config.listen.at(0).address, "unix:///tmp/a.sock");
  EXPECT_EQ(config.state_dir, "/tmp/state");
  EXPECT_EQ(config.runtime_dir, "/tmp/run");
  EXPECT_THAT(config.allow_source, ElementsAre("/srv", "/home"));
  EXPECT_THAT(config.allow_socket, ElementsAre("/run/vm"));
  EXPECT_EQ(config.worker_binary, "/bin/true");
  EXPECT_EQ(config.workers, Config::Workers::kKeep);
  EXPECT_EQ(config.log_level, telemetry::LogLevel::kDebug);
  EXPECT_EQ(config.slow_request, absl::Milliseconds(250));
  EXPECT_EQ(config.metrics_listen, "127.0.0.1:9750");
  ASSERT_EQ(config.allow_socket_uid.size(), 2u);
  EXPECT_EQ(config.allow_socket_uid[1].last, 199u);
  ASSERT_EQ(config.allow_socket_gid.size(), 1u);
  EXPECT_EQ(config.allow_socket_gid[0].first, 36u);
  EXPECT_EQ(config.weakest_sandbox, internal::ExportSpec::SANDBOX_CHROOT);
  EXPECT_EQ(config.weakest_seccomp, internal::ExportSpec::SECCOMP_OFF);
  EXPECT_THAT(config.allow_capabilities, ElementsAre("CAP_BPF"));
  EXPECT_EQ(config.cgroup, "auto");
  EXPECT_TRUE(config.subordinate_ids);
}

TEST(SupervisorFlags, FlagsOverrideTheFile) {
  const std::string file = WriteFile(
      "listen: unix:///tmp/file.sock\nstate_dir: /tmp/file\nallow_source: [/a, /b]\n"
      "workers: keep\n");

  const Config config = Accepted({"--config", file.c_str(), "--state-dir", "/tmp/flag",
                                  "--allow-source", "/c", "--worker-binary", "/bin/true"});

  EXPECT_EQ(config.listen.at(0).address, "unix:///tmp/file.sock");
  EXPECT_EQ(config.state_dir, "/tmp/flag");
  EXPECT_THAT(config.allow_source, ElementsAre("/c"));
  EXPECT_EQ(config.workers, Config::Workers::kKeep);
}

TEST(SupervisorFlags, WhatCannotWorkEndsWithUsageError) {
  const std::string bad_key = WriteFile("listen_on: x\n");

  EXPECT_EQ(Ended({}).code, kUsageError);
  EXPECT_THAT(Ended({}).text, HasSubstr("allow_source"));
  EXPECT_EQ(Ended({"--allow-source", "srv"}).code, kUsageError);
  EXPECT_EQ(Ended({"--allow-source", "/srv", "--workers", "maybe"}).code, kUsageError);
  EXPECT_EQ(Ended({"--allow-source", "/srv", "stray"}).code, kUsageError);
  EXPECT_THAT(Ended({"--allow-source", "/srv", "--allow-socket-uid", "root"}).text,
              HasSubstr("--allow-socket-uid: must be a list of ids"));
  EXPECT_EQ(Ended({"--allow-source", "/srv", "--weakest-sandbox", "off"}).code, kUsageError);
  EXPECT_EQ(Ended({"--allow-source", "/srv", "--weakest-seccomp", "none"}).code, kUsageError);
  EXPECT_THAT(Ended({"--allow-source", "/srv", "--allow-capabilities", "CAP_X"}).text,
              HasSubstr("--allow-capabilities: 'CAP_X' is no capability"));
  EXPECT_EQ(Ended({"--no-such-flag"}).code, kUsageError);
  EXPECT_THAT(Ended({"--config", bad_key.c_str()}).text, HasSubstr("listen_on"));
  EXPECT_THAT(Ended({"--config", "/nonexistent.yaml"}).text, HasSubstr("/nonexistent.yaml"));
}

TEST(SupervisorFlags, AllThatIsWrongIsToldAtOnceWithItsPlace) {
  const std::string file = WriteFile("workers: maybe\nallow_source: [srv]\n");

  const EarlyExit exit = Ended({"--config", file.c_str(), "--log-level", "loud", "--worker-binary",
                                "/bin/true", "--check-config"});

  EXPECT_EQ(exit.code, kUsageError);
  EXPECT_EQ(exit.text, "fsd: " + file + ":1: workers: must be stop or keep\n" +
                           "fsd: --log-level: must be debug, info, warning or error\n" +
                           "fsd: " + file +
                           ":2: allow_source: 'srv' must be an absolute path "
                           "without . and ..\n");
}

TEST(SupervisorFlags, TheTaskIsToldToTheCaller) {
  const auto task = [](const char* flag) {
    auto result = Parse({"--allow-source", "/srv", "--worker-binary", "/bin/true", flag});
    return std::get<SupervisorFlags>(result).task;
  };

  EXPECT_EQ(task("--check-config"), SupervisorTask::kCheckConfig);
  EXPECT_EQ(task("--check-host"), SupervisorTask::kCheckHost);
  EXPECT_EQ(task("--workers=keep"), SupervisorTask::kServe);
}

TEST(SupervisorFlags, HelpAndVersionEndWell) {
  EXPECT_EQ(Ended({"--version"}).code, 0);
  EXPECT_THAT(Ended({"--version"}).text, HasSubstr("fsd 1.2.3"));
  EXPECT_EQ(Ended({"--help"}).code, 0);
  EXPECT_THAT(Ended({"--help"}).text, HasSubstr("--allow-source"));
}

}  // namespace
}  // namespace fsd::exe
