#include "cli/export_commands.h"

#include <filesystem>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cli/qemu_arguments.h"

namespace fsd::cli {
namespace {

using Policy = v1::Cache::Policy;

// "exports/web" of either that or "web".
std::string ResourceName(const std::string& name) {
  return name.starts_with("exports/") ? name : "exports/" + name;
}
std::string ExportId(const std::string& name) {
  return ResourceName(name).substr(std::string("exports/").size());
}

// As the server wants paths: absolute and normalised. Links are not followed; they are the
// server's.
std::string ServerPath(const std::string& path) {
  if (path.empty()) return path;
  std::string normal = std::filesystem::absolute(path).lexically_normal();
  while (normal.size() > 1 && normal.ends_with('/')) normal.pop_back();
  return normal;
}

void Print(const v1::Export& resource, Format format) {
  switch (format) {
    case Format::kTable:
      std::cout << ExportFields(resource);
      break;
    case Format::kJson:
      std::cout << Json(resource);
      break;
    case Format::kName:
      std::cout << resource.name() << "\n";
      break;
  }
}

ExitCode FetchExport(Client& client, const std::string& name, v1::Export& found) {
  v1::GetExportRequest request;
  request.set_name(ResourceName(name));
  return client.Call("get " + Printable(request.name()), [&](grpc::ClientContext& context) {
    return client.exports().GetExport(&context, request, &found);
  });
}

struct CreateArguments {
  std::string name;
  std::string source;
  std::string tag;
  std::string socket;
  uint32_t socket_uid = 0;
  uint32_t socket_gid = 0;
  uint32_t socket_mode = 0;
  bool advertise_tag = false;
  Policy cache = v1::Cache::POLICY_UNSPECIFIED;
  bool read_only = false;
  std::map<std::string, std::string> labels;
  std::string owner_system;
  std::string owner_vm;
  std::string request_id;
  bool validate_only = false;
};

v1::CreateExportRequest ToRequest(const CreateArguments& arguments) {
  v1::CreateExportRequest request;
  request.set_export_id(ExportId(arguments.name));
  request.set_request_id(arguments.request_id);
  request.set_validate_only(arguments.validate_only);
  v1::Export& resource = *request.mutable_export_();
  resource.mutable_source()->mutable_passthrough()->set_path(ServerPath(arguments.source));
  resource.set_tag(arguments.tag);
  resource.set_advertise_tag(arguments.advertise_tag);
  resource.mutable_socket()->set_path(ServerPath(arguments.socket));
  resource.mutable_socket()->set_uid(arguments.socket_uid);
  resource.mutable_socket()->set_gid(arguments.socket_gid);
  resource.mutable_socket()->set_mode(arguments.socket_mode);
  resource.set_read_only(arguments.read_only);
  resource.mutable_cache()->set_policy(arguments.cache);
  resource.mutable_labels()->insert(arguments.labels.begin(), arguments.labels.end());
  resource.mutable_owner()->set_system(arguments.owner_system);
  resource.mutable_owner()->set_vm_id(arguments.owner_vm);
  return request;
}

ExitCode Create(const CreateArguments& arguments, const Options& options) {
  const v1::CreateExportRequest request = ToRequest(arguments);
  Client client(options);
  v1::Export created;
  const ExitCode code = client.Call(
      "create exports/" + Printable(request.export_id()), [&](grpc::ClientContext& context) {
        return client.exports().CreateExport(&context, request, &created);
      });
  if (code == ExitCode::kOk) Print(created, options.format);
  return code;
}

ExitCode Get(const std::string& name, const Options& options) {
  Client client(options);
  v1::Export found;
  const ExitCode code = FetchExport(client, name, found);
  if (code == ExitCode::kOk) Print(found, options.format);
  return code;
}

ExitCode List(const Options& options) {
  Client client(options);
  v1::ListExportsRequest request;
  v1::ListExportsResponse all;
  do {
    v1::ListExportsResponse page;
    const ExitCode code = client.Call("list exports", [&](grpc::ClientContext& context) {
      return client.exports().ListExports(&context, request, &page);
    });
    if (code != ExitCode::kOk) return code;
    all.mutable_exports()->MergeFrom(page.exports());
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());

  switch (options.format) {
    case Format::kTable:
      std::cout << ExportTable({all.exports().begin(), all.exports().end()});
      break;
    case Format::kJson:
      std::cout << Json(all);
      break;
    case Format::kName:
      for (const v1::Export& resource : all.exports()) std::cout << resource.name() << "\n";
      break;
  }
  return ExitCode::kOk;
}

struct DeleteArguments {
  std::string name;
  std::string etag;
  bool force = false;
  bool allow_missing = false;
};

ExitCode Delete(const DeleteArguments& arguments, const Options& options) {
  v1::DeleteExportRequest request;
  request.set_name(ResourceName(arguments.name));
  request.set_etag(arguments.etag);
  request.set_allow_missing(arguments.allow_missing);
  request.set_mode(arguments.force ? v1::DeleteExportRequest::FORCE
                                   : v1::DeleteExportRequest::SAFE);
  Client client(options);
  google::protobuf::Empty empty;
  const ExitCode code =
      client.Call("delete " + Printable(request.name()), [&](grpc::ClientContext& context) {
        return client.exports().DeleteExport(&context, request, &empty);
      });
  if (code != ExitCode::kOk) return code;
  switch (options.format) {
    case Format::kTable:
      std::cout << "deleted " << request.name() << "\n";
      break;
    case Format::kJson:
      std::cout << Json(empty) << "\n";
      break;
    case Format::kName:
      std::cout << request.name() << "\n";
      break;
  }
  return code;
}

ExitCode Args(const std::string& name, const std::string& memory, const Options& options) {
  Client client(options);
  v1::Export found;
  const ExitCode code = FetchExport(client, name, found);
  if (code != ExitCode::kOk) return code;
  const std::vector<std::string> arguments = QemuArguments(found, memory);
  if (options.format == Format::kJson) {
    std::cout << JsonList(arguments);
  } else {
    std::cout << ShellLine(arguments) << "\n";
  }
  return code;
}

const std::map<std::string, Policy>& Policies() {
  static const auto& policies =
      *new std::map<std::string, Policy>{{"never", v1::Cache::NEVER},
                                         {"auto", v1::Cache::AUTO},
                                         {"metadata", v1::Cache::METADATA},
                                         {"always", v1::Cache::ALWAYS}};
  return policies;
}

// "0660" as a mode; a CLI::ValidationError if it is not one.
uint32_t ParseMode(const std::string& text) {
  size_t used = 0;
  unsigned long mode = 0;
  if (!text.empty() && text.find_first_not_of("01234567") == std::string::npos &&
      text.size() <= 5) {
    mode = std::stoul(text, &used, 8);
  }
  if (used == 0) {
    throw CLI::ValidationError("--socket-mode", "'" + text + "' is no octal mode such as 0660");
  }
  return static_cast<uint32_t>(mode);
}

std::pair<std::string, std::string> ParseLabel(const std::string& text) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos) {
    throw CLI::ValidationError("--label", "'" + text + "' is not KEY=VALUE");
  }
  return {text.substr(0, equals), text.substr(equals + 1)};
}

void AddCreate(CLI::App& exports, const Options& options, ExitCode& result) {
  auto arguments = std::make_shared<CreateArguments>();
  CLI::App& command = *exports.add_subcommand("create", "Share a directory");
  command.add_option("NAME", arguments->name, "The export's name: lower-case letters, digits, '-'")
      ->required();
  command.add_option("--source", arguments->source, "The host directory to share")
      ->type_name("DIR")
      ->required();
  command.add_option("--tag", arguments->tag, "The name that the guest mounts by")
      ->type_name("TAG")
      ->required();
  command
      .add_option("--socket", arguments->socket,
                  "Where the virtual machine connects; the server chooses if it is not given")
      ->type_name("PATH");
  command.add_option("--socket-uid", arguments->socket_uid, "The socket's owner (0)");
  command.add_option("--socket-gid", arguments->socket_gid, "The socket's group (0)");
  command
      .add_option_function<std::string>(
          "--socket-mode",
          [arguments](const std::string& text) { arguments->socket_mode = ParseMode(text); },
          "The socket's permissions (0600)")
      ->type_name("OCTAL");
  command.add_flag("--advertise-tag", arguments->advertise_tag,
                   "Tell the front-end the tag too (crosvm, User Mode Linux; not for QEMU)");
  command
      .add_option_function<std::string>(
          "--cache",
          [arguments](const std::string& name) { arguments->cache = Policies().at(name); },
          "How long the guest may keep what it has read: never, auto, metadata, always (auto)")
      ->type_name("POLICY")
      ->check(CLI::IsMember({"never", "auto", "metadata", "always"}).description(""));
  command.add_flag("--read-only", arguments->read_only, "The guest can change nothing");
  command
      .add_option_function<std::vector<std::string>>(
          "--label",
          [arguments](const std::vector<std::string>& texts) {
            for (const std::string& text : texts) arguments->labels.insert(ParseLabel(text));
          },
          "A label; may be repeated")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  command.add_option("--owner-system", arguments->owner_system,
                     "The system that the export is for");
  command.add_option("--owner-vm", arguments->owner_vm,
                     "That system's name of the virtual machine");
  command.add_option("--request-id", arguments->request_id,
                     "Names this call: repeated, it gets the same answer");
  command.add_flag("--validate-only", arguments->validate_only, "Check, and create nothing");
  command.callback([arguments, &options, &result] { result = Create(*arguments, options); });
}

void AddDelete(CLI::App& exports, const Options& options, ExitCode& result) {
  auto arguments = std::make_shared<DeleteArguments>();
  CLI::App& command =
      *exports.add_subcommand("delete", "Stop sharing; the directory stays as it is");
  command.add_option("NAME", arguments->name, "The export")->required();
  command.add_flag("--force", arguments->force, "Cut off the virtual machine that uses it");
  command.add_flag("--allow-missing", arguments->allow_missing, "No error if it does not exist");
  command.add_option("--etag", arguments->etag, "Only if its etag still is this");
  command.callback([arguments, &options, &result] { result = Delete(*arguments, options); });
}

void AddArgs(CLI::App& exports, const Options& options, ExitCode& result) {
  struct Arguments {
    std::string name;
    std::string vmm;
    std::string memory = "1G";
  };
  auto arguments = std::make_shared<Arguments>();
  CLI::App& command =
      *exports.add_subcommand("args", "Print what attaches a virtual machine to the export");
  command.add_option("NAME", arguments->name, "The export")->required();
  command.add_option("--for", arguments->vmm, "The virtual machine monitor: qemu")
      ->type_name("VMM")
      ->required()
      ->check(CLI::IsMember({"qemu"}).description(""));
  command.add_option("--memory", arguments->memory, "The guest's memory, the same as -m (1G)")
      ->type_name("SIZE")
      ->check(CLI::Validator(
          [](const std::string& size) {
            return IsMemorySize(size) ? "" : "'" + size + "' is no size such as 512M or 4G";
          },
          ""));
  command.callback([arguments, &options, &result] {
    result = Args(arguments->name, arguments->memory, options);
  });
}

}  // namespace

void AddExportCommands(CLI::App& app, const Options& options, ExitCode& result) {
  CLI::App& exports = *app.add_subcommand("export", "Directories shared with virtual machines");
  exports.require_subcommand(1);
  AddCreate(exports, options, result);

  auto name = std::make_shared<std::string>();
  CLI::App& get = *exports.add_subcommand("get", "Show one export");
  get.add_option("NAME", *name, "The export")->required();
  get.callback([name, &options, &result] { result = Get(*name, options); });

  exports.add_subcommand("list", "Show all exports")->callback([&options, &result] {
    result = List(options);
  });
  AddDelete(exports, options, result);
  AddArgs(exports, options, result);
}

}  // namespace fsd::cli
