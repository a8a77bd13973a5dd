#include "server/supervisor/config.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <optional>
#include <set>
#include <string_view>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/errors/check.h"
#include "server/errors/status_macros.h"
#include "server/os/capability_name.h"
#include "server/os/unix_socket.h"
#include "server/supervisor/listener_yaml.h"
#include "server/supervisor/paths.h"
#include "server/supervisor/sandbox_words.h"
#include "yaml-cpp/yaml.h"

namespace fsd::supervisor {
namespace {

bool ReadString(const YAML::Node& node, std::string& out) {
  if (!node.IsScalar()) return false;
  out = node.Scalar();
  return true;
}

bool ReadStrings(const YAML::Node& node, std::vector<std::string>& out) {
  if (!node.IsSequence()) return false;
  std::vector<std::string> strings;
  for (const YAML::Node& item : node) {
    if (!item.IsScalar()) return false;
    strings.push_back(item.Scalar());
  }
  out = std::move(strings);
  return true;
}

bool ReadWorkers(const YAML::Node& node, Config& config) {
  std::string text;
  if (!ReadString(node, text) || (text != "stop" && text != "keep")) return false;
  config.workers = text == "stop" ? Config::Workers::kStop : Config::Workers::kKeep;
  return true;
}

bool ReadIntervals(const YAML::Node& node, std::vector<IdInterval>& out) {
  std::vector<std::string> texts;
  if (!ReadStrings(node, texts)) return false;
  std::vector<IdInterval> intervals;
  for (const std::string& text : texts) {
    const std::optional<IdInterval> interval = ParseIdInterval(text);
    if (!interval.has_value()) return false;
    intervals.push_back(*interval);
  }
  out = std::move(intervals);
  return true;
}

bool ReadWeakestSandbox(const YAML::Node& node, Config& config) {
  std::string text;
  if (!ReadString(node, text)) return false;
  const auto mode = ParseSandboxMode(text);
  if (mode.has_value()) config.weakest_sandbox = *mode;
  return mode.has_value();
}

bool ReadWeakestSeccomp(const YAML::Node& node, Config& config) {
  std::string text;
  if (!ReadString(node, text)) return false;
  const auto seccomp = ParseSeccomp(text);
  if (seccomp.has_value()) config.weakest_seccomp = *seccomp;
  return seccomp.has_value();
}

bool ReadSubordinateIds(const YAML::Node& node, Config& config) {
  std::string text;
  if (!ReadString(node, text) || (text != "true" && text != "false")) return false;
  config.subordinate_ids = text == "true";
  return true;
}

bool ReadLogLevel(const YAML::Node& node, Config& config) {
  std::string text;
  if (!ReadString(node, text)) return false;
  const std::optional<telemetry::LogLevel> level = telemetry::ParseLogLevel(text);
  if (!level.has_value()) return false;
  config.log_level = *level;
  return true;
}

bool ReadSlowRequest(const YAML::Node& node, Config& config) {
  std::string text;
  return ReadString(node, text) && absl::ParseDuration(text, &config.slow_request);
}

struct Key {
  std::string_view name;
  std::string_view expected;
  // False if the node is not what is expected.
  bool (*read)(const YAML::Node& node, Config& config);
  bool is_list = false;
};

constexpr std::string_view kText = "a text";
constexpr std::string_view kTexts = "a list of texts";
constexpr std::string_view kIntervals =
    "a list of ids, each from 0 to 4294967294, and of intervals, as 1000-1999";

constexpr std::string_view kListen = "listen";

constexpr std::array<Key, 17> kKeys = {{
    {kListen, kText, nullptr},  // ReadListeners
    {"state_dir", kText, [](const YAML::Node& n, Config& c) { return ReadString(n, c.state_dir); }},
    {"runtime_dir", kText,
     [](const YAML::Node& n, Config& c) { return ReadString(n, c.runtime_dir); }},
    {"allow_source", kTexts,
     [](const YAML::Node& n, Config& c) { return ReadStrings(n, c.allow_source); }, true},
    {"allow_socket", kTexts,
     [](const YAML::Node& n, Config& c) { return ReadStrings(n, c.allow_socket); }, true},
    {"allow_socket_uid", kIntervals,
     [](const YAML::Node& n, Config& c) { return ReadIntervals(n, c.allow_socket_uid); }, true},
    {"allow_socket_gid", kIntervals,
     [](const YAML::Node& n, Config& c) { return ReadIntervals(n, c.allow_socket_gid); }, true},
    {"weakest_sandbox", "namespace, chroot or none", ReadWeakestSandbox},
    {"weakest_seccomp", "kill, errno, log or off", ReadWeakestSeccomp},
    {"allow_capabilities", kTexts,
     [](const YAML::Node& n, Config& c) { return ReadStrings(n, c.allow_capabilities); }, true},
    {"cgroup", kText, [](const YAML::Node& n, Config& c) { return ReadString(n, c.cgroup); }},
    {"subordinate_ids", "true or false", ReadSubordinateIds},
    {"worker_binary", kText,
     [](const YAML::Node& n, Config& c) { return ReadString(n, c.worker_binary); }},
    {"workers", "stop or keep", ReadWorkers},
    {"slow_request", "a time, as 500ms or 2s, or 0", ReadSlowRequest},
    {"metrics_listen", kText,
     [](const YAML::Node& n, Config& c) { return ReadString(n, c.metrics_listen); }},
    {"log_level", "debug, info, warning or error", ReadLogLevel},
}};

const Key* FindKey(std::string_view name) {
  for (const Key& key : kKeys) {
    if (key.name == name) return &key;
  }
  return nullptr;
}

std::string KeyNames() {
  return absl::StrJoin(kKeys, ", ", [](std::string* out, const Key& key) { *out += key.name; });
}

void ReadValue(const Key& key, const YAML::Node& node, std::string_view file, Config& config,
               ConfigProblems& problems) {
  if (key.read == nullptr) return ReadListeners(node, file, config.listen, problems);
  if (!key.read(node, config)) {
    problems.Add(key.name, absl::StrCat("must be ", Absl(key.expected)));
  }
}

void ReadKeys(const std::string& path, const YAML::Node& root, Config& config,
              ConfigProblems& problems) {
  const auto place = [&path](const YAML::Mark& mark) {
    return absl::StrCat(path, ":", mark.line + 1);
  };
  if (root.IsNull()) return;  // nothing but comments
  if (!root.IsMap()) {
    return problems.AddAt(place(root.Mark()),
                          absl::StrCat("expected keys and values; known keys: ", KeyNames()));
  }
  std::set<std::string> seen;
  for (const auto& item : root) {
    const std::string where = place(item.first.Mark());
    if (!item.first.IsScalar()) {
      problems.AddAt(where, "a key must be a text");
      continue;
    }
    const std::string& name = item.first.Scalar();
    const Key* const key = FindKey(name);
    if (key == nullptr) {
      problems.AddAt(where, absl::StrCat("unknown key '", name, "'; known keys: ", KeyNames()));
      continue;
    }
    problems.SetPlace(name, where);
    if (!seen.insert(name).second) {
      problems.Add(name, "is given twice; leave one out");
      continue;
    }
    ReadValue(*key, item.second, path, config, problems);
  }
}

void CheckDirectory(std::string_view key, const std::string& path, ConfigProblems& problems) {
  if (NormalPath(path).has_value()) return;
  problems.Add(key, absl::StrCat("'", path, "' must be an absolute path without . and .."));
}

void CheckOwners(std::string_view key, const std::vector<IdInterval>& allowed,
                 ConfigProblems& problems) {
  if (!allowed.empty()) return;
  problems.Add(key, "allow at least one id, as 0, or no export could have a socket");
}

void CheckCapabilities(const std::vector<std::string>& names, ConfigProblems& problems) {
  for (const std::string& name : names) {
    if (os::CapabilityNumber(name).has_value()) continue;
    problems.Add(
        "allow_capabilities",
        absl::StrCat("'", name,
                     "' is no capability; write it as capabilities(7) does, as CAP_CHOWN"));
  }
}

void CheckRuntimeDirectory(const std::string& path, ConfigProblems& problems) {
  CheckDirectory("runtime_dir", path, problems);
  // The shortest that an export can need.
  if (JoinPath(path, "exports/x.sock").size() <= os::kMaxSocketPathBytes) return;
  problems.Add("runtime_dir", absl::StrCat(path,
                                           " is too long: a socket's path in it would be "
                                           "longer than ",
                                           os::kMaxSocketPathBytes, " bytes"));
}

void CheckSources(const std::vector<std::string>& allowed, ConfigProblems& problems) {
  if (allowed.empty()) {
    problems.Add("allow_source", "name at least one directory below which exports may lie");
  }
  for (const std::string& path : allowed) CheckDirectory("allow_source", path, problems);
}

// An address, in brackets if it is of IPv6, and a port; 0 is any that is free.
void CheckMetricsListen(const std::string& listen, ConfigProblems& problems) {
  if (listen.empty()) return;
  const size_t colon = listen.rfind(':');
  uint32_t port = 0;
  bool valid = colon != std::string::npos && colon > 0 &&
               absl::SimpleAtoi(listen.substr(colon + 1), &port) && port <= UINT16_MAX;
  if (valid) {
    std::string address = listen.substr(0, colon);
    const bool bracketed = address.front() == '[' && address.back() == ']';
    if (bracketed) address = address.substr(1, address.size() - 2);
    in6_addr parsed;
    valid = ::inet_pton(bracketed ? AF_INET6 : AF_INET, address.c_str(), &parsed) == 1;
  }
  if (valid) return;
  problems.Add("metrics_listen",
               absl::StrCat("'", listen,
                            "' must be an address and a port, as 127.0.0.1:9750 or [::1]:9750"));
}

void CheckSlowRequest(absl::Duration slow, ConfigProblems& problems) {
  if (slow >= absl::ZeroDuration() && slow <= absl::Hours(24)) return;
  problems.Add("slow_request", "must be a time from 0 to 24h");
}

}  // namespace

void ReadConfigFile(const std::string& path, Config& config, ConfigProblems& problems) {
  try {
    ReadKeys(path, YAML::LoadFile(path), config, problems);
  } catch (const YAML::BadFile&) {
    problems.AddAt(path, "cannot be read");
  } catch (const YAML::Exception& error) {
    const std::string line = error.mark.is_null() ? "" : absl::StrCat(":", error.mark.line + 1);
    problems.AddAt(absl::StrCat(path, line), error.msg);
  }
}

std::vector<ConfigKey> ConfigKeys() {
  std::vector<ConfigKey> keys;
  for (const Key& key : kKeys) keys.push_back({.name = key.name, .is_list = key.is_list});
  return keys;
}

void SetConfigValue(std::string_view key, const std::vector<std::string>& values, std::string place,
                    Config& config, ConfigProblems& problems) {
  const Key* const found = FindKey(key);
  FSD_CHECK(found != nullptr);
  problems.SetPlace(key, place);
  YAML::Node node;
  if (found->is_list) {
    for (const std::string& value : values) node.push_back(value);
  } else if (values.size() == 1) {
    node = values.front();
  } else {
    return problems.Add(key, "is given twice; leave one out");
  }
  ReadValue(*found, node, place, config, problems);
}

void CheckConfig(const Config& config, ConfigProblems& problems) {
  const ConfigProblems before = problems;
  const auto unless_known = [&before](std::string_view key, const auto& check) {
    if (!before.Has(key)) check();
  };
  unless_known(kListen, [&] { CheckListeners(config.listen, problems); });
  unless_known("state_dir", [&] { CheckDirectory("state_dir", config.state_dir, problems); });
  unless_known("runtime_dir", [&] { CheckRuntimeDirectory(config.runtime_dir, problems); });
  unless_known("allow_source", [&] { CheckSources(config.allow_source, problems); });
  for (const std::string& path : config.allow_socket) {
    CheckDirectory("allow_socket", path, problems);
  }
  unless_known("allow_socket_uid",
               [&] { CheckOwners("allow_socket_uid", config.allow_socket_uid, problems); });
  unless_known("allow_socket_gid",
               [&] { CheckOwners("allow_socket_gid", config.allow_socket_gid, problems); });
  CheckCapabilities(config.allow_capabilities, problems);
  if (!config.cgroup.empty() && config.cgroup != kAutoCgroup) {
    CheckDirectory("cgroup", config.cgroup, problems);
  }
  unless_known("slow_request", [&] { CheckSlowRequest(config.slow_request, problems); });
  unless_known("metrics_listen", [&] { CheckMetricsListen(config.metrics_listen, problems); });
  if (!config.worker_binary.empty()) {
    CheckDirectory("worker_binary", config.worker_binary, problems);
  }
}

void CheckConfigFiles(const Config& config, ConfigProblems& problems) {
  if (!config.worker_binary.empty() && !problems.Has("worker_binary") &&
      ::access(config.worker_binary.c_str(), X_OK) != 0) {
    problems.Add("worker_binary",
                 absl::StrCat(config.worker_binary, " cannot be executed: ", std::strerror(errno)));
  }
  if (!problems.Has(kListen)) CheckListenerFiles(config.listen, problems);
}

absl::Status ValidateConfig(const Config& config) {
  ConfigProblems problems;
  CheckConfig(config, problems);
  return problems.ToStatus();
}

}  // namespace fsd::supervisor
