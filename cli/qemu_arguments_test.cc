#include "cli/qemu_arguments.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace fsd::cli {
namespace {

v1::Export Export(const std::string& socket, const std::string& tag) {
  v1::Export resource;
  resource.mutable_socket()->set_path(socket);
  resource.set_tag(tag);
  return resource;
}

TEST(QemuArguments, AreReadyToUse) {
  EXPECT_EQ(ShellLine(QemuArguments(Export("/run/fsd/exports/web.sock", "myfs"), "4G")),
            "-chardev socket,id=char0,path=/run/fsd/exports/web.sock"
            " -device vhost-user-fs-pci,chardev=char0,tag=myfs"
            " -object memory-backend-memfd,id=mem,size=4G,share=on"
            " -numa node,memdev=mem");
}

TEST(QemuArguments, NameTheRequestQueuesIfThereIsMoreThanOne) {
  v1::Export resource = Export("/run/a", "myfs");
  resource.mutable_transport()->set_request_queues(4);

  EXPECT_THAT(QemuArguments(resource, "1G"),
              testing::Contains("vhost-user-fs-pci,chardev=char0,tag=myfs,num-request-queues=4"));
}

TEST(QemuArguments, AllocateTheGuestsMemoryForAWorkerWhoseMemoryIsLimited) {
  v1::Export resource = Export("/run/a", "myfs");
  resource.mutable_sandbox()->mutable_limits()->set_memory_bytes(uint64_t{1} << 30);

  EXPECT_THAT(QemuArguments(resource, "1G"),
              testing::Contains("memory-backend-memfd,id=mem,size=1G,share=on,prealloc=on"));
}

TEST(QemuArguments, ACommaInAValueDoesNotEndIt) {
  EXPECT_THAT(QemuArguments(Export("/run/a,id=evil", "a,b"), "1G"),
              testing::IsSupersetOf({"socket,id=char0,path=/run/a,,id=evil",
                                     "vhost-user-fs-pci,chardev=char0,tag=a,,b"}));
}

TEST(ShellLine, QuotesOnlyWhatTheShellWouldSplitOrRead) {
  EXPECT_EQ(ShellLine({"plain=1,2", "two words", "it's", "$(rm)", "", "ä"}),
            "plain=1,2 'two words' 'it'\\''s' '$(rm)' '' 'ä'");
}

TEST(IsMemorySize, TakesWhatQemuTakes) {
  for (const char* good : {"512", "512M", "4G", "1t"}) EXPECT_TRUE(IsMemorySize(good)) << good;
  for (const char* bad : {"", "G", "0", "4GB", "4 G", "-1", "4G,share=off"}) {
    EXPECT_FALSE(IsMemorySize(bad)) << bad;
  }
}

}  // namespace
}  // namespace fsd::cli
