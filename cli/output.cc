#include "cli/output.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <map>
#include <string_view>

#include "cli/duration_syntax.h"
#include "cli/option_fields.h"
#include "cli/printable.h"
#include "cli/yaml_text.h"
#include "google/protobuf/struct.pb.h"
#include "google/protobuf/util/json_util.h"
#include "google/protobuf/util/time_util.h"

namespace fsd::cli {
namespace {

std::string YesOrNo(bool value) { return value ? "yes" : "no"; }

std::string Time(const google::protobuf::Timestamp& time) {
  return google::protobuf::util::TimeUtil::ToString(time);
}

std::string SocketAccess(const v1::Socket& socket) {
  char mode[8];
  std::snprintf(mode, sizeof(mode), "%04o", socket.mode() & 07777);
  return "uid " + std::to_string(socket.uid()) + ", gid " + std::to_string(socket.gid()) +
         ", mode " + mode;
}

// Terminals show UTF-8's continuation bytes as nothing, and the colours that Colored puts around a
// cell neither; other escape sequences do not get past Printable.
size_t Width(std::string_view text) {
  size_t width = 0;
  bool in_escape = false;
  for (const char c : text) {
    if (c == '\x1b') in_escape = true;
    if (!in_escape && (static_cast<unsigned char>(c) & 0xc0) != 0x80) ++width;
    if (c == 'm') in_escape = false;
  }
  return width;
}

template <typename Strings>
std::string Joined(const Strings& strings) {
  std::string text;
  for (const std::string& string : strings) {
    if (!text.empty()) text += ", ";
    text += Printable(string);
  }
  return text;
}

std::string OrNone(std::string text) { return text.empty() ? "none" : text; }

std::string ToJson(const google::protobuf::Message& message, bool indented) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = indented;
  options.always_print_primitive_fields = true;
  std::string text;
  // Fails only for an Any of unknown type, and the API has no Any.
  static_cast<void>(google::protobuf::util::MessageToJsonString(message, &text, options));
  return text;
}

std::string OrDash(std::string text) { return text.empty() ? "-" : text; }

std::string Reasons(const v1::ExportStatus& status) {
  std::string text;
  for (const v1::Condition& condition : status.conditions()) {
    if (!text.empty()) text += ",";
    text += Printable(condition.reason());
  }
  return text;
}

}  // namespace

std::string AlignedTable(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], Width(row[i]));
  }
  std::string text;
  for (const auto& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) {
      text += row[i];
      if (i + 1 < row.size()) text.append(widths[i] - Width(row[i]) + 2, ' ');
    }
    text += '\n';
  }
  return text;
}

std::string AlignedFields(const std::vector<std::pair<std::string, std::string>>& fields) {
  std::vector<std::vector<std::string>> rows;
  for (const auto& [name, value] : fields) rows.push_back({name + ":", value});
  return AlignedTable(rows);
}

std::string HeadedTable(std::vector<std::string> heading,
                        const std::vector<std::vector<std::string>>& rows, const Style& style) {
  std::vector<std::vector<std::string>> table;
  if (style.headers) {
    for (std::string& name : heading) name = Colored(std::move(name), Color::kBold, style);
    table.push_back(std::move(heading));
  }
  table.insert(table.end(), rows.begin(), rows.end());
  return AlignedTable(table);
}

std::string Colored(std::string text, Color color, const Style& style) {
  if (!style.color || text.empty()) return text;
  constexpr const char* kCodes[] = {"32", "33", "31", "1"};
  return std::string("\x1b[") + kCodes[static_cast<size_t>(color)] + "m" + text + "\x1b[0m";
}

std::string StateText(v1::ExportStatus::State state, const Style& style) {
  const std::string name = v1::ExportStatus::State_Name(state);
  if (name.empty()) return "UNKNOWN";  // of a newer server
  switch (state) {
    case v1::ExportStatus::LISTENING:
    case v1::ExportStatus::CONNECTED:
    case v1::ExportStatus::MOUNTED:
      return Colored(name, Color::kGreen, style);
    case v1::ExportStatus::FAILED:
      return Colored(name, Color::kRed, style);
    default:
      return Colored(name, Color::kYellow, style);
  }
}

std::string Json(const google::protobuf::Message& message) { return ToJson(message, true); }

std::string JsonLine(const google::protobuf::Message& message) {
  return ToJson(message, false) + "\n";
}

std::string JsonOfSetFields(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string text;
  static_cast<void>(google::protobuf::util::MessageToJsonString(message, &text, options));
  return text;
}

std::string Structured(const google::protobuf::Message& message, Format format) {
  return format == Format::kYaml ? YamlDocument(JsonLine(message)) : Json(message);
}

std::string JsonList(const std::vector<std::string>& strings) {
  google::protobuf::ListValue list;
  for (const std::string& string : strings) list.add_values()->set_string_value(string);
  return Json(list);
}

std::string LabelsText(const v1::Export& resource) {
  const std::map<std::string, std::string> sorted(resource.labels().begin(),
                                                  resource.labels().end());
  std::string text;
  for (const auto& [key, value] : sorted) {
    if (!text.empty()) text += ", ";
    text += Printable(key) + "=" + Printable(value);
  }
  return text;
}

std::string ExportTable(const std::vector<v1::Export>& exports, const Style& style,
                        std::chrono::system_clock::time_point now) {
  std::vector<std::string> heading = {"NAME", "STATE", "TAG", "SOURCE", "SOCKET"};
  const bool wide = style.format == Format::kWide;
  if (wide) {
    for (const char* name : {"CACHE", "AGE", "WORKER", "RESTARTS", "OPEN", "INODES", "QOS", "OWNER",
                             "LABELS", "CONDITIONS"}) {
      heading.emplace_back(name);
    }
  }
  std::vector<std::vector<std::string>> rows;
  for (const v1::Export& resource : exports) {
    const v1::ExportStatus& status = resource.status();
    std::vector<std::string> row = {
        Printable(resource.name()), StateText(status.state(), style), Printable(resource.tag()),
        Printable(resource.source().passthrough().path()), Printable(resource.socket().path())};
    if (wide) {
      const auto age = now - std::chrono::system_clock::from_time_t(
                                 static_cast<time_t>(resource.create_time().seconds()));
      const v1::Owner& owner = resource.owner();
      std::string owner_text = Printable(owner.system());
      if (!owner.vm_id().empty()) owner_text += "/" + Printable(owner.vm_id());
      for (std::string cell :
           {ChoiceName(v1::Cache::Policy_Name(resource.cache().policy())),
            AgeText(std::chrono::duration_cast<std::chrono::seconds>(age)),
            std::to_string(status.worker_pid()), std::to_string(status.restarts()),
            std::to_string(status.open_files()), std::to_string(status.inodes()),
            OrDash(LimitsText(resource.qos())), OrDash(std::move(owner_text)),
            OrDash(LabelsText(resource)),
            Colored(OrDash(Reasons(status)), Color::kYellow, style)}) {
        row.push_back(std::move(cell));
      }
    }
    rows.push_back(std::move(row));
  }
  return HeadedTable(std::move(heading), rows, style);
}

std::string ExportFields(const v1::Export& resource, const Style& style) {
  const v1::ExportStatus& status = resource.status();
  std::vector<std::pair<std::string, std::string>> fields = {
      {"Name", Printable(resource.name())},
      {"State", StateText(status.state(), style)},
      {"Source", Printable(resource.source().passthrough().path())},
      {"Tag", Printable(resource.tag())},
      {"Advertise tag", YesOrNo(resource.advertise_tag())},
      {"Read only", YesOrNo(resource.read_only())},
      {"Cache", ChoiceName(v1::Cache::Policy_Name(resource.cache().policy()))},
      {"Socket", Printable(resource.socket().path())},
      {"Socket access", SocketAccess(resource.socket())},
  };
  const auto add = [&fields](const char* name, std::string value) {
    if (!value.empty()) fields.emplace_back(name, std::move(value));
  };
  for (auto& [name, value] : OptionFields(resource)) fields.emplace_back(name, std::move(value));
  add("Labels", LabelsText(resource));
  add("Owner system", Printable(resource.owner().system()));
  add("Owner vm", Printable(resource.owner().vm_id()));
  add("Created", Time(resource.create_time()));
  add("Uid", Printable(resource.uid()));
  add("Etag", Printable(resource.etag()));
  if (status.worker_pid() != 0) add("Worker pid", std::to_string(status.worker_pid()));
  add("Restarts", std::to_string(status.restarts()));
  if (status.has_connection()) {
    add("Connected since", Time(status.connection().connect_time()));
    add("Queues", std::to_string(status.connection().queues()));
  }
  if (status.connection().has_fuse()) {
    add("FUSE version", std::to_string(status.connection().fuse().major()) + "." +
                            std::to_string(status.connection().fuse().minor()));
    add("Open files", std::to_string(status.open_files()));
    add("Inodes", std::to_string(status.inodes()));
  }
  for (const v1::Condition& condition : status.conditions()) {
    add("Condition", Printable(condition.reason()) + " since " + Time(condition.time()) + ": " +
                         Printable(condition.message()));
  }
  return AlignedFields(fields);
}

std::string Formatted(const google::protobuf::Message& message, const Style& style,
                      const std::function<std::string()>& table,
                      const std::function<std::string()>& names) {
  switch (style.format) {
    case Format::kTable:
    case Format::kWide:
      return table();
    case Format::kJson:
    case Format::kYaml:
      return Structured(message, style.format);
    case Format::kName:
      return names();
  }
  return "";
}

std::string ExportText(const v1::Export& resource, const Style& style) {
  return Formatted(
      resource, style, [&] { return ExportFields(resource, style); },
      [&] { return Printable(resource.name()) + "\n"; });
}

std::string SlowText(const google::protobuf::Duration& threshold) {
  const bool any = threshold.seconds() != 0 || threshold.nanos() != 0;
  return any ? "above " + DurationText(threshold) : "none";
}

std::string AgeText(std::chrono::seconds age) {
  const auto seconds = std::max<int64_t>(age.count(), 0);
  if (seconds < 100) return std::to_string(seconds) + "s";
  if (seconds < 100 * 60) return std::to_string(seconds / 60) + "m";
  if (seconds < 100 * 3600) return std::to_string(seconds / 3600) + "h";
  return std::to_string(seconds / 86400) + "d";
}

std::string ServerFields(const std::string& address, const v1::ServerInfo& info) {
  return AlignedFields({
      {"Server", Printable(address)},
      {"Version", Printable(info.version())},
      {"Started", Time(info.start_time())},
      {"Pid", std::to_string(info.pid())},
      {"Kernel", Printable(info.kernel_release())},
      {"Exports", std::to_string(info.exports())},
      {"State directory", Printable(info.state_directory())},
      {"Runtime directory", Printable(info.runtime_directory())},
      {"Allowed sources", Joined(info.allowed_source_prefixes())},
      {"Allowed sockets", Joined(info.allowed_socket_prefixes())},
      {"Socket users", Joined(info.allowed_socket_uids())},
      {"Socket groups", Joined(info.allowed_socket_gids())},
      {"Weakest sandbox", ChoiceName(v1::Sandbox::Mode_Name(info.weakest_sandbox()))},
      {"Weakest seccomp", ChoiceName(v1::Sandbox::Seccomp_Name(info.weakest_seccomp()))},
      {"Addable caps", OrNone(Joined(info.allowed_capabilities()))},
      {"Cgroup", OrNone(Printable(info.cgroup_directory()))},
      {"Log level", ChoiceName(v1::LogLevel_Name(info.log_level()), "LOG_LEVEL_")},
      {"Slow requests", SlowText(info.slow_request_threshold())},
      {"Served fields", Joined(info.served_export_fields())},
  });
}

}  // namespace fsd::cli
