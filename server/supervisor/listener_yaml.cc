#include "server/supervisor/listener_yaml.h"

#include <grp.h>
#include <pwd.h>

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/errors/status_macros.h"

namespace fsd::supervisor {
namespace {

constexpr size_t kMaxAccountBytes = 1 << 16;

// An id, or the name of an account of this host.
std::optional<uint32_t> ParseUser(const std::string& text) {
  uint32_t id = 0;
  if (absl::SimpleAtoi(text, &id)) return id;
  std::string buffer(kMaxAccountBytes, '\0');
  passwd entry;
  passwd* found = nullptr;
  ::getpwnam_r(text.c_str(), &entry, buffer.data(), buffer.size(), &found);
  if (found == nullptr) return std::nullopt;
  return entry.pw_uid;
}

std::optional<uint32_t> ParseGroup(const std::string& text) {
  uint32_t id = 0;
  if (absl::SimpleAtoi(text, &id)) return id;
  std::string buffer(kMaxAccountBytes, '\0');
  group entry;
  group* found = nullptr;
  ::getgrnam_r(text.c_str(), &entry, buffer.data(), buffer.size(), &found);
  if (found == nullptr) return std::nullopt;
  return entry.gr_gid;
}

// Permission bits in octal, as chmod(1) takes them.
std::optional<mode_t> ParseMode(const std::string& text) {
  if (text.empty() || text.size() > 4) return std::nullopt;
  mode_t mode = 0;
  for (const char digit : text) {
    if (digit < '0' || digit > '7') return std::nullopt;
    mode = mode * 8 + static_cast<mode_t>(digit - '0');
  }
  return mode <= 0777 ? std::optional(mode) : std::nullopt;
}

class Reader {
 public:
  Reader(std::string_view file, ConfigProblems& problems) : file_(file), problems_(problems) {}

  void ReadEntries(const YAML::Node& node, std::vector<Listener>& listeners) {
    for (const YAML::Node& item : node) {
      Listener listener;
      ReadEntry(item, listener);
      listeners.push_back(std::move(listener));
    }
  }

 private:
  // Reads a value; the result says what it must be, if it is not.
  using Read = std::function<std::optional<std::string>(const YAML::Node&)>;
  using Keys = std::map<std::string, Read>;

  void Wrong(const YAML::Node& node, std::string_view what) {
    problems_.SetPlace("listen", absl::StrCat(file_, ":", node.Mark().line + 1));
    problems_.Add("listen", what);
  }

  void ReadKeys(const YAML::Node& node, const Keys& keys) {
    if (!node.IsMap()) return Wrong(node, absl::StrCat("expected ", Names(keys)));
    for (const auto& item : node) {
      const std::string name = item.first.IsScalar() ? item.first.Scalar() : "";
      const auto key = keys.find(name);
      if (key == keys.end()) {
        Wrong(item.first, absl::StrCat("unknown key '", name, "'; known keys: ", Names(keys)));
      } else if (const auto expected = key->second(item.second)) {
        Wrong(item.first, absl::StrCat("key '", name, "' must be ", *expected));
      }
    }
  }

  static std::string Names(const Keys& keys) {
    return absl::StrJoin(keys, ", ", [](std::string* out, const auto& key) { *out += key.first; });
  }

  static Read Text(std::string& out) {
    return [&out](const YAML::Node& node) -> std::optional<std::string> {
      if (!node.IsScalar()) return "a text";
      out = node.Scalar();
      return std::nullopt;
    };
  }

  template <typename T, typename U>
  static Read Word(std::string expected, std::optional<T> (*parse)(const std::string&), U& out) {
    return [expected = std::move(expected), parse,
            &out](const YAML::Node& node) -> std::optional<std::string> {
      const std::optional<T> value = node.IsScalar() ? parse(node.Scalar()) : std::nullopt;
      if (!value.has_value()) return expected;
      out = *value;
      return std::nullopt;
    };
  }

  static Read RoleOf(Role& out) {
    return Word<Role>(
        "admin or reader", [](const std::string& text) { return ParseRole(text); }, out);
  }

  void ReadEntry(const YAML::Node& node, Listener& listener) {
    ReadKeys(node,
             {{"address", Text(listener.address)},
              {"role", RoleOf(listener.role)},
              {"owner", Word<uint32_t>("a user of this host, or an id", ParseUser, listener.uid)},
              {"group", Word<uint32_t>("a group of this host, or an id", ParseGroup, listener.gid)},
              {"mode", Word<mode_t>("permission bits in octal, as 0660", ParseMode, listener.mode)},
              {"certificate", Text(listener.certificate)},
              {"key", Text(listener.key)},
              {"client_ca", Text(listener.client_ca)},
              {"clients", [this, &listener](const YAML::Node& value) {
                 return ReadClients(value, listener);
               }}});
    if (!node.IsMap()) return;
    if (listener.is_tcp()) {
      for (const char* key : {"role", "owner", "group", "mode"}) {
        if (!node[key]) continue;
        Wrong(node, absl::StrCat("key '", key,
                                 "' is for unix sockets; over TCP clients have the "
                                 "role that their certificate is given by 'clients'"));
      }
    } else if (!node["role"]) {
      Wrong(node, "key 'role' is missing: admin or reader, what all who can connect may do");
    }
  }

  std::optional<std::string> ReadClients(const YAML::Node& node, Listener& listener) {
    if (!node.IsSequence()) return "a list of roles and names";
    for (const YAML::Node& item : node) {
      CertificateRole client;
      ReadKeys(item, {{"role", RoleOf(client.role)},
                      {"common_name", Text(client.common_name)},
                      {"alternative_name", Text(client.alternative_name)}});
      if (item.IsMap() && !item["role"]) Wrong(item, "key 'role' is missing: admin or reader");
      listener.clients.push_back(std::move(client));
    }
    return std::nullopt;
  }

  const std::string file_;
  ConfigProblems& problems_;
};

}  // namespace

void ReadListeners(const YAML::Node& node, std::string_view file, std::vector<Listener>& listeners,
                   ConfigProblems& problems) {
  std::vector<Listener> read;
  if (node.IsScalar()) {
    read.push_back({.address = node.Scalar()});
  } else if (node.IsSequence()) {
    Reader(file, problems).ReadEntries(node, read);
  } else {
    problems.Add("listen", "must be an address, or a list of entries with an address each");
    return;
  }
  listeners = std::move(read);
}

}  // namespace fsd::supervisor
