// What the contract says of sessions and threads.
#include <fcntl.h>

#include <string>
#include <thread>
#include <vector>

#include "backends/filesystem_contract.h"
#include "gmock/gmock.h"

namespace fsd::backends {
namespace {

using ::testing::UnorderedElementsAre;

std::string Reversed(const std::string& text) { return {text.rbegin(), text.rend()}; }

TEST_P(FilesystemContract, ResetForgetsTheGuestAndKeepsTheFiles) {
  const CreatedFile file = Must(fs.Create(kRoot, "file", O_RDWR));
  Must(fs.Write(file.entry.node, file.handle, 0, "text"));
  Must(fs.OpenDirectory(kRoot));
  fs.filesystem().Reset();
  EXPECT_EQ(fs.filesystem().Usage().inodes, 1u);
  EXPECT_EQ(fs.filesystem().Usage().open_files, 0u);
  EXPECT_ERRNO(fs.GetAttributes(file.entry.node), ESTALE);
  EXPECT_ERRNO(fs.Read(file.entry.node, file.handle, 0, 4), ESTALE);
  EXPECT_EQ(Must(fs.Contents(Must(fs.Lookup(kRoot, "file")).node)), "text");
}

TEST_P(FilesystemContract, UsageCountsWhatIsOpen) {
  const Entry file = Must(fs.MakeFile(kRoot, "file", ""));
  const FileHandle handle = Must(fs.Open(file.node, O_RDONLY));
  const FileHandle directory = Must(fs.OpenDirectory(kRoot));
  EXPECT_EQ(fs.filesystem().Usage().open_files, 2u);
  EXPECT_SUCCESS(fs.Release(file.node, handle));
  EXPECT_SUCCESS(fs.ReleaseDirectory(kRoot, directory));
  EXPECT_EQ(fs.filesystem().Usage().open_files, 0u);
}

TEST_P(FilesystemContract, ManyThreadsMayWorkAtOnce) {
  constexpr int kThreads = 4;
  constexpr int kRounds = 200;
  const Entry shared = Must(fs.MakeDirectory(kRoot, "shared"));
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      const FilesystemDriver mine(fs.filesystem());
      const std::string name = "file" + std::to_string(thread);
      for (int round = 0; round < kRounds; ++round) {
        const std::string text = name + " " + std::to_string(round);
        const CreatedFile file = Must(mine.Create(shared.node, name, O_RDWR | O_TRUNC));
        Must(mine.Write(file.entry.node, file.handle, 0, text));
        EXPECT_EQ(Must(mine.Read(file.entry.node, file.handle, 0, 100)), text);
        EXPECT_EQ(Must(mine.Lookup(shared.node, name)).node, file.entry.node);
        // The same inode is looked up and forgotten by all.
        const Entry parent = Must(mine.Lookup(kRoot, "shared"));
        EXPECT_EQ(parent.node, shared.node);
        mine.filesystem().Forget(parent.node, 1);
        EXPECT_SUCCESS(mine.Rename(shared.node, name, shared.node, Reversed(name)));
        EXPECT_SUCCESS(mine.Release(file.entry.node, file.handle));
        EXPECT_SUCCESS(mine.Unlink(shared.node, Reversed(name)));
        mine.filesystem().Forget(file.entry.node, 2);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(fs.filesystem().Usage().inodes, 2u);
  EXPECT_EQ(fs.filesystem().Usage().open_files, 0u);
  EXPECT_THAT(Must(fs.Names(shared.node)), UnorderedElementsAre(".", ".."));
}

TEST_P(FilesystemContract, ResetWhileOthersWorkLeavesNothingBehind) {
  std::thread worker([&] {
    const FilesystemDriver mine(fs.filesystem());
    for (int round = 0; round < 300; ++round) {
      // Whether each succeeds depends on when the reset comes; that each is answered does not.
      const auto file = mine.Create(kRoot, "file" + std::to_string(round), O_RDWR);
      if (!file.ok()) continue;
      (void)mine.Write(file->entry.node, file->handle, 0, "x");
      (void)mine.GetAttributes(file->entry.node);
    }
  });
  for (int i = 0; i < 50; ++i) fs.filesystem().Reset();
  worker.join();
  fs.filesystem().Reset();
  EXPECT_EQ(fs.filesystem().Usage().inodes, 1u);
  EXPECT_EQ(fs.filesystem().Usage().open_files, 0u);
}

}  // namespace
}  // namespace fsd::backends
