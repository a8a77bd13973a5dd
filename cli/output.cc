#include "cli/output.h"

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <map>
#include <string_view>

#include "cli/option_fields.h"
#include "cli/printable.h"
#include "google/protobuf/struct.pb.h"
#include "google/protobuf/util/json_util.h"
#include "google/protobuf/util/time_util.h"

namespace fsd::cli {
namespace {

std::string StateName(v1::ExportStatus::State state) {
  const std::string name = v1::ExportStatus::State_Name(state);
  return name.empty() ? "UNKNOWN" : name;  // of a newer server
}

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

std::string Labels(const v1::Export& resource) {
  const std::map<std::string, std::string> sorted(resource.labels().begin(),
                                                  resource.labels().end());
  std::string text;
  for (const auto& [key, value] : sorted) {
    if (!text.empty()) text += ", ";
    text += Printable(key) + "=" + Printable(value);
  }
  return text;
}

// Terminals show UTF-8's continuation bytes as nothing.
size_t Width(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
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

std::string Json(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.always_print_primitive_fields = true;
  std::string text;
  // Fails only for an Any of unknown type, and the API has no Any.
  static_cast<void>(google::protobuf::util::MessageToJsonString(message, &text, options));
  return text;
}

std::string JsonList(const std::vector<std::string>& strings) {
  google::protobuf::ListValue list;
  for (const std::string& string : strings) list.add_values()->set_string_value(string);
  return Json(list);
}

std::string ExportTable(const std::vector<v1::Export>& exports) {
  std::vector<std::vector<std::string>> rows = {{"NAME", "STATE", "TAG", "SOURCE", "SOCKET"}};
  for (const v1::Export& resource : exports) {
    rows.push_back({Printable(resource.name()), StateName(resource.status().state()),
                    Printable(resource.tag()), Printable(resource.source().passthrough().path()),
                    Printable(resource.socket().path())});
  }
  return AlignedTable(rows);
}

std::string ExportFields(const v1::Export& resource) {
  const v1::ExportStatus& status = resource.status();
  std::vector<std::pair<std::string, std::string>> fields = {
      {"Name", Printable(resource.name())},
      {"State", StateName(status.state())},
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
  add("Labels", Labels(resource));
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

std::string ExportText(const v1::Export& resource, Format format) {
  switch (format) {
    case Format::kTable:
      return ExportFields(resource);
    case Format::kJson:
      return Json(resource);
    case Format::kName:
      return resource.name() + "\n";
  }
  return "";
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
      {"Served fields", Joined(info.served_export_fields())},
  });
}

}  // namespace fsd::cli
