#include "backends/passthrough/xattr_ids.h"

#include <linux/capability.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "backends/passthrough/passthrough_fixture.h"
#include "gtest/gtest.h"

namespace fsd::passthrough {
namespace {

using Kind = IdTranslation::Kind;

// Little-endian, as this code's hosts are.
struct AclEntry {
  uint16_t tag;
  uint16_t permissions;
  uint32_t id;
};

std::string Acl(const std::vector<AclEntry>& entries) {
  const uint32_t version = POSIX_ACL_XATTR_VERSION;
  std::string value(reinterpret_cast<const char*>(&version), sizeof(version));
  value.append(reinterpret_cast<const char*>(entries.data()), entries.size() * sizeof(AclEntry));
  return value;
}

std::string Capability(uint32_t revision, uint32_t root) {
  vfs_ns_cap_data data{};
  data.magic_etc = revision;
  data.rootid = root;
  return {reinterpret_cast<const char*>(&data), sizeof(data)};
}

class XattrIdsTest : public ::testing::Test {
 protected:
  std::string Translated(std::string_view name, std::string value, IdDirection direction) {
    EXPECT_SUCCESS(TranslateIds(name, value, uids_, gids_, direction));
    return value;
  }

  const IdMap uids_ = *IdMap::Create(
      std::vector<IdTranslation>{{Kind::kMap, 0, 1000, 100}, {Kind::kForbidGuest, 500, 0, 1}});
  const IdMap gids_ = *IdMap::Create(std::vector<IdTranslation>{{Kind::kMap, 0, 2000, 100}});
};

TEST_F(XattrIdsTest, NamedUsersAndGroupsOfAnAclAreTranslated) {
  const std::string guests = Acl({{ACL_USER_OBJ, 7, 0},
                                  {ACL_USER, 6, 5},
                                  {ACL_GROUP_OBJ, 5, 0},
                                  {ACL_GROUP, 4, 7},
                                  {ACL_OTHER, 0, 0}});
  const std::string hosts = Acl({{ACL_USER_OBJ, 7, 0},
                                 {ACL_USER, 6, 1005},
                                 {ACL_GROUP_OBJ, 5, 0},
                                 {ACL_GROUP, 4, 2007},
                                 {ACL_OTHER, 0, 0}});
  EXPECT_EQ(Translated("system.posix_acl_access", guests, IdDirection::kToHost), hosts);
  EXPECT_EQ(Translated("system.posix_acl_default", hosts, IdDirection::kToGuest), guests);
  EXPECT_EQ(Translated("user.acl", guests, IdDirection::kToHost), guests);
}

TEST_F(XattrIdsTest, ACapabilitysRootIsTranslatedInItsThirdVersionOnly) {
  EXPECT_EQ(
      Translated("security.capability", Capability(VFS_CAP_REVISION_3, 5), IdDirection::kToHost),
      Capability(VFS_CAP_REVISION_3, 1005));
  EXPECT_EQ(Translated("security.capability", Capability(VFS_CAP_REVISION_3, 1005),
                       IdDirection::kToGuest),
            Capability(VFS_CAP_REVISION_3, 5));
  const std::string second = Capability(VFS_CAP_REVISION_2, 5).substr(0, XATTR_CAPS_SZ_2);
  EXPECT_EQ(Translated("security.capability", second, IdDirection::kToHost), second);
}

TEST_F(XattrIdsTest, AForbiddenIdIsEperm) {
  std::string value = Acl({{ACL_USER, 6, 500}});
  EXPECT_ERRNO(TranslateIds("system.posix_acl_access", value, uids_, gids_, IdDirection::kToHost),
               EPERM);
}

TEST_F(XattrIdsTest, WhatIsNoSuchValueStays) {
  for (const std::string& value :
       {std::string(), std::string("abc"), std::string(12, '\1'),
        Acl({{ACL_OTHER, 0, 0}}).substr(0, 11), Capability(VFS_CAP_REVISION_3, 5).substr(0, 23)}) {
    EXPECT_EQ(Translated("system.posix_acl_access", value, IdDirection::kToHost), value);
    EXPECT_EQ(Translated("security.capability", value, IdDirection::kToHost), value);
  }
}

}  // namespace
}  // namespace fsd::passthrough
