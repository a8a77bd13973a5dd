// What the contract says of ranges of files.
#include <fcntl.h>
#include <unistd.h>

#include <string>

#include "backends/filesystem_contract.h"

namespace fsd::backends {
namespace {

TEST_P(FilesystemContract, FallocateReservesAndPunches) {
  const CreatedFile file = Must(fs.Create(kRoot, "file", O_RDWR));
  const NodeId node = file.entry.node;
  EXPECT_SUCCESS(fs.Fallocate(node, file.handle, 0, 0, 100000));
  EXPECT_EQ(Must(fs.GetAttributes(node)).stx_size, 100000u);
  EXPECT_SUCCESS(fs.Fallocate(node, file.handle, FALLOC_FL_KEEP_SIZE, 100000, 50000));
  EXPECT_EQ(Must(fs.GetAttributes(node)).stx_size, 100000u);
  Must(fs.Write(node, file.handle, 0, std::string(100000, 'x')));
  EXPECT_SUCCESS(
      fs.Fallocate(node, file.handle, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 10, 50000));
  EXPECT_EQ(Must(fs.Read(node, file.handle, 0, 12)), std::string("xxxxxxxxxx\0\0", 12));
  EXPECT_EQ(Must(fs.Read(node, file.handle, 50008, 4)), std::string("\0\0xx", 4));
  EXPECT_ERRNO(fs.Fallocate(node, file.handle, 0, 0, 0), EINVAL);
  EXPECT_FALSE(fs.Fallocate(node, file.handle, 0, ~uint64_t{0} - 1, 100).ok());
}

TEST_P(FilesystemContract, SeekFindsDataAndHoles) {
  const CreatedFile file = Must(fs.Create(kRoot, "file", O_RDWR));
  const NodeId node = file.entry.node;
  constexpr uint64_t kData = 1 << 20;
  Must(fs.Write(node, file.handle, kData, std::string(4096, 'x')));
  const uint64_t data = Must(fs.Seek(node, file.handle, 0, SEEK_DATA));
  EXPECT_LE(data, kData);  // a file system may take the whole file for data
  EXPECT_EQ(Must(fs.Seek(node, file.handle, kData, SEEK_DATA)), kData);
  EXPECT_EQ(Must(fs.Seek(node, file.handle, kData, SEEK_HOLE)), kData + 4096);
  EXPECT_ERRNO(fs.Seek(node, file.handle, kData + 4096, SEEK_DATA), ENXIO);
  EXPECT_ERRNO(fs.Seek(node, file.handle, 0, 77), EINVAL);
  // Relative to a position that only the guest has.
  EXPECT_ERRNO(fs.Seek(node, file.handle, 0, SEEK_CUR), EINVAL);
}

TEST_P(FilesystemContract, AFileWithoutHolesIsDataToItsEnd) {
  const CreatedFile file = Must(fs.Create(kRoot, "file", O_RDWR));
  Must(fs.Write(file.entry.node, file.handle, 0, std::string(10000, 'x')));
  EXPECT_EQ(Must(fs.Seek(file.entry.node, file.handle, 5000, SEEK_DATA)), 5000u);
  EXPECT_EQ(Must(fs.Seek(file.entry.node, file.handle, 0, SEEK_HOLE)), 10000u);
  EXPECT_ERRNO(fs.Seek(file.entry.node, file.handle, 10000, SEEK_HOLE), ENXIO);
}

TEST_P(FilesystemContract, APunchedHoleIsFound) {
  const CreatedFile file = Must(fs.Create(kRoot, "file", O_RDWR));
  const NodeId node = file.entry.node;
  Must(fs.Write(node, file.handle, 0, std::string(3 << 20, 'x')));
  EXPECT_SUCCESS(fs.Fallocate(node, file.handle, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                              1 << 20, 1 << 20));
  EXPECT_EQ(Must(fs.Seek(node, file.handle, 0, SEEK_HOLE)), uint64_t{1} << 20);
  EXPECT_EQ(Must(fs.Seek(node, file.handle, 1 << 20, SEEK_DATA)), uint64_t{2} << 20);
}

TEST_P(FilesystemContract, AZeroedRangeReadsAsZeros) {
  const CreatedFile file = Must(fs.Create(kRoot, "file", O_RDWR));
  const NodeId node = file.entry.node;
  Must(fs.Write(node, file.handle, 0, std::string(8192, 'x')));
  const ErrnoOr<void> zeroed = fs.Fallocate(node, file.handle, FALLOC_FL_ZERO_RANGE, 8190, 10);
  if (!zeroed.ok()) {
    EXPECT_ERRNO(zeroed, EOPNOTSUPP);
    return;
  }
  EXPECT_EQ(Must(fs.GetAttributes(node)).stx_size, 8200u);
  EXPECT_EQ(Must(fs.Read(node, file.handle, 8188, 4)), std::string("xx\0\0", 4));
}

TEST_P(FilesystemContract, RangesAreCollapsedAndInsertedOrRefused) {
  const CreatedFile file = Must(fs.Create(kRoot, "file", O_RDWR));
  const NodeId node = file.entry.node;
  constexpr uint64_t kBlock = 65536;
  Must(fs.Write(node, file.handle, 0, std::string(kBlock, 'a') + std::string(kBlock, 'b')));
  const ErrnoOr<void> collapsed =
      fs.Fallocate(node, file.handle, FALLOC_FL_COLLAPSE_RANGE, 0, kBlock);
  const ErrnoOr<void> inserted = fs.Fallocate(node, file.handle, FALLOC_FL_INSERT_RANGE, 0, kBlock);
  ASSERT_EQ(collapsed.ok(), inserted.ok());
  if (!collapsed.ok()) {
    EXPECT_ERRNO(collapsed, EOPNOTSUPP);
    EXPECT_ERRNO(inserted, EOPNOTSUPP);
    return;
  }
  EXPECT_EQ(Must(fs.GetAttributes(node)).stx_size, 2 * kBlock);
  EXPECT_EQ(Must(fs.Read(node, file.handle, kBlock - 1, 2)), std::string("\0b", 2));
}

TEST_P(FilesystemContract, FallocateRefusesWhatIsNoMode) {
  const CreatedFile file = Must(fs.Create(kRoot, "file", O_RDWR));
  const FileHandle reader = Must(fs.Open(file.entry.node, O_RDONLY));
  EXPECT_ERRNO(fs.Fallocate(file.entry.node, file.handle, 1u << 30, 0, 1), EOPNOTSUPP);
  EXPECT_ERRNO(fs.Fallocate(file.entry.node, file.handle, FALLOC_FL_PUNCH_HOLE, 0, 1), EOPNOTSUPP);
  EXPECT_ERRNO(fs.Fallocate(file.entry.node, reader, 0, 0, 1), EBADF);
}

TEST_P(FilesystemContract, ARangeIsCopied) {
  const Entry from = Must(fs.MakeFile(kRoot, "from", "0123456789"));
  const Entry to = Must(fs.MakeFile(kRoot, "to", "abcdefghij"));
  const FileHandle source = Must(fs.Open(from.node, O_RDONLY));
  const FileHandle target = Must(fs.Open(to.node, O_RDWR));
  const auto copy = [&](uint64_t offset, uint64_t target_offset, uint64_t length) {
    return fs.CopyRange({.node = from.node, .handle = source, .offset = offset},
                        {.node = to.node, .handle = target, .offset = target_offset}, length);
  };
  EXPECT_EQ(Must(copy(2, 1, 3)), 3u);
  EXPECT_EQ(Must(fs.Contents(to.node)), "a234efghij");
  EXPECT_EQ(Must(copy(8, 9, 100)), 2u);
  EXPECT_EQ(Must(fs.Contents(to.node)), "a234efghi89");
  EXPECT_EQ(Must(copy(10, 0, 5)), 0u);
  EXPECT_EQ(Must(copy(0, 0, 0)), 0u);
  EXPECT_EQ(Must(fs.Contents(from.node)), "0123456789");
}

TEST_P(FilesystemContract, CopyingWithinAFileMustNotOverlap) {
  const Entry file = Must(fs.MakeFile(kRoot, "file", "0123456789"));
  const FileHandle handle = Must(fs.Open(file.node, O_RDWR));
  const auto at = [&](uint64_t offset) {
    return FileRange{.node = file.node, .handle = handle, .offset = offset};
  };
  EXPECT_ERRNO(fs.CopyRange(at(0), at(2), 5), EINVAL);
  EXPECT_EQ(Must(fs.CopyRange(at(0), at(5), 5)), 5u);
  EXPECT_EQ(Must(fs.Contents(file.node)), "0123401234");
}

TEST_P(FilesystemContract, CopyingNeedsHandlesThatAllowIt) {
  const Entry file = Must(fs.MakeFile(kRoot, "file", "0123456789"));
  const Entry other = Must(fs.MakeFile(kRoot, "other", ""));
  const FileHandle reader = Must(fs.Open(file.node, O_RDONLY));
  const FileHandle writer = Must(fs.Open(other.node, O_WRONLY));
  const FileRange from{.node = file.node, .handle = reader};
  const FileRange to{.node = other.node, .handle = writer};
  EXPECT_ERRNO(fs.CopyRange(to, to, 1), EBADF);
  EXPECT_ERRNO(fs.CopyRange(from, from, 1), EBADF);
  EXPECT_ERRNO(fs.CopyRange({.node = other.node, .handle = reader}, to, 1), EBADF);
  EXPECT_ERRNO(fs.CopyRange({.node = NodeId{777}, .handle = reader}, to, 1), ESTALE);
  EXPECT_ERRNO(fs.CopyRange(from, to, 1, 1), EINVAL);
}

}  // namespace
}  // namespace fsd::backends
