// Operations that are completed later, elsewhere, or never.
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/fuse/abi.h"
#include "server/fuse/recording_filesystem.h"
#include "server/fuse/request_driver.h"
#include "server/fuse/session.h"

namespace fsd::fuse {
namespace {

using Manner = RecordingFilesystem::Manner;

struct Case {
  const char* name;
  uint32_t opcode;
  std::string arguments;
  uint32_t written;
};

std::vector<Case> Cases() {
  fuse_write_in write{};
  write.size = 5;
  fuse_read_in read{};
  read.size = 100;
  const std::string fsync = Raw(fuse_fsync_in{});
  const fuse_lseek_in seek = {.fh = 0, .offset = 0, .whence = SEEK_DATA, .padding = 0};
  fuse_setxattr_in setxattr{};
  setxattr.size = 9000;
  fuse_ioctl_in ioctl{};
  ioctl.out_size = 100;
  return {
      {"Entry", FUSE_LOOKUP, Text("name"), 144},
      {"EntryOfALongRequest", FUSE_SYMLINK, Text("name") + Text(std::string(3000, 't')), 144},
      {"Attributes", FUSE_GETATTR, Raw(fuse_getattr_in{}), 120},
      {"Nothing", FUSE_FSYNC, fsync, 16},
      {"File", FUSE_OPEN, Raw(fuse_open_in{}), 32},
      {"Directory", FUSE_OPENDIR, Raw(fuse_open_in{}), 32},
      {"CreatedFile", FUSE_CREATE, Raw(fuse_create_in{}) + Text("name"), 160},
      {"Data", FUSE_READ, Raw(read), 16 + 7},
      {"Written", FUSE_WRITE, Raw(write) + "hello", 24},
      {"Target", FUSE_READLINK, "", 16 + 7},
      {"Statistics", FUSE_STATFS, "", 96},
      {"Offset", FUSE_LSEEK, Raw(seek), 24},
      {"TemporaryFile", FUSE_TMPFILE, Raw(fuse_create_in{}) + Text("/"), 160},
      {"Statx", kOpcodeStatx, Raw(StatxIn{}), 16 + 288},
      {"Lock", FUSE_GETLK, Raw(fuse_lk_in{}), 16 + 24},
      {"LockTaken", FUSE_SETLKW, Raw(fuse_lk_in{}), 16},
      {"XattrOfALongRequest", FUSE_SETXATTR,
       Raw(setxattr) + Text("user.a") + std::string(9000, 'v'), 16},
      {"Xattr", FUSE_GETXATTR, Raw(fuse_getxattr_in{.size = 100, .padding = 0}) + Text("user.a"),
       16 + 7},
      {"XattrsLength", FUSE_LISTXATTR, Raw(fuse_getxattr_in{}), 24},
      {"IoctlsData", FUSE_IOCTL, Raw(ioctl), 16 + 16 + 7},
      {"BytesCopied", FUSE_COPY_FILE_RANGE, Raw(fuse_copy_file_range_in{}), 24},
      {"BytesCopied64", kOpcodeCopyFileRange64, Raw(fuse_copy_file_range_in{}), 24},
      {"Entries", FUSE_READDIR, Raw(read), 16 + 32},
  };
}

class Pending : public ::testing::TestWithParam<Case> {
 protected:
  Pending() {
    filesystem_.content = "content";
    filesystem_.listing = {{"one", 5}};
  }

  std::unique_ptr<Flight> Start() {
    return driver_.Start(GetParam().opcode, 1, GetParam().arguments,
                         {.readable_cuts = {30}, .writable_cuts = {10, 20}});
  }

  RecordingFilesystem filesystem_;
  RequestDriver driver_{filesystem_, {.xattr = true, .locks = true}};
};

TEST_P(Pending, IsAnsweredWhenItIsCompleted) {
  filesystem_.manner = Manner::kLater;

  const auto flight = Start();
  EXPECT_EQ(flight->replies(), 0);
  filesystem_.CompleteAll();

  EXPECT_EQ(flight->replies(), 1);
  EXPECT_EQ(flight->answer().written, GetParam().written);
  EXPECT_EQ(flight->answer().error(), 0);
}

TEST_P(Pending, MayBeCompletedByAnotherThreadBeforeItReturns) {
  filesystem_.manner = Manner::kBeforeReturn;

  const auto flight = Start();

  EXPECT_EQ(flight->replies(), 1);
  EXPECT_EQ(flight->answer().written, GetParam().written);
}

TEST_P(Pending, MayBeCompletedByAnotherThreadAfterItReturned) {
  filesystem_.manner = Manner::kLater;

  const auto flight = Start();
  std::thread([this] { filesystem_.CompleteAll(); }).join();

  EXPECT_EQ(flight->answer().written, GetParam().written);
}

TEST_P(Pending, MayFailLate) {
  filesystem_.manner = Manner::kLater;
  filesystem_.error = EDQUOT;
  filesystem_.listing.clear();

  const auto flight = Start();
  filesystem_.CompleteAll();

  EXPECT_EQ(flight->answer().error(), EDQUOT);
  EXPECT_EQ(flight->answer().written, 16u);
}

TEST_P(Pending, IsEIOIfItsCompletionIsDestroyedUnused) {
  filesystem_.manner = Manner::kNever;
  filesystem_.listing.clear();

  const auto flight = Start();

  EXPECT_EQ(flight->answer().error(), EIO);
}

INSTANTIATE_TEST_SUITE_P(EachResult, Pending, ::testing::ValuesIn(Cases()),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(PendingRequests, AreAnsweredInAnyOrder) {
  RecordingFilesystem filesystem;
  RequestDriver driver(filesystem);
  filesystem.manner = Manner::kLater;

  const auto first = driver.Start(FUSE_LOOKUP, 1, Text("first"));
  filesystem.error = ENOENT;
  const auto second = driver.Start(FUSE_LOOKUP, 1, Text("second"));
  filesystem.CompleteAll();

  EXPECT_EQ(first->answer().error(), 0);
  EXPECT_EQ(second->answer().error(), ENOENT);
}

TEST(PendingRequests, OutliveAReset) {
  RecordingFilesystem filesystem;
  RequestDriver driver(filesystem);
  filesystem.manner = Manner::kLater;

  const auto flight = driver.Start(FUSE_LOOKUP, 1, Text("name"));
  driver.session().Reset();
  filesystem.CompleteAll();

  EXPECT_EQ(flight->answer().error(), 0);
}

}  // namespace
}  // namespace fsd::fuse
