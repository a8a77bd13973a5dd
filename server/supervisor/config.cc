#include "server/supervisor/config.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <array>
#include <cstdint>
#include <optional>
#include <set>
#include <string_view>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/errors/status_macros.h"
#include "server/os/capability_name.h"
#include "server/os/unix_socket.h"
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
};

constexpr std::string_view kText = "a text";
constexpr std::string_view kTexts = "a list of texts";
constexpr std::string_view kIntervals =
    "a list of ids, each from 0 to 4294967294, and of intervals, as 1000-1999";

constexpr std::array<Key, 17> kKeys = {{
    {"listen", kText, [](const YAML::Node& n, Config& c) { return ReadString(n, c.listen); }},
    {"state_dir", kText, [](const YAML::Node& n, Config& c) { return ReadString(n, c.state_dir); }},
    {"runtime_dir", kText,
     [](const YAML::Node& n, Config& c) { return ReadString(n, c.runtime_dir); }},
    {"allow_source", kTexts,
     [](const YAML::Node& n, Config& c) { return ReadStrings(n, c.allow_source); }},
    {"allow_socket", kTexts,
     [](const YAML::Node& n, Config& c) { return ReadStrings(n, c.allow_socket); }},
    {"allow_socket_uid", kIntervals,
     [](const YAML::Node& n, Config& c) { return ReadIntervals(n, c.allow_socket_uid); }},
    {"allow_socket_gid", kIntervals,
     [](const YAML::Node& n, Config& c) { return ReadIntervals(n, c.allow_socket_gid); }},
    {"weakest_sandbox", "namespace, chroot or none", ReadWeakestSandbox},
    {"weakest_seccomp", "kill, errno, log or off", ReadWeakestSeccomp},
    {"allow_capabilities", kTexts,
     [](const YAML::Node& n, Config& c) { return ReadStrings(n, c.allow_capabilities); }},
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

absl::Status FileError(const std::string& path, const YAML::Mark& mark, std::string_view what) {
  const std::string line = mark.is_null() ? "" : absl::StrCat(":", mark.line + 1);
  return absl::InvalidArgumentError(absl::StrCat(path, line, ": ", Absl(what)));
}

absl::Status ReadKeys(const std::string& path, const YAML::Node& root, Config& config) {
  if (root.IsNull()) return absl::OkStatus();  // nothing but comments
  if (!root.IsMap()) {
    return FileError(path, root.Mark(),
                     absl::StrCat("expected keys and values; known keys: ", KeyNames()));
  }
  std::set<std::string> seen;
  for (const auto& item : root) {
    const YAML::Mark mark = item.first.Mark();
    if (!item.first.IsScalar()) return FileError(path, mark, "a key must be a text");
    const std::string& name = item.first.Scalar();
    const Key* const key = FindKey(name);
    if (key == nullptr) {
      return FileError(path, mark,
                       absl::StrCat("unknown key '", name, "'; known keys: ", KeyNames()));
    }
    if (!seen.insert(name).second) {
      return FileError(path, mark, absl::StrCat("key '", name, "' is given twice"));
    }
    if (!key->read(item.second, config)) {
      return FileError(path, mark, absl::StrCat("key '", name, "' must be ", Absl(key->expected)));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckDirectory(std::string_view key, const std::string& path) {
  if (NormalPath(path).has_value()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(Absl(key), ": '", path, "' must be an absolute path without . and .."));
}

absl::Status CheckOwners(std::string_view key, const std::vector<IdInterval>& allowed) {
  if (!allowed.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(Absl(key), ": allow at least one id, as 0, or no export could have a socket"));
}

absl::Status CheckCapabilities(const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    if (os::CapabilityNumber(name).has_value()) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("allow_capabilities: '", name,
                     "' is no capability; write it as capabilities(7) does, as CAP_CHOWN"));
  }
  return absl::OkStatus();
}

absl::Status CheckListen(const std::string& listen) {
  constexpr std::string_view kScheme = "unix://";
  if (!std::string_view(listen).starts_with(kScheme) ||
      !NormalPath(std::string_view(listen).substr(kScheme.size())).has_value()) {
    return absl::InvalidArgumentError(
        absl::StrCat("listen: '", listen,
                     "' must be unix:// and an absolute path, as unix:///run/fsd/fsd.sock"));
  }
  if (listen.size() - kScheme.size() > os::kMaxSocketPathBytes) {
    return absl::InvalidArgumentError(absl::StrCat("listen: the socket's path is longer than ",
                                                   os::kMaxSocketPathBytes, " bytes: ", listen));
  }
  return absl::OkStatus();
}

// An address, in brackets if it is of IPv6, and a port; 0 is any that is free.
absl::Status CheckMetricsListen(const std::string& listen) {
  if (listen.empty()) return absl::OkStatus();
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
  if (valid) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("metrics_listen: '", listen,
                   "' must be an address and a port, as 127.0.0.1:9750 or [::1]:9750"));
}

}  // namespace

absl::Status ReadConfigFile(const std::string& path, Config& config) {
  // Into a copy: a file that fails half-way changes nothing.
  Config read = config;
  try {
    FSD_RETURN_IF_ERROR(ReadKeys(path, YAML::LoadFile(path), read));
  } catch (const YAML::BadFile&) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": cannot be read"));
  } catch (const YAML::Exception& error) {
    return FileError(path, error.mark, error.msg);
  }
  config = std::move(read);
  return absl::OkStatus();
}

absl::Status ValidateConfig(const Config& config) {
  FSD_RETURN_IF_ERROR(CheckListen(config.listen));
  FSD_RETURN_IF_ERROR(CheckDirectory("state_dir", config.state_dir));
  FSD_RETURN_IF_ERROR(CheckDirectory("runtime_dir", config.runtime_dir));
  // The shortest that an export can need.
  if (JoinPath(config.runtime_dir, "exports/x.sock").size() > os::kMaxSocketPathBytes) {
    return absl::InvalidArgumentError(absl::StrCat("runtime_dir: ", config.runtime_dir,
                                                   " is too long: a socket's path in it "
                                                   "would be longer than ",
                                                   os::kMaxSocketPathBytes, " bytes"));
  }
  if (config.allow_source.empty()) {
    return absl::InvalidArgumentError(
        "allow_source: name at least one directory below which exports may lie");
  }
  for (const std::string& path : config.allow_source) {
    FSD_RETURN_IF_ERROR(CheckDirectory("allow_source", path));
  }
  for (const std::string& path : config.allow_socket) {
    FSD_RETURN_IF_ERROR(CheckDirectory("allow_socket", path));
  }
  FSD_RETURN_IF_ERROR(CheckOwners("allow_socket_uid", config.allow_socket_uid));
  FSD_RETURN_IF_ERROR(CheckOwners("allow_socket_gid", config.allow_socket_gid));
  FSD_RETURN_IF_ERROR(CheckCapabilities(config.allow_capabilities));
  if (!config.cgroup.empty() && config.cgroup != kAutoCgroup) {
    FSD_RETURN_IF_ERROR(CheckDirectory("cgroup", config.cgroup));
  }
  if (config.slow_request < absl::ZeroDuration() || config.slow_request > absl::Hours(24)) {
    return absl::InvalidArgumentError("slow_request: must be a time from 0 to 24h");
  }
  FSD_RETURN_IF_ERROR(CheckMetricsListen(config.metrics_listen));
  if (!config.worker_binary.empty()) {
    FSD_RETURN_IF_ERROR(CheckDirectory("worker_binary", config.worker_binary));
  }
  return absl::OkStatus();
}

}  // namespace fsd::supervisor
