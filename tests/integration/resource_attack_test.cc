// A guest that uses up what there is: descriptors, inodes, depth, locks, names, attributes,
// directories. It gets an errno, and its limits are its own.
#include <fcntl.h>
#include <linux/fuse.h>
#include <linux/xattr.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/harness/fuse_client.h"
#include "tests/integration/resource_attack_fixture.h"

namespace fsd {
namespace {

using harness::FuseClient;
using harness::FuseReply;
using ::testing::AnyOf;
using ::testing::Each;

constexpr size_t kMebibyte = size_t{1} << 20;

class OpenFiles : public ResourceAttackTest {
 protected:
  // Opens until that fails; the error.
  int OpenUntilRefused(uint64_t node, std::vector<uint64_t>& handles) {
    while (true) {
      const FuseReply opened = Answer(fuse().Open(node, O_RDONLY));
      if (opened.error != 0 || handles.size() > kOpenFiles) return opened.error;
      handles.push_back(opened.As<fuse_open_out>().fh);
    }
  }
};

TEST_F(OpenFiles, AreRefusedAtTheLimitAndThereAgainAfterARelease) {
  Connect();
  const File file = Create("file");
  std::vector<uint64_t> handles;
  EXPECT_THAT(OpenUntilRefused(file.node, handles), AnyOf(EMFILE, ENFILE));
  EXPECT_GT(handles.size(), kOpenFiles / 2);
  // What is open goes on; what needs another descriptor is refused.
  EXPECT_EQ(Answer(fuse().Write(file.node, file.handle, 0, "text")).error, 0);
  EXPECT_EQ(Answer(fuse().Read(file.node, handles.back(), 0, 4)).body.size(), 4u);
  EXPECT_EQ(Answer(fuse().GetAttributes(file.node)).error, 0);
  EXPECT_THAT(Answer(fuse().Create(FUSE_ROOT_ID, "one more", 0644, O_RDWR)).error,
              AnyOf(EMFILE, ENFILE));
  for (const uint64_t handle : handles) {
    ASSERT_EQ(Answer(fuse().Release(file.node, handle)).error, 0);
  }
  handles.clear();
  EXPECT_THAT(OpenUntilRefused(file.node, handles), AnyOf(EMFILE, ENFILE));
  EXPECT_GT(handles.size(), kOpenFiles / 2);
}

TEST_F(OpenFiles, ThatAGuestLeavesBehindGoWithIt) {
  Connect();
  std::vector<uint64_t> handles;
  EXPECT_THAT(OpenUntilRefused(Create("file").node, handles), AnyOf(EMFILE, ENFILE));
  Connect();
  handles.clear();
  EXPECT_THAT(OpenUntilRefused(Create("other").node, handles), AnyOf(EMFILE, ENFILE));
  EXPECT_GT(handles.size(), kOpenFiles / 2);
}

// More than the budget of descriptors, and than a path can name.
TEST_F(ResourceAttackTest, ADeepTreeIsMadeAndRemoved) {
  constexpr size_t kLevels = 10'000;
  Connect();
  std::vector<uint64_t> nodes = {FUSE_ROOT_ID};
  while (nodes.size() <= kLevels) {
    const FuseReply made = Answer(fuse().MakeDirectory(nodes.back(), "d", 0755));
    ASSERT_EQ(made.error, 0) << nodes.size();
    nodes.push_back(made.As<fuse_entry_out>().nodeid);
  }
  // The first of them again, after ten thousand others.
  EXPECT_EQ(Answer(fuse().GetAttributes(nodes[1])).error, 0);
  while (nodes.size() > 1) {
    const uint64_t node = nodes.back();
    nodes.pop_back();
    ASSERT_EQ(Call(FUSE_RMDIR, nodes.back(), {"d"}).error, 0) << nodes.size();
    ASSERT_TRUE(FuseClient(front_end(), 0).Forget(node, 1).ok());
  }
  EXPECT_NE(::access(host_path("d").c_str(), F_OK), 0);
}

TEST_F(ResourceAttackTest, AnEndlessNameIsTooLong) {
  Connect();
  const File file = Create("file");
  const std::string endless(kMebibyte, 'n');
  EXPECT_EQ(Call(FUSE_LOOKUP, FUSE_ROOT_ID, {endless}).error, ENAMETOOLONG);
  EXPECT_EQ(Call(FUSE_UNLINK, FUSE_ROOT_ID, {endless}).error, ENAMETOOLONG);
  EXPECT_EQ(Call(FUSE_RMDIR, FUSE_ROOT_ID, {endless}).error, ENAMETOOLONG);
  EXPECT_EQ(Call(FUSE_SYMLINK, FUSE_ROOT_ID, {endless, "target"}).error, ENAMETOOLONG);
  EXPECT_EQ(Call(FUSE_SYMLINK, FUSE_ROOT_ID, {"link", endless}).error, ENAMETOOLONG);
  EXPECT_EQ(Call(FUSE_MKDIR, FUSE_ROOT_ID, fuse_mkdir_in{}, {endless}).error, ENAMETOOLONG);
  EXPECT_EQ(Call(FUSE_MKNOD, FUSE_ROOT_ID, fuse_mknod_in{}, {endless}).error, ENAMETOOLONG);
  EXPECT_EQ(Call(FUSE_CREATE, FUSE_ROOT_ID, fuse_create_in{}, {endless}).error, ENAMETOOLONG);
  EXPECT_EQ(Call(FUSE_LINK, FUSE_ROOT_ID, fuse_link_in{file.node}, {endless}).error, ENAMETOOLONG);
  EXPECT_EQ(Call(FUSE_RENAME, FUSE_ROOT_ID, fuse_rename_in{FUSE_ROOT_ID}, {"file", endless}).error,
            ENAMETOOLONG);
  EXPECT_EQ(Call(FUSE_RENAME2, FUSE_ROOT_ID, fuse_rename2_in{}, {endless, "file"}).error,
            ENAMETOOLONG);
  EXPECT_NE(Answer(fuse().SetXattr(file.node, "user." + endless, "value")).error, 0);
  EXPECT_NE(Answer(fuse().GetXattr(file.node, "user." + endless, 0)).error, 0);
  EXPECT_NE(Answer(fuse().RemoveXattr(file.node, "user." + endless)).error, 0);
}

TEST_F(ResourceAttackTest, AttributesOfTheGreatestSizeAreTheHostsToRefuse) {
  Connect();
  const File file = Create("file");
  const std::string greatest(XATTR_SIZE_MAX, 'v');
  const std::string name = "user." + std::string(XATTR_NAME_MAX - 5, 'n');
  // Some file systems have less room than the kernel allows.
  const int set =
      ::setxattr(host_path("file").c_str(), name.c_str(), greatest.data(), greatest.size(), 0) == 0
          ? 0
          : errno;
  EXPECT_EQ(Answer(fuse().SetXattr(file.node, name, greatest)).error, set);
  EXPECT_EQ(Answer(fuse().SetXattr(file.node, "user.x", greatest + "v")).error, E2BIG);
  int full = 0;
  for (int i = 0; full == 0 && i < 10'000; ++i) {
    full =
        Answer(fuse().SetXattr(file.node, "user." + std::to_string(i), std::string(64, 'v'))).error;
  }
  EXPECT_THAT(full, AnyOf(ENOSPC, E2BIG, 0));
  // A size that the reply has no room for, and one with all the room there may be.
  EXPECT_EQ(Call(FUSE_LISTXATTR, file.node, fuse_getxattr_in{.size = ~0u, .padding = 0}).error,
            EINVAL);
  EXPECT_EQ(Answer(fuse().ListXattr(file.node, kMebibyte)).error, 0);
  EXPECT_EQ(Answer(fuse().GetXattr(file.node, "user.0", kMebibyte)).body.size(), 64u);
}

class BigDirectory : public ResourceAttackTest {
 protected:
  static constexpr int kEntries = 100'000;
  // Fewer than any file system allows: 65,000 of ext4.
  static constexpr int kNamesOfOne = 20'000;

  void MakeFiles() {
    // Few inodes, many names.
    for (int i = 0; i < kEntries; ++i) {
      const std::string first = host_path(std::to_string(i / kNamesOfOne * kNamesOfOne));
      if (i % kNamesOfOne == 0) {
        std::ofstream(first) << "";
      } else {
        ASSERT_EQ(::link(first.c_str(), host_path(std::to_string(i)).c_str()), 0);
      }
    }
  }
  // How many entries READDIR has in replies of `size` bytes.
  int CountEntries(uint64_t handle, uint32_t size) {
    int count = 0;
    uint64_t offset = 0;
    while (true) {
      fuse_read_in in{};
      in.fh = handle;
      in.size = size;
      in.offset = offset;
      const FuseReply reply = Call(FUSE_READDIR, FUSE_ROOT_ID, in, {}, size);
      EXPECT_EQ(reply.error, 0);
      if (reply.error != 0 || reply.body.empty()) return count;
      for (size_t at = 0; at < reply.body.size(); ++count) {
        fuse_dirent entry;
        std::memcpy(&entry, reply.body.data() + at, FUSE_NAME_OFFSET);
        offset = entry.off;
        at += FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + entry.namelen);
      }
    }
  }
};

TEST_F(BigDirectory, IsReadEntryByEntry) {
  MakeFiles();
  Connect();
  const uint64_t handle = Answer(fuse().OpenDirectory(FUSE_ROOT_ID)).As<fuse_open_out>().fh;
  // "." and ".." and "warm" too; a reply has room for one.
  EXPECT_EQ(CountEntries(handle, 32), kEntries + 3);
  EXPECT_EQ(CountEntries(handle, 1 << 20), kEntries + 3);
  // For a reply that no entry fits into the directory is at its end.
  EXPECT_EQ(CountEntries(handle, 8), 0);
}

class Inodes : public ResourceAttackTest {
 protected:
  static constexpr int kFiles = 100'000;
  static constexpr int kNames = 1'000'000;
};

// Sixteen times as many as there are descriptors.
TEST_F(Inodes, AreKnownBeyondTheDescriptorsAndForgotten) {
  for (int i = 0; i < kFiles; ++i) {
    ASSERT_EQ(::mknod(host_path(std::to_string(i)).c_str(), S_IFREG | 0644, 0), 0);
  }
  Connect();
  std::vector<fuse_forget_one> known;
  for (int i = 0; i < kFiles; ++i) {
    const FuseReply found = Answer(fuse().Lookup(FUSE_ROOT_ID, std::to_string(i)));
    ASSERT_EQ(found.error, 0) << i;
    known.push_back({.nodeid = found.As<fuse_entry_out>().nodeid, .nlookup = 1});
  }
  EXPECT_EQ(Answer(fuse().GetAttributes(known.front().nodeid)).error, 0);
  EXPECT_LT(harness::UsageOfWorker(worker_pid()).fds, 3 * kOpenFiles);
  // In requests that fit into a mebibyte.
  constexpr uint32_t kBatch = 50'000;
  FuseClient forgetful(front_end(), 0);
  for (size_t first = 0; first < known.size(); first += kBatch) {
    const auto some = std::span(known).subspan(first, kBatch);
    const fuse_batch_forget_in batch{.count = kBatch, .dummy = 0};
    std::vector<std::byte> arguments = harness::Arguments(std::as_bytes(std::span(&batch, 1)));
    const auto bytes = std::as_bytes(some);
    arguments.insert(arguments.end(), bytes.begin(), bytes.end());
    ASSERT_TRUE(forgetful.CallWithoutReply(FUSE_BATCH_FORGET, 0, arguments).ok());
  }
  EXPECT_EQ(Answer(fuse().GetAttributes(known.front().nodeid)).error, ESTALE);
  EXPECT_EQ(Answer(fuse().GetAttributes(known.back().nodeid)).error, ESTALE);
}

TEST_F(Inodes, ThatAreNotThereAreLookedUpWithoutATrace) {
  Connect();
  const size_t before = harness::UsageOfWorker(worker_pid()).anonymous_kib;
  for (int i = 0; i < kNames; ++i) {
    ASSERT_EQ(Answer(fuse().Lookup(FUSE_ROOT_ID, "no " + std::to_string(i))).error, ENOENT);
  }
  EXPECT_LT(harness::UsageOfWorker(worker_pid()).anonymous_kib, before + 1024);
}

TEST_F(ResourceAttackTest, FloodsOfForgetsTakeNothingFromAnyone) {
  Connect();
  const File file = Create("file");
  FuseClient forgetful(front_end(), 0);
  // More than there are, of what is not known, of the root.
  for (const uint64_t node : {uint64_t{0}, uint64_t{FUSE_ROOT_ID}, file.node + 1, ~uint64_t{0}}) {
    EXPECT_TRUE(forgetful.Forget(node, ~uint64_t{0}).ok());
  }
  // A mebibyte of them.
  const fuse_batch_forget_in batch{.count = kMebibyte / sizeof(fuse_forget_one), .dummy = 0};
  std::vector<std::byte> arguments = harness::Arguments(std::as_bytes(std::span(&batch, 1)));
  for (uint32_t i = 0; i < batch.count; ++i) {
    const fuse_forget_one one{.nodeid = file.node + 1 + i, .nlookup = ~uint64_t{0}};
    const auto bytes = std::as_bytes(std::span(&one, 1));
    arguments.insert(arguments.end(), bytes.begin(), bytes.end());
  }
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(forgetful.CallWithoutReply(FUSE_BATCH_FORGET, 0, arguments).ok());
  }
  EXPECT_EQ(Answer(fuse().GetAttributes(FUSE_ROOT_ID)).error, 0);
  EXPECT_EQ(Answer(fuse().GetAttributes(file.node)).error, 0);
  // Of its own it may forget too much; what it has open stays open.
  EXPECT_TRUE(forgetful.Forget(file.node, ~uint64_t{0}).ok());
  EXPECT_EQ(Answer(fuse().GetAttributes(file.node)).error, ESTALE);
  EXPECT_EQ(Answer(fuse().Write(file.node, file.handle, 0, "text")).error, 0);
}

class Log : public ResourceAttackTest {
 protected:
  void SetUp() override {
    // The workers' stderr is this process's.
    testing::internal::CaptureStderr();
    ResourceAttackTest::SetUp();
  }
};

TEST_F(Log, IsNotFloodedByAGuestThatMountsAndUnmountsWithoutEnd) {
  constexpr int kMounts = 3000;
  Connect();
  for (int i = 0; i < kMounts; ++i) {
    ASSERT_EQ(Answer(fuse().Destroy()).error, 0);
    ASSERT_TRUE(fuse().Init().ok());
  }
  const std::string log = testing::internal::GetCapturedStderr();
  // One for each mount and unmount in the worker's log, and one for each in the supervisor's.
  EXPECT_LT(std::count(log.begin(), log.end(), '\n'), kMounts / 2) << log.substr(0, 4000);
}

class Locks : public ResourceAttackTest {
 protected:
  static fuse_lk_in WriteLock(const File& file, uint64_t owner) {
    fuse_lk_in lock{};
    lock.fh = file.handle;
    lock.owner = owner;
    lock.lk = {.start = 0, .end = 0, .type = F_WRLCK, .pid = 1};
    return lock;
  }
};

TEST_F(Locks, OfTooManyOwnersAreRefused) {
  constexpr uint64_t kOwners = 4096;
  Connect();
  const File file = Create("file");
  const auto lock_by = [&](uint64_t owner, uint32_t type) {
    fuse_lk_in lock = WriteLock(file, owner);
    lock.lk.start = lock.lk.end = owner;
    lock.lk.type = type;
    return Answer(fuse().SetLock(file.node, lock)).error;
  };
  for (uint64_t owner = 0; owner < kOwners; ++owner) ASSERT_EQ(lock_by(owner, F_WRLCK), 0) << owner;
  EXPECT_EQ(lock_by(kOwners, F_WRLCK), ENOLCK);
  EXPECT_EQ(lock_by(0, F_UNLCK), 0);
  EXPECT_EQ(lock_by(kOwners, F_WRLCK), 0);
  // The next guest's limit is its own.
  Connect();
  const File other = Create("other");
  EXPECT_EQ(Answer(fuse().SetLock(other.node, WriteLock(other, 1))).error, 0);
}

TEST_F(Locks, ThatTooManyWaitForAreRefused) {
  constexpr size_t kWaiters = 1024;
  constexpr size_t kTooMany = 1200;
  // Descriptors for that many requests, without a table for each.
  Connect({.queue = {.size = 4096, .indirect = false}});
  const File file = Create("file");
  ASSERT_EQ(Answer(fuse().SetLock(file.node, WriteLock(file, 0))).error, 0);
  std::map<uint16_t, FuseClient::Submitted> waiting;
  for (uint64_t owner = 1; owner <= kTooMany; ++owner) {
    const fuse_lk_in lock = WriteLock(file, owner);
    const auto submitted =
        fuse().Submit(FUSE_SETLKW, file.node, std::as_bytes(std::span(&lock, 1)), 0);
    ASSERT_TRUE(submitted.ok()) << submitted.status();
    waiting[submitted->head] = *submitted;
  }
  front_end().Kick(1);
  std::vector<int> refused;
  while (refused.size() < kTooMany - kWaiters) {
    ASSERT_TRUE(front_end().WaitUsed(1).ok());
    while (const auto used = front_end().queue(1).PopUsed()) {
      refused.push_back(Answer(fuse().ReplyOf(waiting[used->head], used->written)).error);
    }
  }
  EXPECT_EQ(refused.size(), kTooMany - kWaiters);
  EXPECT_THAT(refused, Each(ENOLCK));
}

}  // namespace
}  // namespace fsd
