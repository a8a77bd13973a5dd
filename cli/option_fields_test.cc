#include "cli/option_fields.h"

#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

namespace fsd::cli {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

v1::Export FromText(const char* text) {
  v1::Export resource;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &resource));
  return resource;
}

TEST(OptionFields, DefaultsAreNotShown) {
  EXPECT_THAT(OptionFields(FromText("cache { policy: AUTO } semantics {} ids {} inodes {}")),
              IsEmpty());
}

TEST(OptionFields, EveryOptionIsShownAsCreateTakesIt) {
  const v1::Export resource = FromText(R"(
    cache {
      policy: ALWAYS
      attr_timeout { seconds: 90 }
      entry_timeout {}
      negative_timeout { nanos: 250000000 }
      writeback: true
      direct_io: true
      mmap: true
      readdirplus: READDIRPLUS_NEVER
      symlinks: true
      zero_message_open: true
    }
    semantics {
      xattr: true
      xattr_rules { type: OK scope: CLIENT key: "user.\033" }
      xattr_rules { type: MAP prepend: "user.vm." }
      posix_acl: USE_ALWAYS
      security_label: USE_AUTO
      killpriv: USE_NEVER
      submounts: false
      locks: SHARED
      lock_wait { seconds: 60 }
      preserve_noatime: true
    }
    ids {
      uid_translations { kind: MAP host_first: 1000 count: 10 }
      uid_translations { kind: FORBID_GUEST guest_first: 10 count: 1 }
      gid_translations { kind: SQUASH_GUEST host_first: 7 count: 10 }
      uid_mount { outside_first: 100000 count: 65536 }
      gid_mount { outside_first: 200000 count: 65536 }
      uid_namespace { outside_first: 300000 count: 65536 }
      gid_namespace { count: 1 }
      gid_namespace { inside_first: 1 outside_first: 400000 count: 65535 }
    }
    inodes { host_handles: ALWAYS max_file_descriptors: 1000 }
    transport { request_queues: 4 poll_us: 50 }
    sandbox {
      mode: CHROOT
      seccomp: ERRNO
      add_capabilities: "CAP_BPF"
      add_capabilities: "CAP_LINUX_IMMUTABLE"
      drop_capabilities: "CAP_MKNOD"
      limits {
        memory_bytes: 536870912
        open_files: 4096
        threads: 64
        cpu_microseconds_per_second: 500000
        io_read_bytes_per_second: 1048576
        io_write_bytes_per_second: 1000
        io_read_operations_per_second: 100
        io_write_operations_per_second: 200
      }
    }
    qos {
      read { operations_per_second: 1000 burst_operations: 50 }
      write { bytes_per_second: 10485760 }
      total { operations_per_second: 2000 bytes_per_second: 1073741824 burst_bytes: 1 }
    }
  )");

  EXPECT_THAT(
      OptionFields(resource),
      ElementsAre(
          Pair("Attr timeout", "90s"), Pair("Entry timeout", "0s"),
          Pair("Negative timeout", "250ms"), Pair("Writeback", "yes"), Pair("Direct io", "yes"),
          Pair("Mmap", "yes"), Pair("Readdirplus", "never"), Pair("Cache symlinks", "yes"),
          Pair("Zero-message open", "yes"), Pair("Xattr", "on"),
          Pair("Xattr map", ":ok:client:user.\\x1b:: :map::user.vm.:"), Pair("Posix acl", "always"),
          Pair("Security label", "auto"), Pair("Killpriv", "never"), Pair("Submounts", "no"),
          Pair("Locks", "shared"), Pair("Lock wait", "1m"), Pair("Preserve noatime", "yes"),
          Pair("Translate uid", "map:0:1000:10, forbid-guest:10:1"),
          Pair("Translate gid", "squash-guest:0:7:10"), Pair("Uid mount", "0:100000:65536"),
          Pair("Gid mount", "0:200000:65536"), Pair("Uid namespace", "0:300000:65536"),
          Pair("Gid namespace", "0:0:1, 1:400000:65535"), Pair("Host handles", "always"),
          Pair("Max inode fds", "1000"), Pair("Request queues", "4"), Pair("Poll us", "50"),
          Pair("Sandbox", "chroot"), Pair("Seccomp", "errno"),
          Pair("Add cap", "CAP_BPF, CAP_LINUX_IMMUTABLE"), Pair("Drop cap", "CAP_MKNOD"),
          Pair("Memory limit", "512M"), Pair("Open files limit", "4096"),
          Pair("Threads limit", "64"), Pair("Cpu limit", "0.5"), Pair("Io read bps", "1M"),
          Pair("Io write bps", "1000"), Pair("Io read iops", "100"), Pair("Io write iops", "200"),
          Pair("Read iops", "1000"), Pair("Read iops burst", "50"), Pair("Write bandwidth", "10M"),
          Pair("Total iops", "2000"), Pair("Total bandwidth", "1G"),
          Pair("Total bandwidth burst", "1")));
}

TEST(LimitsText, HasWhatIsLimited) {
  v1::Qos qos;
  EXPECT_EQ(LimitsText(qos), "");
  qos.mutable_read()->set_operations_per_second(1000);
  qos.mutable_read()->set_bytes_per_second(10485760);
  qos.mutable_total()->set_operations_per_second(2000);
  qos.mutable_total()->set_burst_operations(7);
  EXPECT_EQ(LimitsText(qos), "read 1000 iops 10M/s, total 2000 iops");
}

TEST(ChoiceName, IsTheValuesNameInLowerCase) {
  EXPECT_EQ(ChoiceName("METADATA"), "metadata");
  EXPECT_EQ(ChoiceName("USE_AUTO", "USE_"), "auto");
  EXPECT_EQ(ChoiceName(""), "unknown");
}

}  // namespace
}  // namespace fsd::cli
