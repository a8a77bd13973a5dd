#include "server/control/sandbox_validation.h"

#include <string>

#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

namespace fsd::control {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;

FieldViolations Check(const std::string& text) {
  v1::Export resource;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &resource)) << text;
  FieldChecks checks;
  CheckSandbox(resource, checks);
  return checks.Take();
}

class GoodSandbox : public testing::TestWithParam<const char*> {};

TEST_P(GoodSandbox, Passes) { EXPECT_THAT(Check(GetParam()), IsEmpty()); }

INSTANTIATE_TEST_SUITE_P(
    Sandboxes, GoodSandbox,
    testing::Values(
        "", "sandbox { mode: NONE seccomp: OFF }",
        "sandbox { add_capabilities: 'CAP_LINUX_IMMUTABLE' add_capabilities: 'CAP_BPF' "
        "drop_capabilities: 'CAP_MKNOD' drop_capabilities: 'CAP_CHECKPOINT_RESTORE' }",
        // What it asks for is so anyway.
        "sandbox { add_capabilities: 'CAP_CHOWN' drop_capabilities: 'CAP_SYS_BOOT' }",
        "inodes { host_handles: PREFER } sandbox { drop_capabilities: 'CAP_DAC_OVERRIDE' }",
        "sandbox { limits { memory_bytes: 16777216 open_files: 256 threads: 16 "
        "cpu_microseconds_per_second: 1000 io_read_bytes_per_second: 1 "
        "io_write_bytes_per_second: 1 io_read_operations_per_second: 1 "
        "io_write_operations_per_second: 1 } }",
        "sandbox { limits { memory_bytes: 18446744073709551615 open_files: 2147483648 "
        "threads: 4194304 cpu_microseconds_per_second: 8192000000 } }",
        "sandbox { limits { open_files: 1001 } } inodes { max_file_descriptors: 1000 }",
        "inodes { max_file_descriptors: 1000 }",
        "sandbox { mode: NAMESPACE } ids { uid_namespace { count: 1 } gid_mount { count: 1 } }",
        "ids { uid_namespace { count: 1 } gid_namespace { count: 1 } }"));

struct Case {
  const char* text;
  const char* field;
  const char* says;
};

class BadSandbox : public testing::TestWithParam<Case> {};

TEST_P(BadSandbox, IsNamedWithWhatIsWrong) {
  EXPECT_THAT(Check(GetParam().text),
              ElementsAre(AllOf(Field(&FieldViolation::field, GetParam().field),
                                Field(&FieldViolation::reason, v1::FIELD_INVALID),
                                Field(&FieldViolation::description, HasSubstr(GetParam().says)))));
}

INSTANTIATE_TEST_SUITE_P(
    Sandboxes, BadSandbox,
    testing::Values(
        Case{"sandbox { add_capabilities: 'cap_chown' }", "export.sandbox.add_capabilities[0]",
             "\"cap_chown\" is no capability; there are CAP_CHOWN, CAP_DAC_OVERRIDE, "},
        Case{"sandbox { drop_capabilities: 'CAP_MKNOD' drop_capabilities: 'MKNOD' }",
             "export.sandbox.drop_capabilities[1]", "\"MKNOD\" is no capability"},
        Case{"sandbox { drop_capabilities: '' }", "export.sandbox.drop_capabilities[0]",
             "no capability"},
        Case{"sandbox { add_capabilities: 'CAP_BPF' add_capabilities: 'CAP_BPF' }",
             "export.sandbox.add_capabilities[1]", "CAP_BPF is named twice"},
        Case{"inodes { host_handles: ALWAYS } sandbox { drop_capabilities: 'CAP_DAC_OVERRIDE' }",
             "export.inodes.host_handles", "ALWAYS takes CAP_DAC_OVERRIDE, which"},
        Case{"sandbox { add_capabilities: 'CAP_BPF' drop_capabilities: 'CAP_BPF' }",
             "export.sandbox.drop_capabilities", "CAP_BPF is among add_capabilities too"},
        Case{"sandbox { limits { memory_bytes: 16777215 } }", "export.sandbox.limits.memory_bytes",
             "16777215 is less than 16777216; 0 is no limit"},
        Case{"sandbox { limits { open_files: 255 } }", "export.sandbox.limits.open_files",
             "from 256 to 2147483648"},
        Case{"sandbox { limits { open_files: 2147483649 } }", "export.sandbox.limits.open_files",
             "from 256 to 2147483648"},
        Case{"sandbox { limits { open_files: 1000 } } inodes { max_file_descriptors: 1000 }",
             "export.sandbox.limits.open_files", "no room for 1000 of inodes.max_file_descriptors"},
        Case{"sandbox { limits { threads: 15 } }", "export.sandbox.limits.threads",
             "from 16 to 4194304"},
        Case{"sandbox { limits { threads: 4194305 } }", "export.sandbox.limits.threads",
             "from 16 to 4194304"},
        Case{"sandbox { limits { cpu_microseconds_per_second: 999 } }",
             "export.sandbox.limits.cpu_microseconds_per_second", "from 1000 to 8192000000"},
        Case{"sandbox { limits { cpu_microseconds_per_second: 8192000001 } }",
             "export.sandbox.limits.cpu_microseconds_per_second", "from 1000 to 8192000000"},
        Case{"sandbox { mode: CHROOT } ids { uid_namespace { count: 1 } }",
             "export.ids.uid_namespace", "needs sandbox.mode NAMESPACE, not CHROOT"},
        Case{"sandbox { mode: NONE } ids { gid_namespace { count: 1 } }",
             "export.ids.gid_namespace", "needs sandbox.mode NAMESPACE, not NONE"},
        Case{"sandbox { mode: NONE } ids { uid_mount { count: 1 } }", "export.ids.uid_mount",
             "needs sandbox.mode NAMESPACE, not NONE"},
        Case{"sandbox { mode: CHROOT } ids { gid_mount { count: 1 } }", "export.ids.gid_mount",
             "needs sandbox.mode NAMESPACE, not CHROOT"}));

TEST(CheckSandbox, AllThatIsWrongIsNamedAtOnce) {
  EXPECT_THAT(Check("sandbox { mode: NONE add_capabilities: 'CAP_ALL' limits { threads: 1 "
                    "memory_bytes: 1 } } ids { uid_namespace { count: 1 } }"),
              ElementsAre(Field(&FieldViolation::field, "export.sandbox.add_capabilities[0]"),
                          Field(&FieldViolation::field, "export.sandbox.limits.memory_bytes"),
                          Field(&FieldViolation::field, "export.sandbox.limits.threads"),
                          Field(&FieldViolation::field, "export.ids.uid_namespace")));
}

}  // namespace
}  // namespace fsd::control
