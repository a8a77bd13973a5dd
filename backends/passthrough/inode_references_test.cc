// Inodes beyond the budget of fds, as a guest sees them.
#include "backends/passthrough/inode_references.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "backends/passthrough/inode.h"
#include "backends/passthrough/inode_table.h"
#include "backends/passthrough/own_handle_broker.h"
#include "backends/passthrough/passthrough_fixture.h"
#include "gtest/gtest.h"

namespace fsd::passthrough {
namespace {

using backends::Entry;

// From now on the host tells the calling thread no inode's number of names, if it asks for that
// alone.
void RefuseLinkCounts() {
  sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_statx, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[3])),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, STATX_NLINK, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EIO),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{.len = std::size(code), .filter = code};
  ASSERT_EQ(::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

class InodeReferencesTest : public PassthroughFixture {
 protected:
  static constexpr uint64_t kBudget = 64;

  InodeReferencesTest() { ServeWithBroker(); }
  ~InodeReferencesTest() override { (void)::umount2(Host("mounted").c_str(), MNT_DETACH); }

  void ServeWithBroker(Options options = {}) {
    options.max_inode_fds = kBudget;
    if (options.host_handles != HostHandles::kNever) {
      options.broker = std::make_unique<OwnHandleBroker>(log_);
    }
    ServeWith(std::move(options));
  }

  // Makes `count` files on the host and has the guest look them up, so that what was known before
  // is demoted if `count` is well over the budget.
  std::map<std::string, Entry> LookUpMany(const std::string& prefix, int count) {
    std::map<std::string, Entry> entries;
    for (int i = 0; i < count; ++i) {
      const std::string name = prefix + std::to_string(i);
      WriteHost(Host(name), name);
      entries.emplace(name, Must(fs->Lookup(kRoot, name)));
    }
    return entries;
  }
  void DemoteAll() { LookUpMany("filler", 3 * kBudget); }

  // Serves a share with a file system of its own mounted at "mounted".
  void MountAndServe() {
    ASSERT_EQ(::unshare(CLONE_NEWNS), 0);
    ASSERT_EQ(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
    ASSERT_EQ(::mkdir(Host("mounted").c_str(), 0755), 0);
    ASSERT_EQ(::mount("tmpfs", Host("mounted").c_str(), "tmpfs", 0, nullptr), 0);
    ServeWithBroker();
  }

  // Makes a file that, once demoted, is as if the host had given its number to another inode. (The
  // host's own file system keeps a number back for a while.)
  Entry MakeFileToBeRecycled(const std::string& name) {
    const Entry entry = Must(fs->MakeFile(kRoot, name, "text"));
    log_.of_another_generation =
        Must(HandleOf(os::UniqueFd(::open(Host(name).c_str(), O_PATH | O_CLOEXEC)).get()));
    DemoteAll();
    log_.of_another_generation = {};
    return entry;
  }

  BrokerLog log_;
};

TEST_F(InodeReferencesTest, InodesBeyondTheBudgetKeepTheirIdentityAndTakeNoFds) {
  const int fds = OpenFdCount();
  const std::map<std::string, Entry> entries = LookUpMany("file", 1000);
  EXPECT_LE(OpenFdCount(), fds + static_cast<int>(kBudget));
  for (const auto& [name, entry] : entries) {
    EXPECT_EQ(Must(fs->Contents(entry.node)), name);
    EXPECT_EQ(Must(fs->GetAttributes(entry.node)).stx_ino, entry.attributes.stx_ino);
    EXPECT_EQ(Must(fs->Lookup(kRoot, name)).node, entry.node);
  }
  EXPECT_LE(OpenFdCount(), fds + static_cast<int>(kBudget));
  EXPECT_EQ(filesystem_->Usage().inodes, 1001u);
  EXPECT_EQ(filesystem_->Usage().inodes_refused, 0u);
  EXPECT_GE(log_.opened, 1000 - static_cast<int>(kBudget));
  // A handle is asked for once.
  EXPECT_LE(log_.issued, 1001);
}

TEST_F(InodeReferencesTest, EveryTypeIsFoundAgain) {
  const NodeId directory = Must(fs->MakeDirectory(kRoot, "directory")).node;
  const NodeId inner = Must(fs->MakeFile(directory, "inner", "inside")).node;
  const NodeId symlink = Must(fs->Symlink(kRoot, "symlink", "target")).node;
  const NodeId fifo = Must(fs->MakeNode(kRoot, "fifo", S_IFIFO | 0600)).node;
  DemoteAll();
  log_.opened = 0;
  EXPECT_EQ(Must(fs->ReadLink(symlink)), "target");
  EXPECT_TRUE(S_ISFIFO(Must(fs->GetAttributes(fifo)).stx_mode));
  EXPECT_EQ(Must(fs->Lookup(directory, "inner")).node, inner);
  EXPECT_EQ(Must(fs->Lookup(directory, "..")).node, kRoot);
  EXPECT_EQ(Must(fs->Contents(inner)), "inside");
  EXPECT_SUCCESS(fs->Link(inner, kRoot, "linked"));
  EXPECT_SUCCESS(fs->MakeFile(directory, "new", ""));
  EXPECT_EQ(log_.opened, 4);
}

TEST_F(InodeReferencesTest, WhatIsUsedStaysAnFd) {
  const NodeId used = Must(fs->MakeFile(kRoot, "used", "")).node;
  DemoteAll();
  Must(fs->GetAttributes(used));
  log_.opened = 0;
  for (int i = 0; i < 1000; ++i) {
    const std::string name = "more" + std::to_string(i);
    WriteHost(Host(name), "");
    Must(fs->Lookup(kRoot, name));
    Must(fs->GetAttributes(used));
  }
  EXPECT_EQ(log_.opened, 0);
}

TEST_F(InodeReferencesTest, WhatIsUsedWhileItsHandleIsAskedForStaysAnFd) {
  const std::map<std::string, Entry> entries = LookUpMany("file", kBudget - 1);
  log_.when_issuing = [&] {
    for (const auto& [name, entry] : entries) EXPECT_SUCCESS(fs->GetAttributes(entry.node));
  };
  WriteHost(Host("more"), "");
  EXPECT_ERRNO(fs->Lookup(kRoot, "more"), ENFILE);
  log_.when_issuing = nullptr;
  EXPECT_SUCCESS(fs->Lookup(kRoot, "more"));
}

TEST_F(InodeReferencesTest, ARemovedNameLeavesTheInodeReachable) {
  const NodeId file = Must(fs->MakeFile(kRoot, "file", "still here")).node;
  const NodeId replaced = Must(fs->MakeFile(kRoot, "replaced", "replaced")).node;
  const NodeId directory = Must(fs->MakeDirectory(kRoot, "directory")).node;
  Must(fs->MakeFile(kRoot, "mover", "mover"));
  DemoteAll();
  EXPECT_SUCCESS(fs->Unlink(kRoot, "file"));
  EXPECT_SUCCESS(fs->Rename(kRoot, "mover", kRoot, "replaced"));
  EXPECT_SUCCESS(fs->RemoveDirectory(kRoot, "directory"));
  LookUpMany("later", 3 * kBudget);
  EXPECT_EQ(Must(fs->Contents(file)), "still here");
  EXPECT_EQ(Must(fs->GetAttributes(file)).stx_nlink, 0u);
  EXPECT_EQ(Must(fs->Contents(replaced)), "replaced");
  EXPECT_EQ(Must(fs->GetAttributes(directory)).stx_nlink, 0u);
}

TEST_F(InodeReferencesTest, InodesWithoutANameDoNotKeepOthersFromMakingRoom) {
  constexpr int kNameless = kBudget - 20;
  const std::map<std::string, Entry> nameless = LookUpMany("nameless", kNameless);
  for (const auto& [name, entry] : nameless) EXPECT_SUCCESS(fs->Unlink(kRoot, name));
  LookUpMany("file", 3 * kBudget);
  for (const auto& [name, entry] : nameless) EXPECT_EQ(Must(fs->Contents(entry.node)), name);
  EXPECT_EQ(filesystem_->Usage().inodes_refused, 0u);
}

TEST_F(InodeReferencesTest, AnInodeWhoseNamesAreNotKnownCountsAsNamelessUntilItIsForgotten) {
  constexpr uint32_t kSlots = 16;
  const auto open = [&](const std::string& name, int flags) {
    return os::UniqueFd(::open(Host(name).c_str(), flags | O_CLOEXEC));
  };
  const os::UniqueFd proc_self_fd(::open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC));
  InodeTable table(
      Must(InodeTable::Slots::Reserve("test", kSlots)), open("", O_PATH),
      Must(StatFd(open("", O_PATH).get())), /*max_fds=*/2,
      Must(InodeReferences::Handles::Create(std::make_unique<OwnHandleBroker>(log_),
                                            proc_self_fd.get(), open("", O_RDONLY), kSlots)));
  const auto insert = [&](const std::string& name) {
    WriteHost(Host(name), "");
    os::UniqueFd fd = open(name, O_PATH);
    const Attributes attributes = Must(StatFd(fd.get()));
    return table.Insert(std::move(fd), attributes, table.epoch());
  };
  const NodeId file = Must(insert("file")).node;
  std::thread([&] {
    RefuseLinkCounts();
    EXPECT_ERRNO(insert("too many"), ENFILE);
  }).join();
  EXPECT_EQ(table.references().nameless(), 1u);
  table.Forget(file, 1);
  EXPECT_EQ(table.references().nameless(), 0u);
}

TEST_F(InodeReferencesTest, RoomComesWithTheForgetsOfInodesWithoutAName) {
  const NodeId demoted = Must(fs->MakeFile(kRoot, "demoted", "text")).node;
  DemoteAll();
  std::vector<NodeId> nameless;
  while (true) {
    const ErrnoOr<Entry> made = fs->MakeFile(kRoot, "nameless", "");
    if (!made.ok()) break;
    nameless.push_back(made->node);
    EXPECT_SUCCESS(fs->Unlink(kRoot, "nameless"));
    ASSERT_LE(nameless.size(), kBudget);
  }
  EXPECT_ERRNO(fs->GetAttributes(demoted), ENFILE);
  std::atomic<bool> asking = false;
  std::thread forgetting([&] {
    asking.wait(false);
    for (const NodeId node : nameless) filesystem_->Forget(node, 1);
  });
  asking = true;
  asking.notify_one();
  EXPECT_SUCCESS(fs->GetAttributes(demoted));
  forgetting.join();
}

TEST_F(InodeReferencesTest, WhatCannotBeOpenedMakesRoomOnAMountOfItsOwn) {
  MountAndServe();
  const NodeId directory = Must(fs->Lookup(kRoot, "mounted")).node;
  // While they are made, the only directory there is in use.
  for (int i = 0; i < 3 * static_cast<int>(kBudget); ++i) {
    EXPECT_SUCCESS(fs->MakeNode(directory, "fifo" + std::to_string(i), S_IFIFO | 0600));
  }
  EXPECT_EQ(filesystem_->Usage().inodes_refused, 0u);
}

TEST_F(InodeReferencesTest, ADeletedFilesBlocksAreFreedWhileOthersOfItsMountAreHeldByHandle) {
  MountAndServe();
  const auto free_blocks = [&] {
    struct statvfs info {};
    EXPECT_EQ(::statvfs(Host("mounted").c_str(), &info), 0);
    return info.f_bfree;
  };
  const NodeId directory = Must(fs->Lookup(kRoot, "mounted")).node;
  const std::string contents(size_t{1} << 20, 'x');
  const NodeId large = Must(fs->MakeFile(directory, "large", contents)).node;
  // The directory is in use, so they are held by handle and it is not.
  for (int i = 0; i < 3 * static_cast<int>(kBudget); ++i) {
    Must(fs->MakeFile(directory, "file" + std::to_string(i), ""));
  }
  const auto before = free_blocks();
  EXPECT_SUCCESS(fs->Unlink(directory, "large"));
  filesystem_->Forget(large, 1);
  EXPECT_GE(free_blocks(), before + contents.size() / 4096);
}

TEST_F(InodeReferencesTest, AFileHoldsTheMountIfNoDirectoryOfItIsKnown) {
  MountAndServe();
  const NodeId directory = Must(fs->Lookup(kRoot, "mounted")).node;
  const NodeId file = Must(fs->MakeFile(directory, "file", "text")).node;
  filesystem_->Forget(directory, 1);
  DemoteAll();
  log_.opened = 0;
  EXPECT_EQ(Must(fs->Contents(file)), "text");
  EXPECT_EQ(log_.opened, 1);
}

TEST_F(InodeReferencesTest, AnInodeThatTheHostHasReplacedIsStaleAndItsSuccessorIsAnotherNode) {
  const Entry old = MakeFileToBeRecycled("file");
  const Entry successor = Must(fs->Lookup(kRoot, "file"));
  EXPECT_EQ(successor.attributes.stx_ino, old.attributes.stx_ino);
  EXPECT_NE(successor.node, old.node);
  EXPECT_EQ(Must(fs->Contents(successor.node)), "text");
  EXPECT_ERRNO(fs->GetAttributes(old.node), ESTALE);
  EXPECT_ERRNO(fs->Open(old.node, O_RDONLY), ESTALE);
  // Forgetting the old one leaves the new one known.
  filesystem_->Forget(old.node, 1);
  EXPECT_EQ(Must(fs->Lookup(kRoot, "file")).node, successor.node);
  DemoteAll();
  EXPECT_EQ(Must(fs->Lookup(kRoot, "file")).node, successor.node);
  EXPECT_SUCCESS(fs->GetAttributes(successor.node));
}

TEST_F(InodeReferencesTest, AnInodeThatTheHostHasRemovedIsStale) {
  const NodeId file = Must(fs->MakeFile(kRoot, "file", "old")).node;
  DemoteAll();
  ASSERT_EQ(::unlink(Host("file").c_str()), 0);
  WriteHost(Host("file"), "new");
  EXPECT_ERRNO(fs->GetAttributes(file), ESTALE);
  const NodeId successor = Must(fs->Lookup(kRoot, "file")).node;
  EXPECT_NE(successor, file);
  EXPECT_EQ(Must(fs->Contents(successor)), "new");
}

TEST_F(InodeReferencesTest, ARemovalIsNotHinderedByAnInodeThatTheHostHasReplaced) {
  const Entry old = MakeFileToBeRecycled("file");
  EXPECT_SUCCESS(fs->Unlink(kRoot, "file"));
  EXPECT_ERRNO(fs->GetAttributes(old.node), ESTALE);
}

TEST_F(InodeReferencesTest, AnInodeInTheSlotOfAnotherHasAHandleOfItsOwn) {
  for (const auto& [name, entry] : LookUpMany("old", 3 * kBudget)) {
    filesystem_->Forget(entry.node, 1);
  }
  for (const auto& [name, entry] : LookUpMany("new", 3 * kBudget)) {
    EXPECT_EQ(Must(fs->Contents(entry.node)), name);
  }
}

TEST_F(InodeReferencesTest, AHandleThatLeadsToAnotherInodeIsStale) {
  const Entry file = Must(fs->MakeFile(kRoot, "file", "text"));
  DemoteAll();
  const os::UniqueFd other(::open(Host("").c_str(), O_PATH | O_CLOEXEC));
  log_.opens_instead = other.get();
  EXPECT_ERRNO(fs->GetAttributes(file.node), ESTALE);
  log_.opens_instead = -1;
  EXPECT_EQ(Must(fs->Contents(file.node)), "text");
}

TEST_F(InodeReferencesTest, ForgettingAndResettingLeaveNothingBehind) {
  const int fds = OpenFdCount();
  for (const auto& [name, entry] : LookUpMany("file", 200)) filesystem_->Forget(entry.node, 1);
  EXPECT_EQ(OpenFdCount(), fds);
  LookUpMany("file", 200);
  filesystem_->Reset();
  EXPECT_EQ(OpenFdCount(), fds);
  EXPECT_EQ(filesystem_->Usage().inodes, 1u);
}

TEST_F(InodeReferencesTest, WithoutHandlesTheBudgetsEndIsEnfile) {
  ServeWithBroker({.host_handles = HostHandles::kNever});
  int told = 0;
  filesystem_->WhenInodesAreRefused([&told] { ++told; });
  const Entry first = LookUpMany("file", kBudget - 1).begin()->second;
  EXPECT_EQ(told, 0);
  WriteHost(Host("more"), "");
  EXPECT_ERRNO(fs->Lookup(kRoot, "more"), ENFILE);
  EXPECT_ERRNO(fs->Lookup(kRoot, "more"), ENFILE);
  EXPECT_EQ(filesystem_->Usage().inodes_refused, 2u);
  EXPECT_TRUE(filesystem_->Usage().inodes_spent);
  EXPECT_EQ(told, 1);
  EXPECT_EQ(Must(fs->Lookup(kRoot, "file1")).attributes.stx_mode & S_IFMT, uint32_t{S_IFREG});
  filesystem_->Forget(first.node, 1);
  EXPECT_FALSE(filesystem_->Usage().inodes_spent);
  EXPECT_SUCCESS(fs->Lookup(kRoot, "more"));

  // And once more.
  WriteHost(Host("one too many"), "");
  EXPECT_ERRNO(fs->Lookup(kRoot, "one too many"), ENFILE);
  EXPECT_TRUE(filesystem_->Usage().inodes_spent);
  EXPECT_EQ(told, 2);
  filesystem_->Reset();
  EXPECT_FALSE(filesystem_->Usage().inodes_spent);
}

TEST_F(InodeReferencesTest, AFullTableIsToldAsASpentBudgetIs) {
  ServeWithBroker({.max_inodes = 3});
  int told = 0;
  filesystem_->WhenInodesAreRefused([&told] { ++told; });
  const Entry first = LookUpMany("file", 2).begin()->second;
  WriteHost(Host("more"), "");
  EXPECT_FALSE(filesystem_->Usage().inodes_spent);
  EXPECT_ERRNO(fs->Lookup(kRoot, "more"), ENFILE);
  EXPECT_ERRNO(fs->Lookup(kRoot, "more"), ENFILE);
  EXPECT_EQ(filesystem_->Usage().inodes_refused, 2u);
  EXPECT_TRUE(filesystem_->Usage().inodes_spent);
  EXPECT_EQ(told, 1);

  filesystem_->Forget(first.node, 1);
  EXPECT_FALSE(filesystem_->Usage().inodes_spent);
  EXPECT_SUCCESS(fs->Lookup(kRoot, "more"));
  WriteHost(Host("one too many"), "");
  EXPECT_ERRNO(fs->Lookup(kRoot, "one too many"), ENFILE);
  EXPECT_EQ(told, 2);
}

TEST_F(InodeReferencesTest, NoBudgetIsLessThan64) {
  ServeWith({.max_inode_fds = 1, .host_handles = HostHandles::kNever});
  LookUpMany("file", 63);
}

TEST_F(InodeReferencesTest, TheBudgetIsHalfTheProcesssFdsUnlessItIsGiven) {
  rlimit before;
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit low{.rlim_cur = 300, .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &low), 0);
  ServeWith({.host_handles = HostHandles::kNever});
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  LookUpMany("file", 149);
  WriteHost(Host("more"), "");
  EXPECT_ERRNO(fs->Lookup(kRoot, "more"), ENFILE);
}

TEST_F(InodeReferencesTest, WhatTheHostHasNoHandleForStaysAnFd) {
  log_.without_handles = true;
  LookUpMany("file", kBudget - 1);
  WriteHost(Host("more"), "");
  EXPECT_ERRNO(fs->Lookup(kRoot, "more"), ENFILE);
  EXPECT_EQ(Must(fs->Contents(Must(fs->Lookup(kRoot, "file1")).node)), "file1");
  // And is not asked for one again.
  log_.without_handles = false;
  EXPECT_ERRNO(fs->Lookup(kRoot, "more"), ENFILE);
  EXPECT_EQ(log_.issued, 1) << "for the root, at the start";
}

TEST_F(InodeReferencesTest, ABrokenBrokerCostsRoomNotInodes) {
  LookUpMany("file", kBudget - 1);
  log_.broken = true;
  WriteHost(Host("more"), "");
  EXPECT_ERRNO(fs->Lookup(kRoot, "more"), ENFILE);
  log_.broken = false;
  EXPECT_SUCCESS(fs->Lookup(kRoot, "more"));
}

TEST_F(InodeReferencesTest, HandlesThatAreRequiredMustWork) {
  const auto create = [&](bool broker) {
    Options options{.host_handles = HostHandles::kAlways};
    options.root.reset(::open(Host("").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    options.proc_self_fd.reset(::open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (broker) options.broker = std::make_unique<OwnHandleBroker>(log_);
    return PassthroughFilesystem::Create(std::move(options)).status();
  };
  EXPECT_TRUE(create(true).ok());
  EXPECT_FALSE(create(false).ok());
  log_.without_handles = true;
  const absl::Status status = create(true);
  EXPECT_EQ(status.message(),
            "host handles are required (ALWAYS) but cannot be used: its file system gives no "
            "handles, or longer ones than 40 bytes");
  log_.without_handles = false;
  const os::UniqueFd other(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  log_.opens_instead = other.get();
  EXPECT_EQ(create(true).message(),
            "host handles are required (ALWAYS) but cannot be used: the root's handle leads to "
            "another inode");
}

TEST_F(InodeReferencesTest, HandlesThatArePreferredAndMissingAreToldAndWhy) {
  const auto lack = [&](Options options) {
    options.root.reset(::open(Host("").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    options.proc_self_fd.reset(::open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC));
    return (*PassthroughFilesystem::Create(std::move(options)))->Usage().handle_lack;
  };
  using backends::HandleLack;
  EXPECT_EQ(lack({.host_handles = HostHandles::kNever}), HandleLack::kNone);
  EXPECT_EQ(lack({}), HandleLack::kNotPermitted);
  EXPECT_EQ(lack({.broker = std::make_unique<OwnHandleBroker>(log_)}), HandleLack::kNone);
  log_.without_handles = true;
  EXPECT_EQ(lack({.broker = std::make_unique<OwnHandleBroker>(log_)}), HandleLack::kUnsupported);
}

TEST_F(InodeReferencesTest, TheEndOfTheProcesssFdsMakesRoomToo) {
  Options options{.max_inode_fds = 100'000};
  options.broker = std::make_unique<OwnHandleBroker>(log_);
  ServeWith(std::move(options));
  rlimit before;
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit low{.rlim_cur = static_cast<rlim_t>(OpenFdCount()) + 100,
                   .rlim_max = before.rlim_max};
  for (int i = 0; i < 300; ++i) WriteHost(Host("file" + std::to_string(i)), "text");
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &low), 0);
  std::vector<std::pair<NodeId, FileHandle>> open;
  for (int i = 0; i < 300; ++i) {
    const NodeId node = Must(fs->Lookup(kRoot, "file" + std::to_string(i))).node;
    if (i % 10 == 0) open.emplace_back(node, Must(fs->Open(node, O_RDONLY)));
  }
  for (const auto& [node, handle] : open) EXPECT_EQ(Must(fs->Read(node, handle, 0, 9)), "text");
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
}

TEST_F(InodeReferencesTest, AtTheEndOfTheProcesssFdsClosingAFileMakesRoomAndNeverFails) {
  const NodeId file = Must(fs->MakeFile(kRoot, "file", "text")).node;
  const FileHandle handle = Must(fs->Open(file, O_WRONLY));
  LookUpMany("other", kBudget / 2);
  rlimit before;
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit low{.rlim_cur = 1, .rlim_max = before.rlim_max};
  log_.broken = true;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &low), 0);
  const ErrnoOr<void> without_room = fs->Flush(file, handle, 0);
  log_.broken = false;
  log_.issued = 0;
  const ErrnoOr<void> with_room = fs->Flush(file, handle, 0);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_SUCCESS(without_room);
  EXPECT_SUCCESS(with_room);
  EXPECT_GT(log_.issued, 0);
}

TEST_F(InodeReferencesTest, AnOpeningThatFindsNoDescriptorIsTriedAgainOnceThereIsRoom) {
  const Entry file = Must(fs->MakeFile(kRoot, "file", "text"));
  const std::map<std::string, Entry> others = LookUpMany("other", 3 * kBudget);
  // So that the budget itself has room.
  for (int i = 0; i < 20; ++i) {
    filesystem_->Forget(others.at("other" + std::to_string(3 * kBudget - 1 - i)).node, 1);
  }
  const int fds = OpenFdCount();
  log_.opened = 0;
  log_.opens_without_room = 1;
  EXPECT_SUCCESS(fs->GetAttributes(file.node));
  EXPECT_EQ(log_.opened, 1);
  EXPECT_LT(OpenFdCount(), fds);
}

TEST_F(InodeReferencesTest, WithoutADescriptorEvenThenItIsEmfileAndTheInodeStays) {
  const Entry file = Must(fs->MakeFile(kRoot, "file", "text"));
  DemoteAll();
  log_.opens_without_room = 2;
  EXPECT_ERRNO(fs->GetAttributes(file.node), EMFILE);
  EXPECT_EQ(Must(fs->Contents(file.node)), "text");
}

TEST_F(InodeReferencesTest, AMountIsFreeOnceItsInodesAreForgottenWhetherOrNotTheyOpened) {
  MountAndServe();
  const NodeId directory = Must(fs->Lookup(kRoot, "mounted")).node;
  const NodeId file = Must(fs->MakeFile(directory, "file", "text")).node;
  DemoteAll();
  EXPECT_SUCCESS(fs->GetAttributes(directory));
  log_.opens_without_room = 2;
  EXPECT_ERRNO(fs->GetAttributes(file), EMFILE);
  filesystem_->Forget(file, 1);
  filesystem_->Forget(directory, 1);
  EXPECT_EQ(::umount2(Host("mounted").c_str(), 0), 0) << errno;
}

TEST_F(InodeReferencesTest, OperationsThatMeetAtTheBudgetKeepEveryIdentity) {
  constexpr int kThreads = 4;
  constexpr int kFiles = 200;
  constexpr int kRounds = 2000;
  const std::map<std::string, Entry> entries = LookUpMany("file", kFiles);
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      const std::string own = "own" + std::to_string(thread);
      for (int round = 0; round < kRounds; ++round) {
        const std::string name = "file" + std::to_string((round * 7 + thread * 50) % kFiles);
        const Entry& known = entries.at(name);
        ASSERT_EQ(Must(fs->Lookup(kRoot, name)).node, known.node);
        ASSERT_EQ(Must(fs->GetAttributes(known.node)).stx_ino, known.attributes.stx_ino);
        if (round % 20 != 0) continue;
        const NodeId made = Must(fs->MakeFile(kRoot, own, "own")).node;
        ASSERT_TRUE(fs->Unlink(kRoot, own).ok());
        ASSERT_EQ(Must(fs->GetAttributes(made)).stx_nlink, 0u);
        filesystem_->Forget(made, 1);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(filesystem_->Usage().inodes, uint64_t{kFiles} + 1);
}

}  // namespace
}  // namespace fsd::passthrough
