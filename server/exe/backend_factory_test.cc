#include "server/exe/backend_factory.h"

#include <string>

#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace fsd::exe {
namespace {

using internal::ExportSpec;

passthrough::Options Options(const ExportSpec& spec) {
  auto options = PassthroughOptions(spec);
  EXPECT_TRUE(options.ok()) << options.status();
  return *std::move(options);
}

std::string HostName(const passthrough::Options& options, std::string_view guest) {
  const auto name = options.xattr_map.ToHost(guest);
  return name.ok() ? name->c_str() : "";
}

TEST(PassthroughOptionsTest, NothingIsOnUnlessAskedFor) {
  const passthrough::Options options = Options({});
  EXPECT_FALSE(options.read_only);
  EXPECT_FALSE(options.xattr);
  EXPECT_FALSE(options.posix_acl);
  EXPECT_TRUE(options.uids.identity());
  EXPECT_TRUE(options.gids.identity());
  EXPECT_FALSE(options.open_policy.writeback);
  EXPECT_FALSE(options.open_policy.direct_io);
  EXPECT_FALSE(options.open_policy.preserve_noatime);
  EXPECT_FALSE(options.zero_message_open);
  EXPECT_FALSE(options.shared_locks);
}

TEST(PassthroughOptionsTest, EachFieldSetsItsOwnOption) {
  ExportSpec spec;
  spec.set_read_only(true);
  EXPECT_TRUE(Options(spec).read_only);
  spec = {};
  spec.set_xattr(true);
  EXPECT_TRUE(Options(spec).xattr);
  spec = {};
  spec.set_writeback(true);
  EXPECT_TRUE(Options(spec).open_policy.writeback);
  spec = {};
  spec.set_direct_io(true);
  EXPECT_TRUE(Options(spec).open_policy.direct_io);
  spec = {};
  spec.set_preserve_noatime(true);
  EXPECT_TRUE(Options(spec).open_policy.preserve_noatime);
  spec = {};
  spec.set_zero_message_open(true);
  EXPECT_TRUE(Options(spec).zero_message_open);
  spec = {};
  spec.set_shared_locks(true);
  EXPECT_TRUE(Options(spec).shared_locks);
  EXPECT_EQ(Options(spec).lock_wait, absl::Seconds(30));
  spec.set_lock_wait_nanos(1'500'000'000);
  EXPECT_EQ(Options(spec).lock_wait, absl::Milliseconds(1500));
}

TEST(PassthroughOptionsTest, InodesAreHeldAsTheSpecificationSays) {
  using passthrough::HostHandles;
  ExportSpec spec;
  EXPECT_EQ(Options(spec).host_handles, HostHandles::kPrefer);
  EXPECT_EQ(Options(spec).max_inode_fds, 0u);
  spec.set_max_inode_fds(1000);
  EXPECT_EQ(Options(spec).max_inode_fds, 1000u);
  spec.set_host_handles(ExportSpec::HOST_HANDLES_NEVER);
  EXPECT_EQ(Options(spec).host_handles, HostHandles::kNever);
  spec.set_host_handles(ExportSpec::HOST_HANDLES_ALWAYS);
  EXPECT_EQ(Options(spec).host_handles, HostHandles::kAlways);
}

TEST(PassthroughOptionsTest, AclsAreServedIfTheyMayBeUsed) {
  ExportSpec spec;
  spec.set_posix_acl(ExportSpec::USE_NEVER);
  EXPECT_FALSE(Options(spec).posix_acl);
  spec.set_posix_acl(ExportSpec::USE_AUTO);
  EXPECT_TRUE(Options(spec).posix_acl);
  spec.set_posix_acl(ExportSpec::USE_ALWAYS);
  EXPECT_TRUE(Options(spec).posix_acl);
}

TEST(PassthroughOptionsTest, XattrRulesKeepTheirOrderTypeAndScope) {
  ExportSpec spec;
  const auto add = [&spec](ExportSpec::XattrRule::Type type, ExportSpec::XattrRule::Scope scope,
                           const char* key, const char* prepend) {
    auto& rule = *spec.add_xattr_rules();
    rule.set_type(type);
    rule.set_scope(scope);
    rule.set_key(key);
    rule.set_prepend(prepend);
  };
  add(ExportSpec::XattrRule::BAD, ExportSpec::XattrRule::CLIENT, "user.bad", "");
  add(ExportSpec::XattrRule::UNSUPPORTED, ExportSpec::XattrRule::SERVER, "", "user.hidden");
  add(ExportSpec::XattrRule::PREFIX, ExportSpec::XattrRule::ALL, "trusted.", "user.v.");
  add(ExportSpec::XattrRule::OK, ExportSpec::XattrRule::SCOPE_UNSPECIFIED, "", "");
  const passthrough::Options options = Options(spec);
  EXPECT_EQ(HostName(options, "user.bad"), "");
  EXPECT_EQ(options.xattr_map.ToHost("user.bad").error(), Errno(EPERM));
  EXPECT_EQ(HostName(options, "user.hidden"), "user.hidden");
  EXPECT_EQ(HostName(options, "trusted.a"), "user.v.trusted.a");
  EXPECT_EQ(HostName(options, "user.a"), "user.a");
  EXPECT_FALSE(options.xattr_map.ToGuest("user.hidden").has_value());
  EXPECT_TRUE(options.xattr_map.ToGuest("user.bad").has_value());
}

TEST(PassthroughOptionsTest, AnUnsupportedNameIsRefusedAsOne) {
  ExportSpec spec;
  spec.add_xattr_rules()->set_type(ExportSpec::XattrRule::UNSUPPORTED);
  EXPECT_EQ(Options(spec).xattr_map.ToHost("user.a").error(), Errno(EOPNOTSUPP));
}

TEST(PassthroughOptionsTest, UsersAndGroupsHaveTheirOwnTranslations) {
  ExportSpec spec;
  auto& users = *spec.add_uid_translations();
  users.set_kind(ExportSpec::IdTranslation::MAP);
  users.set_host_first(1000);
  users.set_count(10);
  auto& groups = *spec.add_gid_translations();
  groups.set_kind(ExportSpec::IdTranslation::SQUASH_HOST);
  groups.set_guest_first(7);
  groups.set_host_first(50);
  groups.set_count(10);
  const passthrough::Options options = Options(spec);
  EXPECT_EQ(*options.uids.ToHost(3), 1003u);
  EXPECT_EQ(options.uids.ToGuest(1003), 3u);
  EXPECT_EQ(*options.gids.ToHost(3), 3u);
  EXPECT_EQ(options.gids.ToGuest(55), 7u);
}

TEST(PassthroughOptionsTest, EachFormOfTranslationIsItsOwn) {
  const auto only = [](ExportSpec::IdTranslation::Kind kind) {
    ExportSpec spec;
    auto& translation = *spec.add_uid_translations();
    translation.set_kind(kind);
    translation.set_guest_first(10);
    translation.set_host_first(1000);
    translation.set_count(5);
    return Options(spec).uids;
  };
  using Translation = ExportSpec::IdTranslation;
  EXPECT_EQ(*only(Translation::GUEST).ToHost(12), 1002u);
  EXPECT_EQ(only(Translation::GUEST).ToGuest(1002), 1002u);
  EXPECT_EQ(only(Translation::HOST).ToGuest(1002), 12u);
  EXPECT_EQ(*only(Translation::HOST).ToHost(12), 12u);
  EXPECT_EQ(*only(Translation::SQUASH_GUEST).ToHost(12), 1000u);
  EXPECT_EQ(only(Translation::SQUASH_HOST).ToGuest(1002), 10u);
  EXPECT_FALSE(only(Translation::FORBID_GUEST).ToHost(12).ok());
}

TEST(PassthroughOptionsTest, AMapRuleIsServedAsOne) {
  ExportSpec spec;
  auto& rule = *spec.add_xattr_rules();
  rule.set_type(ExportSpec::XattrRule::MAP);
  rule.set_key("trusted.");
  rule.set_prepend("user.v.");
  EXPECT_EQ(HostName(Options(spec), "trusted.a"), "user.v.trusted.a");
  EXPECT_EQ(HostName(Options(spec), "user.a"), "user.a");
}

TEST(PassthroughOptionsTest, WhatNoSupervisorLetsThroughIsRefused) {
  ExportSpec kindless;
  kindless.add_uid_translations()->set_count(1);
  EXPECT_FALSE(PassthroughOptions(kindless).ok());
  ExportSpec empty_range;
  empty_range.add_gid_translations()->set_kind(ExportSpec::IdTranslation::MAP);
  EXPECT_FALSE(PassthroughOptions(empty_range).ok());
  ExportSpec typeless;
  typeless.add_xattr_rules();
  EXPECT_FALSE(PassthroughOptions(typeless).ok());
}

}  // namespace
}  // namespace fsd::exe
