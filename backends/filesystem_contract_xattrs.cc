// What the contract says of extended attributes.
#include <sys/xattr.h>

#include <string>

#include "backends/filesystem_contract.h"
#include "gmock/gmock.h"

namespace fsd::backends {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string Terminated(const std::string& name) { return name + '\0'; }

TEST_P(FilesystemContract, XattrsAreServedAsDeclared) {
  const Entry file = Must(fs.MakeFile(kRoot, "file", ""));
  EXPECT_EQ(fs.ListXattr(file.node).ok(), features().xattrs);
  if (features().xattrs) return;
  EXPECT_ERRNO(fs.SetXattr(file.node, "user.a", "x"), ENOSYS);
  EXPECT_ERRNO(fs.GetXattr(file.node, "user.a"), ENOSYS);
  EXPECT_ERRNO(fs.ListXattr(file.node), ENOSYS);
  EXPECT_ERRNO(fs.RemoveXattr(file.node, "user.a"), ENOSYS);
}

TEST_P(XattrContract, WhatIsSetIsGiven) {
  const Entry file = Must(fs.MakeFile(kRoot, "file", ""));
  const Entry directory = Must(fs.MakeDirectory(kRoot, "d"));
  const std::string binary("\0\1\xff, odd", 8);
  EXPECT_SUCCESS(fs.SetXattr(file.node, "user.a", binary));
  EXPECT_SUCCESS(fs.SetXattr(directory.node, "user.a", "a directory's"));
  EXPECT_SUCCESS(fs.SetXattr(file.node, "user.empty", ""));
  EXPECT_EQ(Must(fs.GetXattr(file.node, "user.a")), binary);
  EXPECT_EQ(Must(fs.GetXattr(directory.node, "user.a")), "a directory's");
  EXPECT_EQ(Must(fs.GetXattr(file.node, "user.empty")), "");
  EXPECT_SUCCESS(fs.SetXattr(file.node, "user.a", "shorter"));
  EXPECT_EQ(Must(fs.GetXattr(file.node, "user.a")), "shorter");
}

TEST_P(XattrContract, ALinkedFileHasOneSetOfThem) {
  const Entry file = Must(fs.MakeFile(kRoot, "file", ""));
  Must(fs.Link(file.node, kRoot, "hard"));
  EXPECT_SUCCESS(fs.SetXattr(file.node, "user.a", "x"));
  EXPECT_EQ(Must(fs.GetXattr(Must(fs.Lookup(kRoot, "hard")).node, "user.a")), "x");
}

TEST_P(XattrContract, WithoutRoomTheLengthIsToldAndWithTooLittleNothing) {
  const Entry file = Must(fs.MakeFile(kRoot, "file", ""));
  EXPECT_SUCCESS(fs.SetXattr(file.node, "user.a", "0123456789"));
  EXPECT_EQ(Must(fs.GetXattr(file.node, "user.a", 0)).size(), 10u);
  EXPECT_ERRNO(fs.GetXattr(file.node, "user.a", 9), ERANGE);
  EXPECT_EQ(Must(fs.GetXattr(file.node, "user.a", 10)), "0123456789");
  const size_t names = Must(fs.ListXattr(file.node, 0)).size();
  EXPECT_GE(names, sizeof "user.a");
  EXPECT_ERRNO(fs.ListXattr(file.node, names - 1), ERANGE);
  EXPECT_EQ(Must(fs.ListXattr(file.node, names)).size(), names);
}

TEST_P(XattrContract, CreateAndReplaceAreHonoured) {
  const Entry file = Must(fs.MakeFile(kRoot, "file", ""));
  EXPECT_ERRNO(fs.SetXattr(file.node, "user.a", "x", XATTR_REPLACE), ENODATA);
  EXPECT_SUCCESS(fs.SetXattr(file.node, "user.a", "first", XATTR_CREATE));
  EXPECT_ERRNO(fs.SetXattr(file.node, "user.a", "again", XATTR_CREATE), EEXIST);
  EXPECT_EQ(Must(fs.GetXattr(file.node, "user.a")), "first");
  EXPECT_SUCCESS(fs.SetXattr(file.node, "user.a", "second", XATTR_REPLACE));
  EXPECT_EQ(Must(fs.GetXattr(file.node, "user.a")), "second");
  EXPECT_ERRNO(fs.SetXattr(file.node, "user.a", "x", 1u << 20), EINVAL);
}

TEST_P(XattrContract, WhatIsNotThereIsNoData) {
  const Entry file = Must(fs.MakeFile(kRoot, "file", ""));
  EXPECT_ERRNO(fs.GetXattr(file.node, "user.absent"), ENODATA);
  EXPECT_ERRNO(fs.RemoveXattr(file.node, "user.absent"), ENODATA);
}

TEST_P(XattrContract, TheListHasEachNameUntilItIsRemoved) {
  const Entry file = Must(fs.MakeFile(kRoot, "file", ""));
  EXPECT_SUCCESS(fs.SetXattr(file.node, "user.one", "1"));
  EXPECT_SUCCESS(fs.SetXattr(file.node, "user.two", "2"));
  EXPECT_THAT(Must(fs.ListXattr(file.node)), HasSubstr(Terminated("user.one")));
  EXPECT_THAT(Must(fs.ListXattr(file.node)), HasSubstr(Terminated("user.two")));
  EXPECT_SUCCESS(fs.RemoveXattr(file.node, "user.one"));
  EXPECT_THAT(Must(fs.ListXattr(file.node)), Not(HasSubstr("user.one")));
  EXPECT_ERRNO(fs.GetXattr(file.node, "user.one"), ENODATA);
}

TEST_P(XattrContract, NamesAndValuesOutOfBoundsAreRefused) {
  const Entry file = Must(fs.MakeFile(kRoot, "file", ""));
  EXPECT_ERRNO(fs.SetXattr(file.node, "user." + std::string(251, 'n'), "x"), ERANGE);
  EXPECT_ERRNO(fs.SetXattr(file.node, "", "x"), ERANGE);
  EXPECT_ERRNO(fs.SetXattr(file.node, "nonsense", "x"), EOPNOTSUPP);
  EXPECT_ERRNO(fs.SetXattr(file.node, "user.a", std::string(XATTR_SIZE_MAX + 1, 'x')), E2BIG);
  EXPECT_ERRNO(fs.GetXattr(file.node, "nonsense"), EOPNOTSUPP);
}

TEST_P(XattrContract, OfUnknownNodesThereAreNone) {
  const NodeId unknown{77777};
  EXPECT_ERRNO(fs.SetXattr(unknown, "user.a", "x"), ESTALE);
  EXPECT_ERRNO(fs.GetXattr(unknown, "user.a"), ESTALE);
  EXPECT_ERRNO(fs.ListXattr(unknown), ESTALE);
  EXPECT_ERRNO(fs.RemoveXattr(unknown, "user.a"), ESTALE);
}

}  // namespace
}  // namespace fsd::backends
