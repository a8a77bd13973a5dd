// What an export's cache options and agreements do, seen by a guest without a VM.
#include <fcntl.h>
#include <linux/fuse.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>

#include "gtest/gtest.h"
#include "tests/harness/guest_of_export.h"

namespace fsd {
namespace {

using harness::FuseReply;
using harness::GuestFile;
using harness::GuestOfExport;
using internal::ExportSpec;

constexpr uint64_t kDirectIoAllowMmap = uint64_t{1} << 36;  // FUSE_DIRECT_IO_ALLOW_MMAP, 7.39
constexpr int64_t kSecond = 1'000'000'000;

class CacheOptionsTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    auto started = harness::RunningSupervisor::Start(
        std::filesystem::canonical("server/exe/fsd-worker").string());
    ASSERT_TRUE(started.ok()) << started.status();
    supervisor_ = started->release();
  }
  static void TearDownTestSuite() {
    delete supervisor_;
    supervisor_ = nullptr;
  }

  // An export of its own for each call.
  std::unique_ptr<GuestOfExport> Export(const std::function<void(ExportSpec&)>& set_options) {
    static int next = 0;
    auto guest = GuestOfExport::Make(*supervisor_, "e" + std::to_string(++next), set_options);
    EXPECT_TRUE(guest.ok()) << guest.status();
    return guest.ok() ? *std::move(guest) : nullptr;
  }
  // And mounted.
  std::unique_ptr<GuestOfExport> Mounted(const std::function<void(ExportSpec&)>& set_options) {
    auto guest = Export(set_options);
    const auto agreed = guest->Init();
    EXPECT_TRUE(agreed.ok()) << agreed.status();
    return guest;
  }

  static harness::RunningSupervisor* supervisor_;
};

harness::RunningSupervisor* CacheOptionsTest::supervisor_ = nullptr;

struct Agreement {
  const char* name;
  void (*set_options)(ExportSpec&);
  // Flags that are agreed on with the options and not without them, and the other way round.
  uint64_t gained;
  uint64_t lost;
};

class AgreementTest : public CacheOptionsTest, public testing::WithParamInterface<Agreement> {};

TEST_P(AgreementTest, FollowsTheOption) {
  const auto by_default = Export([](ExportSpec&) {})->Init();
  const auto with_option = Export(GetParam().set_options)->Init();

  ASSERT_TRUE(by_default.ok() && with_option.ok());
  EXPECT_EQ(*by_default & (GetParam().gained | GetParam().lost), GetParam().lost);
  EXPECT_EQ(*with_option & (GetParam().gained | GetParam().lost), GetParam().gained);
}

INSTANTIATE_TEST_SUITE_P(
    Options, AgreementTest,
    testing::Values(
        Agreement{"Never", [](ExportSpec& spec) { spec.set_cache(ExportSpec::CACHE_NEVER); }, 0,
                  FUSE_AUTO_INVAL_DATA},
        Agreement{"Writeback", [](ExportSpec& spec) { spec.set_writeback(true); },
                  FUSE_WRITEBACK_CACHE, 0},
        Agreement{"MmapUnderNever",
                  [](ExportSpec& spec) {
                    spec.set_cache(ExportSpec::CACHE_NEVER);
                    spec.set_mmap(true);
                  },
                  kDirectIoAllowMmap, FUSE_AUTO_INVAL_DATA},
        Agreement{"CacheSymlinks", [](ExportSpec& spec) { spec.set_cache_symlinks(true); },
                  FUSE_CACHE_SYMLINKS, 0},
        Agreement{"ReaddirplusNever",
                  [](ExportSpec& spec) { spec.set_readdirplus(ExportSpec::READDIRPLUS_NEVER); }, 0,
                  FUSE_DO_READDIRPLUS | FUSE_READDIRPLUS_AUTO},
        Agreement{"ReaddirplusAlways",
                  [](ExportSpec& spec) { spec.set_readdirplus(ExportSpec::READDIRPLUS_ALWAYS); }, 0,
                  FUSE_READDIRPLUS_AUTO},
        Agreement{"ZeroMessageOpen",
                  [](ExportSpec& spec) {
                    spec.set_cache(ExportSpec::CACHE_ALWAYS);
                    spec.set_zero_message_open(true);
                  },
                  FUSE_NO_OPEN_SUPPORT | FUSE_NO_OPENDIR_SUPPORT,
                  FUSE_ATOMIC_O_TRUNC | FUSE_AUTO_INVAL_DATA},
        Agreement{"Xattr", [](ExportSpec& spec) { spec.set_xattr(true); }, FUSE_SETXATTR_EXT, 0},
        Agreement{"PosixAcl",
                  [](ExportSpec& spec) {
                    spec.set_xattr(true);
                    spec.set_posix_acl(ExportSpec::USE_AUTO);
                  },
                  FUSE_POSIX_ACL | FUSE_DONT_MASK, 0},
        Agreement{"SecurityLabel",
                  [](ExportSpec& spec) {
                    spec.set_xattr(true);
                    spec.set_security_label(ExportSpec::USE_AUTO);
                  },
                  FUSE_SECURITY_CTX, 0},
        Agreement{"KillprivNever",
                  [](ExportSpec& spec) { spec.set_killpriv(ExportSpec::USE_NEVER); }, 0,
                  FUSE_HANDLE_KILLPRIV_V2},
        Agreement{"NoSubmounts", [](ExportSpec& spec) { spec.set_submounts(false); }, 0,
                  FUSE_SUBMOUNTS},
        Agreement{"SharedLocks", [](ExportSpec& spec) { spec.set_shared_locks(true); },
                  FUSE_POSIX_LOCKS | FUSE_FLOCK_LOCKS, 0}),
    [](const testing::TestParamInfo<Agreement>& info) { return std::string(info.param.name); });

TEST_F(CacheOptionsTest, WhatIsAlwaysWantedKeepsOutAGuestThatCannot) {
  const auto set_options = [](ExportSpec& spec) {
    spec.set_xattr(true);
    spec.set_posix_acl(ExportSpec::USE_ALWAYS);
  };

  EXPECT_FALSE(
      Export(set_options)->Init(GuestOfExport::kAllFlags & ~uint64_t{FUSE_POSIX_ACL}).ok());
  EXPECT_TRUE(Export(set_options)->Init().ok());
}

TEST_F(CacheOptionsTest, EachTimeoutReachesTheGuestOnItsOwn) {
  auto guest = Mounted([](ExportSpec& spec) {
    spec.set_cache(ExportSpec::CACHE_ALWAYS);
    spec.set_attr_timeout_nanos(3 * kSecond / 2);
    spec.set_entry_timeout_nanos(0);
    spec.set_negative_timeout_nanos(7 * kSecond + 1);
  });
  std::ofstream(guest->host_path("file")) << "x";

  const auto entry = guest->Lookup("file").As<fuse_entry_out>();
  EXPECT_EQ(entry.attr_valid, 1u);
  EXPECT_EQ(entry.attr_valid_nsec, 500'000'000u);
  EXPECT_EQ(entry.entry_valid, 0u);
  EXPECT_EQ(entry.entry_valid_nsec, 0u);
  const FuseReply absent = guest->Lookup("absent");
  ASSERT_EQ(absent.error, 0);
  EXPECT_EQ(absent.As<fuse_entry_out>().nodeid, 0u);
  EXPECT_EQ(absent.As<fuse_entry_out>().entry_valid, 7u);
  EXPECT_EQ(absent.As<fuse_entry_out>().entry_valid_nsec, 1u);
}

TEST_F(CacheOptionsTest, WithoutTimeoutsThePolicysHold) {
  auto guest = Mounted([](ExportSpec& spec) { spec.set_cache(ExportSpec::CACHE_METADATA); });
  std::ofstream(guest->host_path("file")) << "x";

  const auto entry = guest->Lookup("file").As<fuse_entry_out>();
  EXPECT_EQ(entry.attr_valid, 86'400u);
  EXPECT_EQ(entry.entry_valid, 86'400u);
  EXPECT_EQ(guest->Lookup("absent").error, ENOENT);
}

TEST_F(CacheOptionsTest, AReadOnlyExportsDirectoryStaysAsItIs) {
  auto guest = Export([](ExportSpec& spec) { spec.set_read_only(true); });
  std::ofstream(guest->host_path("file")) << "kept";
  ASSERT_TRUE(guest->Init().ok());
  const uint64_t node = guest->NodeOf("file");

  EXPECT_EQ(guest->fuse().Create(FUSE_ROOT_ID, "new", 0644, O_RDWR)->error, EROFS);
  EXPECT_EQ(guest->fuse().Open(node, O_RDWR)->error, EROFS);
  EXPECT_EQ(guest->fuse().Unlink(FUSE_ROOT_ID, "file")->error, EROFS);
  EXPECT_EQ(guest->Call(FUSE_SETATTR, node, fuse_setattr_in{.valid = FATTR_SIZE}).error, EROFS);
  EXPECT_EQ(guest->fuse().Open(node, O_RDONLY)->error, 0);
  EXPECT_EQ(guest->HostStat("file").st_size, 4);
}

TEST_F(CacheOptionsTest, ZeroMessageOpenServesFilesThatAreNotOpened) {
  auto guest = Mounted([](ExportSpec& spec) {
    spec.set_cache(ExportSpec::CACHE_ALWAYS);
    spec.set_zero_message_open(true);
  });
  std::ofstream(guest->host_path("file")) << "from the host";
  const uint64_t node = guest->NodeOf("file");

  EXPECT_EQ(guest->fuse().Open(node, O_RDWR)->error, ENOSYS);
  EXPECT_EQ(guest->fuse().OpenDirectory(FUSE_ROOT_ID)->error, ENOSYS);
  EXPECT_EQ(guest->fuse().Write(node, 0, 5, "THE")->error, 0);
  const auto read = guest->fuse().Read(node, 0, 0, 100);
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(read->body.data()), read->body.size()),
            "from THE host");
  EXPECT_GT(guest->fuse().ReadDirectoryPlus(FUSE_ROOT_ID, 0, 0, 4096)->body.size(), 0u);
  const GuestFile made = guest->Create("made");
  EXPECT_NE(made.node, 0u);
  EXPECT_EQ(made.handle, 0u);
}

TEST_F(CacheOptionsTest, WithoutZeroMessageOpenFilesMustBeOpened) {
  auto guest = Mounted([](ExportSpec&) {});
  const GuestFile file = guest->Create("file");

  EXPECT_NE(file.handle, 0u);
  EXPECT_EQ(guest->fuse().Read(file.node, 0, 0, 100)->error, EBADF);
}

struct OpenFlag {
  const char* name;
  void (*set_options)(ExportSpec&);
  uint32_t asked;  // by the guest, besides O_RDWR
  uint32_t found;  // on the host, only with the option
};

class OpenFlagTest : public CacheOptionsTest, public testing::WithParamInterface<OpenFlag> {};

TEST_P(OpenFlagTest, ReachesTheHostWithTheOptionOnly) {
  for (const bool on : {false, true}) {
    auto guest = Mounted(on ? GetParam().set_options : [](ExportSpec&) {});
    std::ofstream(guest->host_path("there")) << "x";
    const uint64_t node = guest->NodeOf("there");

    ASSERT_EQ(guest->fuse().Open(node, O_RDWR | GetParam().asked)->error, 0);

    const uint32_t flags = guest->HostOpenFlags("there");
    EXPECT_NE(flags, 0u) << "it is open";
    EXPECT_EQ(flags & GetParam().found, on ? GetParam().found : 0);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Options, OpenFlagTest,
    testing::Values(OpenFlag{"DirectIo", [](ExportSpec& spec) { spec.set_direct_io(true); },
                             O_DIRECT, O_DIRECT},
                    OpenFlag{"PreserveNoatime",
                             [](ExportSpec& spec) { spec.set_preserve_noatime(true); }, O_NOATIME,
                             O_NOATIME}),
    [](const testing::TestParamInfo<OpenFlag>& info) { return std::string(info.param.name); });

TEST_F(CacheOptionsTest, UnderWritebackAFileOpenedForWritingCanBeReadBack) {
  auto guest = Mounted([](ExportSpec& spec) {
    spec.set_cache(ExportSpec::CACHE_ALWAYS);
    spec.set_writeback(true);
  });
  std::ofstream(guest->host_path("file")) << "page";
  const uint64_t node = guest->NodeOf("file");
  const auto opened = guest->fuse().Open(node, O_WRONLY);
  ASSERT_TRUE(opened.ok());
  ASSERT_EQ(opened->error, 0);

  const auto read = guest->fuse().Read(node, opened->As<fuse_open_out>().fh, 0, 4096);

  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->error, 0);
  EXPECT_EQ(read->body.size(), 4u);
}

}  // namespace
}  // namespace fsd
