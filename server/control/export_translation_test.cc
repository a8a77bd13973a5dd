#include "server/control/export_translation.h"

#include <string>

#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "google/protobuf/util/message_differencer.h"
#include "gtest/gtest.h"

namespace fsd::control {
namespace {

v1::Export FromText(const std::string& text) {
  v1::Export resource;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &resource));
  return resource;
}

constexpr char kFullExport[] = R"(
  labels { key: "b" value: "2" }
  labels { key: "a" value: "1" }
  owner { system: "libvirt" vm_id: "vm-7" }
  source { passthrough { path: "/srv/web" } }
  tag: "web"
  advertise_tag: true
  socket { path: "/run/vm/web.sock" uid: 107 gid: 108 mode: 432 }
  read_only: true
  cache { policy: METADATA }
)";

supervisor::ExportView ViewOf(const internal::ExportSpec& spec) {
  supervisor::ExportView view;
  view.record.set_version(1);
  view.record.set_uid("some-uid");
  view.record.set_create_time_unix_nanos(1'500'000'000'123'456'789);
  view.record.set_update_time_unix_nanos(1'600'000'000'000'000'000);
  *view.record.mutable_spec() = spec;
  view.state = supervisor::ExportState::kListening;
  return view;
}

TEST(Translation, EveryServedFieldSurvivesTheRoundTrip) {
  const v1::Export asked = FromText(kFullExport);

  v1::Export shown = ToExport(ViewOf(ToSpec("web", asked)));

  EXPECT_EQ(shown.name(), "exports/web");
  EXPECT_EQ(shown.uid(), "some-uid");
  EXPECT_EQ(shown.create_time().seconds(), 1'500'000'000);
  EXPECT_EQ(shown.create_time().nanos(), 123'456'789);
  EXPECT_EQ(shown.update_time().seconds(), 1'600'000'000);
  shown.clear_name();
  shown.clear_uid();
  shown.clear_etag();
  shown.clear_create_time();
  shown.clear_update_time();
  shown.clear_status();
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(asked, shown))
      << shown.DebugString();
}

TEST(Translation, LabelsAreSortedSoThatEqualSpecsAreEqualBytes) {
  const internal::ExportSpec spec = ToSpec("web", FromText(kFullExport));

  ASSERT_EQ(spec.labels_size(), 2);
  EXPECT_EQ(spec.labels(0).key(), "a");
  EXPECT_EQ(spec.labels(1).key(), "b");
}

TEST(Translation, DefaultsAreFilledIn) {
  const internal::ExportSpec spec = ToSpec("web", FromText("tag: 'web'"));

  EXPECT_EQ(spec.socket_mode(), 0600u);
  EXPECT_EQ(spec.cache(), internal::ExportSpec::CACHE_AUTO);
  EXPECT_EQ(spec.socket_path(), "");
}

TEST(Translation, OutputOnlyFieldsDoNotReachTheSpec) {
  const v1::Export plain = FromText(kFullExport);
  v1::Export echoed = plain;
  echoed.set_name("exports/else");
  echoed.set_uid("u");
  echoed.mutable_status()->set_restarts(9);

  EXPECT_EQ(ToSpec("web", plain).SerializeAsString(), ToSpec("web", echoed).SerializeAsString());
}

TEST(Translation, StatusShowsTheWorker) {
  supervisor::ExportView view = ViewOf(ToSpec("web", FromText(kFullExport)));
  view.state = supervisor::ExportState::kMounted;
  view.conditions.push_back({"DEVICES_REFUSED", "why", absl::FromUnixSeconds(1'660'000'000)});
  view.last_failure = {"WORKER_CRASHED", "signal 11", absl::FromUnixSeconds(1'650'000'000)};
  view.worker_pid = 17;
  view.restarts = 2;
  view.worker.mutable_connection()->set_since_unix_nanos(1'700'000'000'000'000'001);
  view.worker.mutable_connection()->set_virtio_features(1ull << 32);
  view.worker.mutable_connection()->set_protocol_features(9);
  view.worker.mutable_connection()->set_queues(2);
  view.worker.mutable_connection()->set_fuse_major(7);
  view.worker.mutable_connection()->set_fuse_minor(38);
  view.worker.mutable_connection()->set_init_flags(5);
  view.worker.set_inodes(100);
  view.worker.set_open_files(3);
  view.worker.set_connections_accepted(4);
  view.worker.set_connections_refused(1);

  v1::ExportStatus expected;
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(R"(
    state: MOUNTED
    conditions { reason: "DEVICES_REFUSED" message: "why" time { seconds: 1660000000 } }
    worker_pid: 17
    connection {
      connect_time { seconds: 1700000000 nanos: 1 }
      virtio_features: 4294967296
      protocol_features: 9
      queues: 2
      fuse { major: 7 minor: 38 init_flags: 5 }
    }
    restarts: 2
    last_failure { reason: "WORKER_CRASHED" message: "signal 11" time { seconds: 1650000000 } }
    open_files: 3
    inodes: 100
    connections_accepted: 4
    connections_refused: 1
  )",
                                                            &expected));
  const v1::ExportStatus shown = ToExport(view).status();
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(expected, shown))
      << shown.DebugString();
}

TEST(Translation, AConditionThatIsNoFailureIsNotTheLastOne) {
  supervisor::ExportView view = ViewOf(ToSpec("web", FromText(kFullExport)));
  view.conditions.push_back({"INODE_REFERENCES_EXHAUSTED", "raise it", absl::FromUnixSeconds(1)});

  const v1::ExportStatus status = ToExport(view).status();

  ASSERT_EQ(status.conditions_size(), 1);
  EXPECT_EQ(status.conditions(0).reason(), "INODE_REFERENCES_EXHAUSTED");
  EXPECT_FALSE(status.has_last_failure());
}

TEST(Translation, NoFuseSessionBeforeInit) {
  supervisor::ExportView view = ViewOf(ToSpec("web", FromText(kFullExport)));
  view.worker.mutable_connection()->set_queues(1);

  EXPECT_FALSE(ToExport(view).status().connection().has_fuse());
}

TEST(Etag, ChangesWithTheRecordAndOnlyWithIt) {
  supervisor::ExportView view = ViewOf(ToSpec("web", FromText(kFullExport)));
  const std::string before = Etag(view.record);

  view.state = supervisor::ExportState::kMounted;
  EXPECT_EQ(ToExport(view).etag(), before);

  view.record.mutable_spec()->set_read_only(false);
  EXPECT_NE(ToExport(view).etag(), before);
}

TEST(Etag, IsAQuotedString) {
  EXPECT_THAT(Etag(internal::ExportRecord()), testing::MatchesRegex("\"[0-9a-f]{16}\""));
}

TEST(Translation, WhatALyingWorkerReportsIsShownAndHarmsNothing) {
  supervisor::ExportView view = ViewOf(ToSpec("web", FromText(kFullExport)));
  view.worker.set_inodes(UINT64_MAX);
  view.worker.set_connections_accepted(UINT64_MAX);
  internal::Connection& connection = *view.worker.mutable_connection();
  connection.set_since_unix_nanos(INT64_MIN);
  connection.set_queues(UINT32_MAX);
  connection.set_fuse_major(UINT32_MAX);

  const v1::ExportStatus status = ToExport(view).status();

  EXPECT_EQ(status.inodes(), UINT64_MAX);
  EXPECT_EQ(status.connections_accepted(), UINT64_MAX);
  EXPECT_EQ(status.connection().connect_time().seconds(), -9'223'372'037);
  EXPECT_EQ(status.connection().connect_time().nanos(), 145'224'192);
  EXPECT_EQ(status.connection().queues(), UINT32_MAX);
  EXPECT_EQ(status.connection().fuse().major(), UINT32_MAX);
}

}  // namespace
}  // namespace fsd::control
