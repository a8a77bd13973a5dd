#include "server/fuse/creation.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/fuse/abi.h"
#include "server/fuse/recording_filesystem.h"
#include "server/fuse/request_driver.h"

namespace fsd::fuse {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// `size` 0: the right one.
std::string Extension(uint32_t type, std::string body, uint32_t size = 0) {
  body.resize((body.size() + 7) / 8 * 8, '\0');
  const auto whole = static_cast<uint32_t>(sizeof(fuse_ext_header) + body.size());
  return Raw(fuse_ext_header{.size = size != 0 ? size : whole, .type = type}) + body;
}

std::string Context(std::string_view name, std::string_view value) {
  return Raw(fuse_secctx{.size = static_cast<uint32_t>(value.size()), .padding = 0}) + Text(name) +
         std::string(value);
}

std::string Security(std::string_view name = "security.selinux",
                     std::string_view value = "user_u:object_r") {
  return Extension(/*contexts=*/1, Context(name, value));
}

std::string Groups(uint32_t count, uint32_t group) {
  return Extension(kExtensionGroups, Raw(SuppGroups{.nr_groups = count}) + Raw(group));
}

std::string MakeDirectory(std::string_view extensions) {
  std::string message = Message(
      FUSE_MKDIR, 1,
      Raw(fuse_mkdir_in{.mode = 0755, .umask = 022}) + Text("name") + std::string(extensions));
  const auto units = static_cast<uint16_t>(extensions.size() / kExtensionUnitBytes);
  std::memcpy(message.data() + offsetof(fuse_in_header, total_extlen), &units, sizeof(units));
  return message;
}

class CreationContext : public ::testing::Test {
 protected:
  int ErrorOf(const std::string& message) { return driver_.SendBytes(message).error(); }

  RecordingFilesystem filesystem_;
  RequestDriver driver_{filesystem_, {.security_label = Use::kAuto}};
};

TEST_F(CreationContext, LabelAndGroupAreExtensions) {
  EXPECT_EQ(ErrorOf(MakeDirectory(Security() + Groups(1, 50))), 0);
  EXPECT_EQ(ErrorOf(MakeDirectory(Groups(1, 51))), 0);

  EXPECT_THAT(filesystem_.TakeCalls(),
              ElementsAre("MakeDirectory(1, name, mode=755, umask=22, group=50, "
                          "security.selinux=user_u:object_r)",
                          "MakeDirectory(1, name, mode=755, umask=22, group=51)"));
}

TEST_F(CreationContext, AGuestWithoutASecurityModuleSendsNone) {
  EXPECT_EQ(ErrorOf(MakeDirectory(Extension(/*contexts=*/0, "") + Groups(0, 50))), 0);

  EXPECT_THAT(filesystem_.TakeCalls(), ElementsAre("MakeDirectory(1, name, mode=755, umask=22)"));
}

TEST_F(CreationContext, ComesWithEverythingThatIsMade) {
  const std::string label = Security("security.a", "L");
  const auto send = [&](uint32_t opcode, const std::string& arguments) {
    std::string message = Message(opcode, 1, arguments + label);
    message[offsetof(fuse_in_header, total_extlen)] =
        static_cast<char>(label.size() / kExtensionUnitBytes);
    EXPECT_EQ(ErrorOf(message), 0);
  };

  send(FUSE_MKNOD, Raw(fuse_mknod_in{.mode = S_IFIFO | 0600}) + Text("n"));
  send(FUSE_SYMLINK, Text("n") + Text("target"));
  send(FUSE_CREATE, Raw(fuse_create_in{}) + Text("n"));
  send(FUSE_TMPFILE, Raw(fuse_create_in{}) + Text("/"));

  EXPECT_THAT(filesystem_.TakeCalls(),
              ElementsAre("MakeNode(1, n, mode=10600, umask=0, device=0, security.a=L)",
                          "Symlink(1, n, target, security.a=L)",
                          "Create(1, n, mode=0, umask=0, flags=0, kill=0, security.a=L)",
                          "CreateTemporary(1, mode=0, umask=0, flags=0, kill=0, security.a=L)"));
}

TEST_F(CreationContext, OlderGuestsAppendTheLabelToTheNames) {
  const std::string names = Raw(fuse_mkdir_in{}) + Text("name");

  EXPECT_EQ(driver_.Send(FUSE_MKDIR, 1, names + Security()).error(), 0);
  EXPECT_EQ(driver_.Send(FUSE_SYMLINK, 1, Text("n") + Text("target") + Security()).error(), 0);
  EXPECT_EQ(driver_.Send(FUSE_MKDIR, 1, names + Extension(/*contexts=*/0, "")).error(), 0);

  EXPECT_THAT(filesystem_.TakeCalls(),
              ElementsAre("MakeDirectory(1, name, mode=0, umask=0, "
                          "security.selinux=user_u:object_r)",
                          "Symlink(1, n, target, security.selinux=user_u:object_r)",
                          "MakeDirectory(1, name, mode=0, umask=0)"));
}

TEST_F(CreationContext, MayBeLong) {
  const std::string value(65536, 'v');

  EXPECT_EQ(ErrorOf(MakeDirectory(Security("security.selinux", value) + Groups(1, 50))), 0);

  EXPECT_THAT(filesystem_.TakeCalls(),
              ElementsAre("MakeDirectory(1, name, mode=755, umask=22, group=50, security.selinux=" +
                          value + ")"));
}

TEST_F(CreationContext, ThatWasNotAgreedOnIsEINVAL) {
  RequestDriver unlabelled(filesystem_);
  RequestDriver ungrouped(filesystem_);
  ungrouped.Send(FUSE_INIT, 0, InitArguments(7, 36, FUSE_BIG_WRITES));

  EXPECT_EQ(unlabelled.SendBytes(MakeDirectory(Security())).error(), EINVAL);
  EXPECT_EQ(unlabelled.SendBytes(MakeDirectory(Groups(1, 50))).error(), 0);
  EXPECT_EQ(ungrouped.SendBytes(MakeDirectory(Groups(1, 50))).error(), EINVAL);
}

TEST_F(CreationContext, OnlySecurityAttributesAreLabels) {
  for (const char* name : {"user.a", "trusted.a", "system.posix_acl_access", "securit", ""}) {
    EXPECT_NE(ErrorOf(MakeDirectory(Security(name))), 0) << name;
  }
  EXPECT_THAT(filesystem_.TakeCalls(), IsEmpty());
}

TEST_F(CreationContext, WhatIsThereTwiceIsEINVAL) {
  EXPECT_EQ(ErrorOf(MakeDirectory(Security() + Security())), EINVAL);
  EXPECT_EQ(ErrorOf(MakeDirectory(Groups(1, 50) + Groups(1, 50))), EINVAL);
  EXPECT_EQ(
      ErrorOf(MakeDirectory(Extension(2, Context("security.a", "L") + Context("security.b", "M")))),
      EINVAL);
  EXPECT_EQ(ErrorOf(MakeDirectory(Groups(2, 50))), EINVAL);
  EXPECT_THAT(filesystem_.TakeCalls(), IsEmpty());
}

TEST_F(CreationContext, SizesThatLieAreEINVAL) {
  const std::string context = Context("security.a", "label");
  for (const uint32_t size : {1u, 7u, 8u, 16u, 24u, 1000u, 0x80000000u, 0xffffffffu}) {
    EXPECT_EQ(ErrorOf(MakeDirectory(Extension(1, context, size))), EINVAL) << size;
  }
  for (const uint32_t size : {1u, 7u, 8u, 17u, 0xffffffffu}) {
    const std::string group = Raw(SuppGroups{.nr_groups = 1}) + Raw(50);
    EXPECT_EQ(ErrorOf(MakeDirectory(Extension(kExtensionGroups, group, size))), EINVAL) << size;
  }
  for (const uint32_t size : {100u, 0x7fffffffu, 0xffffffffu}) {
    const std::string body = Raw(fuse_secctx{.size = size, .padding = 0}) + Text("security.a");
    EXPECT_EQ(ErrorOf(MakeDirectory(Extension(1, body))), EINVAL) << size;
  }
  EXPECT_THAT(filesystem_.TakeCalls(), IsEmpty());
}

TEST_F(CreationContext, UnknownTypesAndLooseBytesAreEINVAL) {
  EXPECT_EQ(ErrorOf(MakeDirectory(Extension(33, "12345678"))), EINVAL);
  EXPECT_EQ(ErrorOf(MakeDirectory(Extension(0xffffffff, ""))), EINVAL);
  EXPECT_EQ(ErrorOf(MakeDirectory(Security() + std::string(8, '\0'))), EINVAL);
  EXPECT_EQ(driver_.Send(FUSE_MKDIR, 1, Raw(fuse_mkdir_in{}) + Text("name") + "loose").error(),
            EINVAL);
  EXPECT_THAT(filesystem_.TakeCalls(), IsEmpty());
}

TEST_F(CreationContext, ANameNeverReachesIntoTheExtensions) {
  const std::string label = Security();
  std::string message = Message(FUSE_MKDIR, 1, Raw(fuse_mkdir_in{}) + "name" + label);
  message[offsetof(fuse_in_header, total_extlen)] =
      static_cast<char>(label.size() / kExtensionUnitBytes);

  EXPECT_EQ(ErrorOf(message), EINVAL);
  EXPECT_THAT(filesystem_.TakeCalls(), IsEmpty());
}

}  // namespace
}  // namespace fsd::fuse
