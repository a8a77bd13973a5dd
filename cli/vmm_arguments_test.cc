#include "cli/vmm_arguments.h"

#include <string>

#include "gmock/gmock.h"
#include "google/protobuf/struct.pb.h"
#include "google/protobuf/util/json_util.h"
#include "gtest/gtest.h"

namespace fsd::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

v1::Export Web() {
  v1::Export resource;
  resource.set_name("exports/web");
  resource.set_tag("my,fs");
  resource.mutable_socket()->set_path("/run/fsd/a'b.sock");
  resource.mutable_transport()->set_request_queues(4);
  return resource;
}

google::protobuf::Struct Parsed(const std::string& json) {
  google::protobuf::Struct value;
  EXPECT_TRUE(google::protobuf::util::JsonStringToMessage(json, &value).ok()) << json;
  return value;
}

TEST(LibvirtXml, EscapesWhatXmlWouldTakeForItsOwn) {
  v1::Export resource = Web();
  resource.set_tag("<&>");
  EXPECT_THAT(LibvirtXml(resource), HasSubstr("<source socket='/run/fsd/a&apos;b.sock'/>"));
  EXPECT_THAT(LibvirtXml(resource), HasSubstr("<target dir='&lt;&amp;&gt;'/>"));
  EXPECT_THAT(LibvirtXml(resource), HasSubstr("<access mode='shared'/>"));
}

TEST(QmpCommands, AddAChardevAndTheDeviceThatUsesIt) {
  const auto commands = QmpCommands(Web());
  ASSERT_THAT(commands, SizeIs(2));

  const auto chardev = Parsed(commands[0]);
  EXPECT_EQ(chardev.fields().at("execute").string_value(), "chardev-add");
  const auto& add = chardev.fields().at("arguments").struct_value().fields();
  EXPECT_EQ(add.at("id").string_value(), "fs-web");
  EXPECT_THAT(commands[0], HasSubstr("\"path\":\"/run/fsd/a'b.sock\""));

  const auto device = Parsed(commands[1]);
  EXPECT_EQ(device.fields().at("execute").string_value(), "device_add");
  const auto& plug = device.fields().at("arguments").struct_value().fields();
  EXPECT_EQ(plug.at("chardev").string_value(), "fs-web");
  EXPECT_EQ(plug.at("tag").string_value(), "my,fs");
  EXPECT_EQ(plug.at("num-request-queues").number_value(), 4);
}

TEST(CloudHypervisorArguments, QuoteACommaAndShareTheMemory) {
  EXPECT_THAT(CloudHypervisorArguments(Web(), "4G"),
              ElementsAre("--memory", "size=4G,shared=on", "--fs",
                          "tag=\"my,fs\",socket=/run/fsd/a'b.sock,num_queues=4,queue_size=1024"));
}

TEST(CloudHypervisorArguments, TouchTheMemoryFirstIfTheWorkersIsLimited) {
  v1::Export resource = Web();
  resource.mutable_sandbox()->mutable_limits()->set_memory_bytes(1);
  EXPECT_EQ(CloudHypervisorArguments(resource, "4G")[1], "size=4G,shared=on,prefault=on");
}

}  // namespace
}  // namespace fsd::cli
