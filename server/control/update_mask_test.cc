#include "server/control/update_mask.h"

#include "gmock/gmock.h"
#include "server/control/served_export_fields.h"

namespace fsd::control {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

google::protobuf::FieldMask Mask(const std::vector<std::string>& paths) {
  google::protobuf::FieldMask mask;
  for (const std::string& path : paths) mask.add_paths(path);
  return mask;
}

std::vector<std::string> Read(const std::vector<std::string>& paths) {
  FieldViolations violations;
  std::vector<std::string> fields = ReadUpdateMask(Mask(paths), violations);
  EXPECT_THAT(violations, IsEmpty());
  return fields;
}

FieldViolations Violations(const std::string& path) {
  FieldViolations violations;
  EXPECT_THAT(ReadUpdateMask(Mask({path}), violations), IsEmpty());
  return violations;
}

TEST(ReadUpdateMask, TakesFieldsMessagesAndLabels) {
  EXPECT_THAT(Read({"labels", "cache.policy"}), ElementsAre("labels", "cache.policy"));
  EXPECT_THAT(Read({"owner"}), ElementsAre("owner.system", "owner.vm_id"));
  EXPECT_THAT(Read({"labels.example.com/tier"}), ElementsAre("labels.example.com/tier"));
  EXPECT_THAT(Read({"*"}), ElementsAreArray(ServedExportFields()));
}

TEST(ReadUpdateMask, NamesWhatOnlyTheServerSets) {
  for (const char* path : {"uid", "name", "status", "status.state", "etag"}) {
    const FieldViolations violations = Violations(path);
    ASSERT_THAT(violations, SizeIs(1)) << path;
    EXPECT_EQ(violations[0].reason, v1::FIELD_OUTPUT_ONLY);
    EXPECT_THAT(violations[0].field, HasSubstr(path));
  }
}

TEST(ReadUpdateMask, NamesWhatIsNotThere) {
  for (const char* path : {"", "cach", "cache.", "cache.policy.x", "labels.", "tag.x", "uids"}) {
    const FieldViolations violations = Violations(path);
    ASSERT_THAT(violations, SizeIs(1)) << path;
    EXPECT_EQ(violations[0].reason, v1::FIELD_NOT_SERVED);
    EXPECT_EQ(violations[0].description, "Export has no such field");
  }
  EXPECT_THAT(Violations("transport.max_queue_size").at(0).description,
              HasSubstr("does not serve the field yet"));
}

TEST(CopyFields, CopiesWhatIsNamedAndNothingElse) {
  v1::Export from;
  from.set_tag("new");
  from.mutable_cache()->set_policy(v1::Cache::NEVER);
  from.mutable_cache()->mutable_attr_timeout()->set_seconds(5);
  from.mutable_cache()->set_writeback(true);
  v1::Export to;
  to.set_tag("old");
  to.mutable_cache()->mutable_attr_timeout()->set_nanos(1);
  to.mutable_cache()->set_mmap(true);

  CopyFields(Read({"cache.policy", "cache.attr_timeout"}), from, to);

  EXPECT_EQ(to.tag(), "old");
  EXPECT_EQ(to.cache().policy(), v1::Cache::NEVER);
  EXPECT_EQ(to.cache().attr_timeout().seconds(), 5);
  EXPECT_EQ(to.cache().attr_timeout().nanos(), 0);
  EXPECT_FALSE(to.cache().writeback());
  EXPECT_TRUE(to.cache().mmap());
}

TEST(CopyFields, WhatIsNotSetIsNotSetThen) {
  v1::Export to;
  to.set_read_only(true);
  to.mutable_cache()->mutable_attr_timeout()->set_seconds(5);
  to.mutable_semantics()->set_submounts(true);
  to.mutable_semantics()->add_xattr_rules()->set_key("a");
  (*to.mutable_labels())["a"] = "1";

  CopyFields(Read({"*"}), v1::Export(), to);

  EXPECT_FALSE(to.read_only());
  EXPECT_FALSE(to.cache().has_attr_timeout());
  EXPECT_FALSE(to.semantics().has_submounts());
  EXPECT_THAT(to.semantics().xattr_rules(), IsEmpty());
  EXPECT_TRUE(to.labels().empty());
}

TEST(CopyFields, ListsAndMapsAreReplacedAndSingleLabelsChanged) {
  v1::Export from;
  (*from.mutable_labels())["tier"] = "front";
  from.mutable_sandbox()->add_drop_capabilities("CAP_CHOWN");
  v1::Export to;
  (*to.mutable_labels())["zone"] = "1";
  (*to.mutable_labels())["gone"] = "1";
  to.mutable_sandbox()->add_drop_capabilities("CAP_FOWNER");
  v1::Export single = to;

  CopyFields(Read({"labels", "sandbox.drop_capabilities"}), from, to);
  CopyFields(Read({"labels.tier", "labels.gone"}), from, single);

  EXPECT_THAT(to.labels(), SizeIs(1));
  EXPECT_THAT(to.sandbox().drop_capabilities(), ElementsAre("CAP_CHOWN"));
  EXPECT_THAT(single.labels(), SizeIs(2));
  EXPECT_EQ(single.labels().at("tier"), "front");
  EXPECT_EQ(single.labels().at("zone"), "1");
}

}  // namespace
}  // namespace fsd::control
