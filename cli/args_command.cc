#include "cli/args_command.h"

#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "cli/output.h"
#include "cli/printable.h"
#include "cli/qemu_arguments.h"
#include "cli/resource_name.h"
#include "cli/vmm_arguments.h"
#include "cli/yaml_text.h"

namespace fsd::cli {
namespace {

struct Arguments {
  std::string name;
  std::string vmm;
  std::string memory = "1G";
};

std::string QmpText(const std::vector<std::string>& commands, const Style& style) {
  std::string text;
  const bool is_list = !IsTable(style.format);
  for (const std::string& command : commands) {
    if (is_list && !text.empty()) text += ",";
    text += is_list ? command : command + "\n";
  }
  if (style.format == Format::kYaml) return YamlDocument("[" + text + "]");
  return is_list ? "[" + text + "]\n" : text;
}

std::string ArgumentsText(const std::vector<std::string>& arguments, const Style& style) {
  if (style.format == Format::kJson) return JsonList(arguments);
  if (style.format == Format::kYaml) return YamlDocument(JsonList(arguments));
  return ShellLine(arguments) + "\n";
}

ExitCode Args(const Arguments& arguments, const Options& options) {
  const Style& style = options.style;
  if (arguments.vmm == "libvirt" && !IsTable(style.format)) {
    throw CLI::ValidationError("--for", "libvirt's is XML; leave -o out");
  }
  Client client(options);
  v1::GetExportRequest request;
  request.set_name(ResourceName(arguments.name));
  v1::Export found;
  const ExitCode code =
      client.Call("get " + Printable(request.name()), [&](grpc::ClientContext& context) {
        return client.exports().GetExport(&context, request, &found);
      });
  if (code != ExitCode::kOk) return code;
  if (arguments.vmm == "libvirt") {
    std::cout << LibvirtXml(found);
  } else if (arguments.vmm == "qmp") {
    std::cout << QmpText(QmpCommands(found), style);
  } else if (arguments.vmm == "cloud-hypervisor") {
    std::cout << ArgumentsText(CloudHypervisorArguments(found, arguments.memory), style);
  } else {
    std::cout << ArgumentsText(QemuArguments(found, arguments.memory), style);
  }
  return code;
}

}  // namespace

void AddArgsCommand(CLI::App& exports, const Options& options, ExitCode& result) {
  const auto arguments = std::make_shared<Arguments>();
  CLI::App& command =
      *exports.add_subcommand("args", "Print what attaches a virtual machine to the export");
  command.footer(
      "qemu: its arguments. qmp: commands that plug the device into a QEMU that runs, whose "
      "memory\n"
      "must be shared. libvirt: elements of the domain. cloud-hypervisor: its arguments. The "
      "guest\n"
      "then mounts it: mount -t virtiofs TAG DIR");
  command.add_option("NAME", arguments->name, "The export")->required();
  command.add_option("--for", arguments->vmm, "The virtual machine monitor")
      ->type_name("qemu|qmp|libvirt|cloud-hypervisor")
      ->required()
      ->check(CLI::IsMember({"qemu", "qmp", "libvirt", "cloud-hypervisor"}).description(""));
  command
      .add_option("--memory", arguments->memory,
                  "The guest's memory, the same as for -m (1G); qemu and cloud-hypervisor")
      ->type_name("SIZE")
      ->check(CLI::Validator(
          [](const std::string& size) {
            return IsMemorySize(size) ? "" : "'" + size + "' is no size such as 512M or 4G";
          },
          ""));
  command.callback([arguments, &options, &result] { result = Args(*arguments, options); });
}

}  // namespace fsd::cli
