// A guest that opens nothing: every operation comes with kNoHandle.
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "backends/passthrough/passthrough_fixture.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/os/unique_fd.h"

namespace fsd::passthrough {
namespace {

using backends::EntryCollector;
using backends::kNoHandle;

class ZeroMessageOpenTest : public PassthroughFixture {
 protected:
  ZeroMessageOpenTest() { ServeWith({.zero_message_open = true, .max_cached_files = 2}); }

  NodeId MakeHost(const std::string& name, const std::string& contents) {
    WriteHost(Host(name), contents);
    return Must(fs->Lookup(kRoot, name)).node;
  }
  ErrnoOr<void> Flush(NodeId node) {
    return fs->Await<void>([&](auto call) { return filesystem_->Flush(call, node, kNoHandle, 0); });
  }
  ErrnoOr<void> Fsync(NodeId node) {
    return fs->Await<void>(
        [&](auto call) { return filesystem_->Fsync(call, node, kNoHandle, false); });
  }
  ErrnoOr<std::vector<EntryCollector::Collected>> ReadDirectory(NodeId node, uint64_t offset) {
    EntryCollector collector(1);
    const ErrnoOr<void> read = fs->ReadDirectory(node, kNoHandle, offset, collector, false);
    if (!read.ok()) return read.error();
    return std::move(collector.entries);
  }
};

TEST_F(ZeroMessageOpenTest, WithoutTheOptionThereIsNoSuchHandle) {
  ServeWith({});
  const NodeId file = MakeHost("file", "text");
  EXPECT_ERRNO(fs->Read(file, kNoHandle, 0, 4), EBADF);
  EXPECT_ERRNO(fs->Write(file, kNoHandle, 0, "x"), EBADF);
  EXPECT_ERRNO(Flush(file), EBADF);
  EXPECT_ERRNO(ReadDirectory(kRoot, 0), EBADF);
  EXPECT_ERRNO(fs->Release(file, kNoHandle), EBADF);
}

TEST_F(ZeroMessageOpenTest, AFileIsReadAndWrittenWithoutBeingOpened) {
  const NodeId file = MakeHost("file", "text");
  EXPECT_EQ(Must(fs->Read(file, kNoHandle, 1, 10)), "ext");
  EXPECT_EQ(Must(fs->Write(file, kNoHandle, 4, "ure")), 3u);
  EXPECT_EQ(Must(fs->Write(file, kNoHandle, 0, "!", {.append = true})), 1u);
  EXPECT_EQ(ReadHost(Host("file")), "texture!");
  EXPECT_SUCCESS(fs->Fallocate(file, kNoHandle, 0, 0, 100));
  EXPECT_EQ(Must(fs->Seek(file, kNoHandle, 0, SEEK_HOLE)), 100u);
  EXPECT_SUCCESS(Fsync(file));
  EXPECT_SUCCESS(Flush(file));
  EXPECT_SUCCESS(fs->Release(file, kNoHandle));
  EXPECT_EQ(filesystem_->Usage().open_files, 0u);
}

TEST_F(ZeroMessageOpenTest, AttributesNeedNoHandleEither) {
  const NodeId file = MakeHost("file", "text");
  EXPECT_EQ(Must(fs->Await<Attributes>([&](auto call) {
              return filesystem_->GetAttributes(call, file, kNoHandle);
            })).stx_size,
            4u);
  EXPECT_EQ(Must(fs->Await<Attributes>([&](auto call) {
              return filesystem_->SetAttributes(call, file, kNoHandle, {.size = 2});
            })).stx_size,
            2u);
}

TEST_F(ZeroMessageOpenTest, AnIoctlNeedsNone) {
  int flags = 0;
  const iovec output{&flags, sizeof(flags)};
  EXPECT_SUCCESS(fs->Await<size_t>([&](auto call) {
    return filesystem_->Ioctl(call, kRoot, kNoHandle, FS_IOC_GETFLAGS, {}, {&output, 1});
  }));
}

TEST_F(ZeroMessageOpenTest, CreateLeavesNothingOpen) {
  const auto created = Must(fs->Await<backends::CreatedFile>([&](auto call) {
    return filesystem_->Create(call, kRoot, "new", 0600, {.flags = O_RDWR, .keep_open = false}, {});
  }));
  EXPECT_EQ(created.handle, kNoHandle);
  EXPECT_EQ(filesystem_->Usage().open_files, 0u);
  EXPECT_EQ(Must(fs->Write(created.entry.node, kNoHandle, 0, "x")), 1u);
}

TEST_F(ZeroMessageOpenTest, ADirectoryIsReadFromAnyOffset) {
  const NodeId directory = Must(fs->MakeDirectory(kRoot, "d")).node;
  for (const char* name : {"a", "b", "c"}) Must(fs->Create(directory, name, O_RDWR));
  std::vector<uint64_t> offsets;
  std::vector<std::string> names;
  for (uint64_t offset = 0;;) {
    const auto entries = Must(ReadDirectory(directory, offset));
    if (entries.empty()) break;
    offsets.push_back(offset);
    names.push_back(entries[0].name);
    offset = entries[0].next_offset;
  }
  EXPECT_THAT(names, ::testing::UnorderedElementsAre(".", "..", "a", "b", "c"));
  EXPECT_EQ(Must(ReadDirectory(directory, offsets[3]))[0].name, names[3]);
  EXPECT_EQ(Must(ReadDirectory(directory, offsets[1]))[0].name, names[1]);
  EXPECT_SUCCESS(fs->ReleaseDirectory(directory, kNoHandle));
}

TEST_F(ZeroMessageOpenTest, WhatIsNoFileIsNeverOpened) {
  ASSERT_EQ(::mkfifo(Host("fifo").c_str(), 0600), 0);
  ASSERT_EQ(::symlink("fifo", Host("link").c_str()), 0);
  EXPECT_ERRNO(fs->Read(Must(fs->Lookup(kRoot, "fifo")).node, kNoHandle, 0, 1), ENXIO);
  EXPECT_ERRNO(fs->Read(Must(fs->Lookup(kRoot, "link")).node, kNoHandle, 0, 1), ELOOP);
  EXPECT_ERRNO(fs->Read(kRoot, kNoHandle, 0, 1), EISDIR);
  EXPECT_ERRNO(fs->Write(kRoot, kNoHandle, 0, "x"), EISDIR);
  EXPECT_ERRNO(ReadDirectory(MakeHost("file", ""), 0), ENOTDIR);
  EXPECT_ERRNO(fs->Read(NodeId{12345}, kNoHandle, 0, 1), ESTALE);
}

TEST_F(ZeroMessageOpenTest, WhatCannotBeOpenedForWritingIsRead) {
  const NodeId file = MakeHost("file", "text");
  SetHostFlag("file", FS_IMMUTABLE_FL, true);
  EXPECT_EQ(Must(fs->Read(file, kNoHandle, 0, 4)), "text");
  EXPECT_ERRNO(fs->Write(file, kNoHandle, 0, "x"), EPERM);
  SetHostFlag("file", FS_IMMUTABLE_FL, false);
  EXPECT_EQ(Must(fs->Write(file, kNoHandle, 0, "T")), 1u);
  EXPECT_EQ(Must(fs->Read(file, kNoHandle, 0, 4)), "Text");
}

TEST_F(ZeroMessageOpenTest, AnAppendOnlyFileIsAppendedTo) {
  const NodeId file = MakeHost("file", "text");
  SetHostFlag("file", FS_APPEND_FL, true);
  const auto appended = fs->Write(file, kNoHandle, 0, "ure", {.append = true});
  const auto placed = fs->Write(file, kNoHandle, 0, "T", {.append = false});
  SetHostFlag("file", FS_APPEND_FL, false);
  EXPECT_SUCCESS(appended);
  EXPECT_ERRNO(placed, EPERM);
  EXPECT_SUCCESS(fs->Write(file, kNoHandle, 0, "T", {.append = false}));
  EXPECT_EQ(ReadHost(Host("file")), "Texture");
}

TEST_F(ZeroMessageOpenTest, AReadOnlyShareIsOnlyRead) {
  ServeWith({.read_only = true, .zero_message_open = true});
  const NodeId file = MakeHost("file", "text");
  EXPECT_EQ(Must(fs->Read(file, kNoHandle, 0, 4)), "text");
  EXPECT_ERRNO(fs->Write(file, kNoHandle, 0, "x"), EROFS);
  // Which Linux grants as long as nobody has the file open for writing.
  const os::UniqueFd host(::open(Host("file").c_str(), O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(::fcntl(host.get(), F_SETLEASE, F_RDLCK), 0);
}

TEST_F(ZeroMessageOpenTest, DescriptorsStayWithinTheBound) {
  std::vector<NodeId> files;
  for (int i = 0; i < 10; ++i) files.push_back(MakeHost("f" + std::to_string(i), "x"));
  const int before = OpenFdCount();
  for (const NodeId file : files) EXPECT_EQ(Must(fs->Read(file, kNoHandle, 0, 1)), "x");
  EXPECT_EQ(OpenFdCount(), before + 2);
  for (const NodeId file : files) EXPECT_EQ(Must(fs->Read(file, kNoHandle, 0, 1)), "x");
}

TEST_F(ZeroMessageOpenTest, AForgottenFileAndAnEndedSessionLeaveNoDescriptor) {
  const int before = OpenFdCount();
  const NodeId first = MakeHost("first", "x");
  Must(fs->Read(first, kNoHandle, 0, 1));
  filesystem_->Forget(first, 1);
  EXPECT_EQ(OpenFdCount(), before);
  EXPECT_ERRNO(fs->Read(first, kNoHandle, 0, 1), ESTALE);

  const NodeId second = MakeHost("second", "x");
  Must(fs->Read(second, kNoHandle, 0, 1));
  Must(ReadDirectory(kRoot, 0));
  filesystem_->Reset();
  EXPECT_EQ(OpenFdCount(), before);
  EXPECT_ERRNO(fs->Read(second, kNoHandle, 0, 1), ESTALE);
}

}  // namespace
}  // namespace fsd::passthrough
