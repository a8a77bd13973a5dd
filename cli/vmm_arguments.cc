#include "cli/vmm_arguments.h"

#include <algorithm>

#include "cli/output.h"
#include "cli/resource_name.h"
#include "google/protobuf/struct.pb.h"

namespace fsd::cli {
namespace {

std::string XmlText(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '\'':
        escaped += "&apos;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      default:
        escaped += c;
    }
  }
  return escaped;
}

// cloud-hypervisor ends an option's value at a comma unless it stands in double quotes, which
// cannot themselves be written.
std::string OptionValue(const std::string& text) {
  return text.find_first_of(",[]") == std::string::npos ? text : "\"" + text + "\"";
}

google::protobuf::Value Text(const std::string& text) {
  google::protobuf::Value value;
  value.set_string_value(text);
  return value;
}

std::string Line(const google::protobuf::Struct& command) {
  std::string line = JsonLine(command);
  line.pop_back();
  return line;
}

}  // namespace

std::string LibvirtXml(const v1::Export& resource) {
  // The device's queue size is libvirt's attribute `queue`; it has none for their number.
  return "<memoryBacking>\n"
         "  <source type='memfd'/>\n"
         "  <access mode='shared'/>\n"
         "</memoryBacking>\n"
         "<devices>\n"
         "  <filesystem type='mount'>\n"
         "    <driver type='virtiofs' queue='1024'/>\n"
         "    <source socket='" +
         XmlText(resource.socket().path()) +
         "'/>\n"
         "    <target dir='" +
         XmlText(resource.tag()) +
         "'/>\n"
         "  </filesystem>\n"
         "</devices>\n";
}

std::vector<std::string> QmpCommands(const v1::Export& resource) {
  const std::string id = "fs-" + ExportId(resource.name());
  google::protobuf::Struct chardev;
  (*chardev.mutable_fields())["execute"] = Text("chardev-add");
  auto& add = *(*chardev.mutable_fields())["arguments"].mutable_struct_value()->mutable_fields();
  add["id"] = Text(id);
  auto& backend = *add["backend"].mutable_struct_value()->mutable_fields();
  backend["type"] = Text("socket");
  auto& data = *backend["data"].mutable_struct_value()->mutable_fields();
  data["server"].set_bool_value(false);
  auto& address = *data["addr"].mutable_struct_value()->mutable_fields();
  address["type"] = Text("unix");
  (*address["data"].mutable_struct_value()->mutable_fields())["path"] =
      Text(resource.socket().path());

  google::protobuf::Struct device;
  (*device.mutable_fields())["execute"] = Text("device_add");
  auto& plug = *(*device.mutable_fields())["arguments"].mutable_struct_value()->mutable_fields();
  plug["driver"] = Text("vhost-user-fs-pci");
  plug["id"] = Text(id);
  plug["chardev"] = Text(id);
  plug["tag"] = Text(resource.tag());
  if (const uint32_t queues = resource.transport().request_queues(); queues > 1) {
    plug["num-request-queues"].set_number_value(queues);
  }
  return {Line(chardev), Line(device)};
}

std::vector<std::string> CloudHypervisorArguments(const v1::Export& resource,
                                                  const std::string& memory_size) {
  std::string memory = "size=" + memory_size + ",shared=on";
  // What the worker touches first of the guest's memory would count as the worker's.
  if (resource.sandbox().limits().memory_bytes() != 0) memory += ",prefault=on";
  const uint32_t queues = std::max<uint32_t>(1, resource.transport().request_queues());
  return {"--memory", memory, "--fs",
          "tag=" + OptionValue(resource.tag()) +
              ",socket=" + OptionValue(resource.socket().path()) +
              ",num_queues=" + std::to_string(queues) + ",queue_size=1024"};
}

}  // namespace fsd::cli
