// What the contract says of lookup counts and numbers of nodes.
#include <fcntl.h>

#include <set>
#include <string>

#include "backends/filesystem_contract.h"

namespace fsd::backends {
namespace {

TEST_P(FilesystemContract, LookupsOfOneInodeGiveOneNode) {
  const Entry made = Must(fs.MakeFile(kRoot, "file", ""));
  EXPECT_EQ(Must(fs.Lookup(kRoot, "file")).node, made.node);
  EXPECT_EQ(fs.filesystem().Usage().inodes, 2u);
}

TEST_P(FilesystemContract, AnInodeIsKnownUntilAllItsLookupsAreGivenBack) {
  const Entry file = Must(fs.MakeFile(kRoot, "file", ""));
  Must(fs.Lookup(kRoot, "file"));
  fs.filesystem().Forget(file.node, 1);
  EXPECT_SUCCESS(fs.GetAttributes(file.node));
  fs.filesystem().Forget(file.node, 1);
  EXPECT_ERRNO(fs.GetAttributes(file.node), ESTALE);
  EXPECT_EQ(fs.filesystem().Usage().inodes, 1u);
}

TEST_P(FilesystemContract, ForgettingTooMuchForgetsAll) {
  const Entry file = Must(fs.MakeFile(kRoot, "file", "text"));
  fs.filesystem().Forget(file.node, ~uint64_t{0});
  EXPECT_ERRNO(fs.GetAttributes(file.node), ESTALE);
  EXPECT_EQ(Must(fs.Contents(Must(fs.Lookup(kRoot, "file")).node)), "text");
}

TEST_P(FilesystemContract, ForgettingTheRootOrTheUnknownDoesNothing) {
  fs.filesystem().Forget(kRoot, 100);
  fs.filesystem().Forget(NodeId{0}, 1);
  fs.filesystem().Forget(NodeId{12345}, 1);
  fs.filesystem().Forget(NodeId{~uint64_t{0}}, 1);
  EXPECT_SUCCESS(fs.GetAttributes(kRoot));
}

TEST_P(FilesystemContract, AForgottenNumberNeverNamesAnotherInode) {
  const Entry first = Must(fs.MakeFile(kRoot, "first", ""));
  fs.filesystem().Forget(first.node, 1);
  std::set<NodeId> seen{first.node};
  for (int i = 0; i < 100; ++i) {
    const Entry next = Must(fs.MakeFile(kRoot, "f" + std::to_string(i), ""));
    EXPECT_TRUE(seen.insert(next.node).second);
    fs.filesystem().Forget(next.node, 1);
  }
  EXPECT_ERRNO(fs.GetAttributes(first.node), ESTALE);
}

TEST_P(FilesystemContract, InventedNodesAreStaleEverywhere) {
  for (const NodeId node : {NodeId{0}, NodeId{2}, NodeId{77777}, NodeId{~uint64_t{0}}}) {
    EXPECT_ERRNO(fs.GetAttributes(node), ESTALE);
    EXPECT_ERRNO(fs.Lookup(node, "x"), ESTALE);
    EXPECT_ERRNO(fs.Open(node, O_RDONLY), ESTALE);
    EXPECT_ERRNO(fs.OpenDirectory(node), ESTALE);
    EXPECT_ERRNO(fs.Create(node, "x", O_RDWR), ESTALE);
    EXPECT_ERRNO(fs.MakeDirectory(node, "x"), ESTALE);
    EXPECT_ERRNO(fs.Unlink(node, "x"), ESTALE);
    EXPECT_ERRNO(fs.Rename(kRoot, "x", node, "y"), ESTALE);
    EXPECT_ERRNO(fs.Link(node, kRoot, "x"), ESTALE);
    EXPECT_ERRNO(fs.ReadLink(node), ESTALE);
    EXPECT_ERRNO(fs.SetAttributes(node, {}), ESTALE);
  }
}

TEST_P(FilesystemContract, AnOpenFileOutlivesItsNameAndItsLookups) {
  const CreatedFile file = Must(fs.Create(kRoot, "file", O_RDWR));
  Must(fs.Write(file.entry.node, file.handle, 0, "text"));
  EXPECT_SUCCESS(fs.Unlink(kRoot, "file"));
  EXPECT_EQ(Must(fs.GetAttributes(file.entry.node)).stx_nlink, 0u);
  EXPECT_EQ(Must(fs.Read(file.entry.node, file.handle, 0, 10)), "text");
  EXPECT_SUCCESS(fs.Release(file.entry.node, file.handle));
}

}  // namespace
}  // namespace fsd::backends
