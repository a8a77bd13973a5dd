#include "cli/export_changes.h"

#include <string>

#include "gtest/gtest.h"

namespace fsd::cli {
namespace {

TEST(FieldText, IsTheValueOnOneLine) {
  v1::Export resource;
  resource.set_tag("my\nfs");
  resource.set_read_only(true);
  resource.mutable_cache()->set_policy(v1::Cache::ALWAYS);
  resource.mutable_cache()->mutable_attr_timeout()->set_seconds(5);
  resource.mutable_sandbox()->add_drop_capabilities("CAP_MKNOD");
  resource.mutable_sandbox()->mutable_limits()->set_threads(64);
  resource.mutable_transport()->set_request_queues(4);
  (*resource.mutable_labels())["b"] = "2";
  (*resource.mutable_labels())["a"] = "1";

  EXPECT_EQ(FieldText(resource, "tag"), "my\\x0afs");
  EXPECT_EQ(FieldText(resource, "read_only"), "true");
  EXPECT_EQ(FieldText(resource, "cache.policy"), "ALWAYS");
  EXPECT_EQ(FieldText(resource, "cache.attr_timeout"), "5s");
  EXPECT_EQ(FieldText(resource, "sandbox.drop_capabilities"), "[\"CAP_MKNOD\"]");
  EXPECT_EQ(FieldText(resource, "sandbox.limits"), "{\"threads\":\"64\"}");
  resource.mutable_socket()->set_mode(0660);
  EXPECT_EQ(FieldText(resource, "socket.mode"), "0660");
  EXPECT_EQ(FieldText(resource, "transport.request_queues"), "4");
  EXPECT_EQ(FieldText(resource, "labels"), "a=1, b=2");
}

TEST(FieldText, OfADefaultIsUnset) {
  EXPECT_EQ(FieldText({}, "read_only"), "unset");
  EXPECT_EQ(FieldText({}, "cache.attr_timeout"), "unset");
  EXPECT_EQ(FieldText({}, "sandbox.drop_capabilities"), "unset");
  EXPECT_EQ(FieldText({}, "labels"), "unset");
  EXPECT_EQ(FieldText({}, "of.a_newer_server"), "unset");
}

TEST(ChangeLines, SayFromWhatToWhatAndWhen) {
  v1::Export before;
  (*before.mutable_labels())["tier"] = "back";
  v1::UpdateExportResponse update;
  (*update.mutable_export_()->mutable_labels())["tier"] = "front";
  update.mutable_export_()->mutable_cache()->set_writeback(true);
  v1::FieldEffect* effect = update.add_effects();
  effect->set_field("labels");
  effect->set_effect(v1::FieldEffect::LIVE);
  effect = update.add_effects();
  effect->set_field("cache.writeback");
  effect->set_effect(v1::FieldEffect::NEXT_CONNECTION);

  EXPECT_EQ(ChangeLines(before, update),
            "  labels: tier=back -> tier=front (live)\n"
            "  cache.writeback: unset -> true (next connection)\n");
}

}  // namespace
}  // namespace fsd::cli
