#include "server/supervisor/export_difference.h"

#include "gtest/gtest.h"

namespace fsd::supervisor {
namespace {

using internal::ExportSpec;

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
  EXPECT_EQ(FirstDifference(WebSpec(), other), "sandbox.limits");
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

}  // namespace
}  // namespace fsd::supervisor
