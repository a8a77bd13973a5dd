#include "server/supervisor/export_difference.h"

#include "gmock/gmock.h"

namespace fsd::supervisor {
namespace {

using internal::ExportSpec;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

ExportSpec WebSpec() {
  ExportSpec spec;
  spec.set_id("web");
  spec.set_tag("myfs");
  spec.set_source_path("/srv/www");
  return spec;
}

TEST(FirstDifferenceTest, OfEqualsThereIsNone) {
  EXPECT_EQ(FirstDifference(WebSpec(), WebSpec()), "");
}

TEST(FirstDifferenceTest, TheFirstOfSeveralIsNamedAsTheApiNamesIt) {
  ExportSpec other = WebSpec();
  other.add_labels()->set_key("a");
  EXPECT_EQ(FirstDifference(WebSpec(), other), "labels");
  other.mutable_limits()->set_threads(16);
  EXPECT_EQ(FirstDifference(WebSpec(), other), "sandbox.limits.threads");
  other.set_attr_timeout_nanos(0);
  EXPECT_EQ(FirstDifference(WebSpec(), other), "cache.attr_timeout");
  other.set_read_only(true);
  EXPECT_EQ(FirstDifference(WebSpec(), other), "read_only");
  other.set_tag("other");
  EXPECT_EQ(FirstDifference(WebSpec(), other), "tag");
}

TEST(FirstDifferenceTest, ADefaultThatIsSpelledOutIsTheDefault) {
  ExportSpec unset = WebSpec();
  unset.set_xattr(true);
  unset.add_xattr_rules()->set_type(ExportSpec::XattrRule::OK);
  ExportSpec spelled = unset;
  spelled.set_readdirplus(ExportSpec::READDIRPLUS_AUTO);
  spelled.mutable_xattr_rules(0)->set_scope(ExportSpec::XattrRule::ALL);
  spelled.set_posix_acl(ExportSpec::USE_NEVER);
  spelled.set_security_label(ExportSpec::USE_NEVER);
  spelled.set_killpriv(ExportSpec::USE_AUTO);
  spelled.set_host_handles(ExportSpec::HOST_HANDLES_PREFER);
  spelled.set_sandbox_mode(ExportSpec::SANDBOX_NAMESPACE);
  spelled.set_seccomp(ExportSpec::SECCOMP_KILL);
  EXPECT_EQ(FirstDifference(unset, spelled), "");
  spelled.set_seccomp(ExportSpec::SECCOMP_ERRNO);
  EXPECT_EQ(FirstDifference(unset, spelled), "sandbox.seccomp");
}

TEST(FirstDifferenceTest, AFieldOfANewerProgramIsADifference) {
  ExportSpec other;
  ASSERT_TRUE(other.ParseFromString(WebSpec().SerializeAsString() + "\xc0\x3e\x01"));
  EXPECT_EQ(FirstDifference(WebSpec(), other), "a field that this program does not know");
}

std::vector<std::string_view> NamesOf(const std::vector<ChangedField>& fields) {
  std::vector<std::string_view> names;
  for (const ChangedField& field : fields) names.push_back(field.name);
  return names;
}

TEST(ChangedFieldsTest, AreAllThatDifferAndNoOther) {
  ExportSpec before = WebSpec();
  before.set_read_only(true);
  before.set_negative_timeout_nanos(5);
  ExportSpec after = WebSpec();
  after.set_tag("other");
  after.set_attr_timeout_nanos(0);
  after.set_negative_timeout_nanos(5);
  after.add_labels()->set_key("a");
  after.mutable_limits()->set_threads(16);

  EXPECT_THAT(
      NamesOf(ChangedFields(before, after)),
      ElementsAre("tag", "read_only", "cache.attr_timeout", "sandbox.limits.threads", "labels"));
  EXPECT_THAT(ChangedFields(after, after), IsEmpty());
}

TEST(ChangedFieldsTest, SayWhenTheyTakeEffect) {
  ExportSpec after = WebSpec();
  after.set_socket_path("/run/other.sock");
  EXPECT_EQ(ChangedFields(WebSpec(), after).at(0).effect, ChangeEffect::kNever);
  after = WebSpec();
  after.set_socket_mode(0666);
  EXPECT_EQ(ChangedFields(WebSpec(), after).at(0).effect, ChangeEffect::kLive);
  after = WebSpec();
  after.set_read_only(true);
  EXPECT_EQ(ChangedFields(WebSpec(), after).at(0).effect, ChangeEffect::kNextConnection);
  after = WebSpec();
  after.set_owner_vm_id("7");
  EXPECT_EQ(ChangedFields(WebSpec(), after).at(0).effect, ChangeEffect::kLive);
  after = WebSpec();
  after.mutable_qos()->mutable_read()->set_burst_bytes(7);
  EXPECT_EQ(ChangedFields(WebSpec(), after).at(0).name, "qos");
  EXPECT_EQ(ChangedFields(WebSpec(), after).at(0).effect, ChangeEffect::kLive);
}

TEST(ChangedFieldsTest, EachLimitIsAFieldOfItsOwn) {
  ExportSpec before = WebSpec();
  before.mutable_limits()->set_threads(16);
  before.mutable_limits()->set_memory_bytes(1);
  ExportSpec after = WebSpec();
  after.mutable_limits()->set_threads(17);
  after.mutable_limits()->set_open_files(4096);

  const std::vector<ChangedField> changed = ChangedFields(before, after);

  EXPECT_THAT(NamesOf(changed),
              ElementsAre("sandbox.limits.open_files", "sandbox.limits.memory_bytes",
                          "sandbox.limits.threads"));
  EXPECT_EQ(changed[0].effect, ChangeEffect::kNextConnection);
  EXPECT_EQ(changed[1].effect, ChangeEffect::kLive);
  EXPECT_EQ(changed[2].effect, ChangeEffect::kLive);
}

TEST(ChangedFieldsTest, AFieldOfANewerProgramCannotChange) {
  ExportSpec other;
  ASSERT_TRUE(other.ParseFromString(WebSpec().SerializeAsString() + "\xc0\x3e\x01"));
  const std::vector<ChangedField> changed = ChangedFields(WebSpec(), other);
  ASSERT_EQ(changed.size(), 1u);
  EXPECT_EQ(changed[0].effect, ChangeEffect::kNever);
}

}  // namespace
}  // namespace fsd::supervisor
