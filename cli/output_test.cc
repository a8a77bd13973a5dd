#include "cli/output.h"

#include <chrono>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace fsd::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

v1::Export Web() {
  v1::Export resource;
  resource.set_name("exports/web");
  resource.mutable_source()->mutable_passthrough()->set_path("/srv/web");
  resource.set_tag("web");
  resource.mutable_socket()->set_path("/run/fsd/exports/web.sock");
  resource.mutable_socket()->set_mode(0660);
  resource.mutable_cache()->set_policy(v1::Cache::METADATA);
  resource.mutable_semantics()->set_locks(v1::Semantics::SHARED);
  resource.mutable_create_time()->set_seconds(1'700'000'000);
  resource.mutable_status()->set_state(v1::ExportStatus::LISTENING);
  return resource;
}

TEST(AlignedTable, PadsEachColumnToItsWidestCellInCharacters) {
  EXPECT_EQ(AlignedTable({{"NAME", "TAG"}, {"ä", "x"}, {"longer", "y"}}),
            "NAME    TAG\n"
            "ä       x\n"
            "longer  y\n");
}

TEST(ExportTable, HasARowForEachExport) {
  EXPECT_EQ(ExportTable({Web()}, {}, {}),
            "NAME         STATE      TAG  SOURCE    SOCKET\n"
            "exports/web  LISTENING  web  /srv/web  /run/fsd/exports/web.sock\n");
}

TEST(ExportTable, TheWideOneHasTheLimits) {
  v1::Export resource = Web();
  resource.mutable_qos()->mutable_write()->set_bytes_per_second(4096);
  EXPECT_THAT(ExportTable({resource}, {.format = Format::kWide}, {}), HasSubstr("  write 4K/s  "));
}

TEST(ExportFields, ShowsTheSpecificationAndWhatGoesOn) {
  v1::Export resource = Web();
  (*resource.mutable_labels())["b"] = "2";
  (*resource.mutable_labels())["a"] = "1";
  v1::ExportStatus& status = *resource.mutable_status();
  status.set_state(v1::ExportStatus::MOUNTED);
  status.mutable_connection()->mutable_fuse()->set_major(7);
  status.mutable_connection()->mutable_fuse()->set_minor(38);
  status.set_inodes(12);
  status.add_conditions()->set_reason("WORKER_CRASHED");

  const std::string text = ExportFields(resource, {});

  EXPECT_THAT(text, HasSubstr("State:            MOUNTED\n"));
  EXPECT_THAT(text, HasSubstr("Cache:            metadata\n"));
  EXPECT_THAT(text, HasSubstr("Locks:            shared\n"));
  EXPECT_THAT(text, HasSubstr("uid 0, gid 0, mode 0660\n"));
  EXPECT_THAT(text, HasSubstr("Labels:           a=1, b=2\n"));
  EXPECT_THAT(text, HasSubstr("Created:          2023-11-14T22:13:20Z\n"));
  EXPECT_THAT(text, HasSubstr("FUSE version:     7.38\n"));
  EXPECT_THAT(text, HasSubstr("Inodes:           12\n"));
  EXPECT_THAT(text, HasSubstr("WORKER_CRASHED"));
}

TEST(ExportFields, LeavesOutWhatThereIsNot) {
  const std::string text = ExportFields(Web(), {});

  EXPECT_THAT(text, Not(HasSubstr("Labels")));
  EXPECT_THAT(text, Not(HasSubstr("FUSE")));
  EXPECT_THAT(text, Not(HasSubstr("Xattr")));
  EXPECT_THAT(text, Not(HasSubstr("Condition")));
}

TEST(ServerFields, ShowTheBoundsOfWhatExportsMayAskFor) {
  v1::ServerInfo info;
  info.add_allowed_socket_uids("0");
  info.add_allowed_socket_uids("1000-1999");
  info.set_weakest_sandbox(v1::Sandbox::CHROOT);
  info.set_weakest_seccomp(v1::Sandbox::KILL);
  info.add_allowed_capabilities("CAP_BPF");

  const std::string text = ServerFields("unix:///fsd.sock", info);

  EXPECT_THAT(text, HasSubstr("Socket users:       0, 1000-1999\n"));
  EXPECT_THAT(text, HasSubstr("Weakest sandbox:    chroot\n"));
  EXPECT_THAT(text, HasSubstr("Weakest seccomp:    kill\n"));
  EXPECT_THAT(text, HasSubstr("Addable caps:       CAP_BPF\n"));
  EXPECT_THAT(text, HasSubstr("Cgroup:             none\n"));
}

TEST(ExportText, IsInTheFormatAskedFor) {
  EXPECT_EQ(ExportText(Web(), {}), ExportFields(Web(), {}));
  EXPECT_EQ(ExportText(Web(), {.format = Format::kWide}), ExportFields(Web(), {}));
  EXPECT_EQ(ExportText(Web(), {.format = Format::kJson}), Json(Web()));
  EXPECT_EQ(ExportText(Web(), {.format = Format::kName}), "exports/web\n");
  EXPECT_THAT(ExportText(Web(), {.format = Format::kYaml}), HasSubstr("readOnly: false\n"));
}

TEST(ExportTable, CanLeaveOutTheHeading) {
  EXPECT_EQ(ExportTable({Web()}, {.headers = false}, {}),
            "exports/web  LISTENING  web  /srv/web  /run/fsd/exports/web.sock\n");
}

TEST(ExportTable, WideAddsWhatElseAnOperatorAsksFor) {
  v1::Export resource = Web();
  (*resource.mutable_labels())["tier"] = "front";
  resource.mutable_owner()->set_system("libvirt");
  resource.mutable_owner()->set_vm_id("7");
  resource.mutable_status()->set_worker_pid(42);
  resource.mutable_status()->add_conditions()->set_reason("UPDATE_PENDING");

  const std::string text = ExportTable({resource}, {.format = Format::kWide, .headers = false},
                                       std::chrono::system_clock::from_time_t(1'700'000'000 + 180));

  EXPECT_THAT(text, HasSubstr("metadata  3m  42  0  0  0  "));
  EXPECT_THAT(text, HasSubstr("libvirt/7  tier=front  UPDATE_PENDING\n"));
}

TEST(ExportTable, ColoursTakeNoSpace) {
  v1::Export failed = Web();
  failed.mutable_status()->set_state(v1::ExportStatus::FAILED);

  EXPECT_EQ(ExportTable({Web(), failed}, {.headers = false, .color = true}, {}),
            "exports/web  \x1b[32mLISTENING\x1b[0m  web  /srv/web  /run/fsd/exports/web.sock\n"
            "exports/web  \x1b[31mFAILED\x1b[0m     web  /srv/web  /run/fsd/exports/web.sock\n");
}

TEST(AgeText, HasTwoDigitsAndAUnit) {
  EXPECT_EQ(AgeText(std::chrono::seconds(99)), "99s");
  EXPECT_EQ(AgeText(std::chrono::seconds(100)), "1m");
  EXPECT_EQ(AgeText(std::chrono::hours(99)), "99h");
  EXPECT_EQ(AgeText(std::chrono::hours(100)), "4d");
  EXPECT_EQ(AgeText(std::chrono::seconds(-5)), "0s");  // the clocks differ
}

TEST(Json, KeepsFieldsAtTheirDefault) {
  EXPECT_THAT(Json(Web()), HasSubstr("\"readOnly\": false"));
}

TEST(JsonList, IsAnArrayOfStrings) {
  EXPECT_EQ(JsonList({"-a", "\"b\""}), "[\n \"-a\",\n \"\\\"b\\\"\"\n]\n");
}

}  // namespace
}  // namespace fsd::cli
