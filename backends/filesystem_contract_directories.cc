// What the contract says of reading directories.
#include <dirent.h>

#include <set>
#include <string>

#include "backends/filesystem_contract.h"
#include "gmock/gmock.h"

namespace fsd::backends {
namespace {

using ::testing::UnorderedElementsAre;

TEST_P(FilesystemContract, ADirectoryListsWhatIsInIt) {
  Must(fs.MakeFile(kRoot, "file", ""));
  Must(fs.MakeDirectory(kRoot, "directory"));
  Must(fs.Symlink(kRoot, "link", "x"));
  EXPECT_THAT(Must(fs.Names(kRoot)), UnorderedElementsAre(".", "..", "file", "directory", "link"));
}

TEST_P(FilesystemContract, ADirectoryIsReadInPiecesOfAnySize) {
  std::set<std::string> expected{".", ".."};
  for (int i = 0; i < 50; ++i) {
    Must(fs.MakeFile(kRoot, "file" + std::to_string(i), ""));
    expected.insert("file" + std::to_string(i));
  }
  for (const size_t batch : {1, 2, 7, 1000}) EXPECT_EQ(Must(fs.Names(kRoot, batch)), expected);
}

TEST_P(FilesystemContract, EntriesThatStayAreListedOnceWhileOthersComeAndGo) {
  for (int i = 0; i < 40; ++i) Must(fs.MakeFile(kRoot, "file" + std::to_string(i), ""));
  const FileHandle handle = Must(fs.OpenDirectory(kRoot));
  std::multiset<std::string> seen;
  uint64_t offset = 0;
  for (int round = 0;; ++round) {
    EntryCollector collector(5);
    ASSERT_TRUE(fs.ReadDirectory(kRoot, handle, offset, collector, false).ok());
    if (collector.entries.empty()) break;
    for (const auto& entry : collector.entries) seen.insert(entry.name);
    offset = collector.entries.back().next_offset;
    // Only odd files go, and new ones come.
    if (round < 5) {
      ASSERT_TRUE(fs.Unlink(kRoot, "file" + std::to_string(2 * round + 1)).ok());
      Must(fs.MakeFile(kRoot, "new" + std::to_string(round), ""));
    }
  }
  for (int i = 0; i < 40; i += 2) EXPECT_EQ(seen.count("file" + std::to_string(i)), 1u) << i;
}

TEST_P(FilesystemContract, ReadingFromTheStartAgainSeesNewEntries) {
  const FileHandle handle = Must(fs.OpenDirectory(kRoot));
  EntryCollector first(100);
  EXPECT_SUCCESS(fs.ReadDirectory(kRoot, handle, 0, first, false));
  Must(fs.MakeFile(kRoot, "file", ""));
  EntryCollector second(100);
  EXPECT_SUCCESS(fs.ReadDirectory(kRoot, handle, 0, second, false));
  EXPECT_EQ(second.entries.size(), first.entries.size() + 1);
}

TEST_P(FilesystemContract, ReadDirectoryPlusLooksUpOnlyWhatItGives) {
  for (int i = 0; i < 10; ++i) {
    const Entry file = Must(fs.MakeFile(kRoot, "file" + std::to_string(i), ""));
    fs.filesystem().Forget(file.node, 1);
  }
  const FileHandle handle = Must(fs.OpenDirectory(kRoot));
  EntryCollector collector(6);
  EXPECT_SUCCESS(fs.ReadDirectory(kRoot, handle, 0, collector, true));

  ASSERT_EQ(collector.entries.size(), 6u);
  uint64_t looked_up = 0;
  for (const auto& entry : collector.entries) {
    if (entry.name == "." || entry.name == "..") continue;
    ASSERT_TRUE(entry.entry.has_value()) << entry.name;
    EXPECT_EQ(entry.entry->attributes.stx_ino, entry.ino);
    ++looked_up;
  }
  EXPECT_EQ(fs.filesystem().Usage().inodes, 1 + looked_up);
  for (const auto& entry : collector.entries) {
    if (entry.entry && entry.entry->node != kRoot) fs.filesystem().Forget(entry.entry->node, 1);
  }
  EXPECT_EQ(fs.filesystem().Usage().inodes, 1u);
}

TEST_P(FilesystemContract, EntriesTellTheirType) {
  Must(fs.MakeFile(kRoot, "file", ""));
  Must(fs.MakeDirectory(kRoot, "directory"));
  const FileHandle handle = Must(fs.OpenDirectory(kRoot));
  EntryCollector collector(100);
  EXPECT_SUCCESS(fs.ReadDirectory(kRoot, handle, 0, collector, false));
  for (const auto& entry : collector.entries) {
    if (entry.type == DT_UNKNOWN) continue;  // a host file system may not say
    EXPECT_EQ(entry.type, static_cast<uint32_t>(entry.name == "file" ? DT_REG : DT_DIR));
  }
}

}  // namespace
}  // namespace fsd::backends
