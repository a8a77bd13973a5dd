// What has made other servers crash, hang or lie, case by case, to a worker behind its jail: each
// gets an errno or, where no reply is possible, a completed chain of length 0, and the same worker
// serves the next request.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gtest/gtest.h"
#include "server/os/unique_fd.h"
#include "tests/harness/front_end.h"
#include "tests/harness/fuse_client.h"
#include "tests/harness/running_supervisor.h"

namespace fsd {
namespace {

using harness::Buffer;
using harness::DriverQueue;
using harness::FrontEnd;
using harness::FuseClient;
using harness::FuseReply;
using harness::GuestArena;

constexpr size_t kHeader = sizeof(fuse_in_header);
// Of the chain's used length: there was no reply.
constexpr int kNoReply = -1;
constexpr uint32_t kAddMemReg = 37;

template <typename T>
std::string Raw(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}
std::string Name(std::string_view name) { return std::string(name) + '\0'; }

std::string Message(uint32_t opcode, uint64_t node, std::string_view arguments) {
  fuse_in_header header{};
  header.len = static_cast<uint32_t>(kHeader + arguments.size());
  header.opcode = opcode;
  header.unique = 4711;
  header.nodeid = node;
  return Raw(header).append(arguments);
}

class HostileCasesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto started = harness::RunningSupervisor::Start(
        std::filesystem::canonical("server/exe/fsd-worker").string());
    ASSERT_TRUE(started.ok()) << started.status();
    supervisor_ = *std::move(started);
    const auto view = supervisor_->Create("web");
    ASSERT_TRUE(view.ok()) << view.status();
    worker_ = view->worker_pid;
    auto front_end = FrontEnd::Connect(view->record.spec().socket_path(), {.memory_regions = 2});
    ASSERT_TRUE(front_end.ok()) << front_end.status();
    guest_ = *std::move(front_end);
    ASSERT_TRUE(guest_->Start().ok());
    fuse_ = std::make_unique<FuseClient>(*guest_);
  }

  // Whatever the case did, the worker is the same and serves.
  void TearDown() override {
    ASSERT_TRUE(fuse_->Init().ok());
    const auto reply = fuse_->GetAttributes(FUSE_ROOT_ID);
    ASSERT_TRUE(reply.ok()) << reply.status();
    EXPECT_EQ(reply->error, 0);
    const auto view = supervisor_->Get("web");
    ASSERT_TRUE(view.ok());
    EXPECT_EQ(view->restarts, 0u);
    EXPECT_EQ(view->worker_pid, worker_);
  }

  void Mount() { ASSERT_TRUE(fuse_->Init().ok()); }

  uint64_t Put(std::string_view bytes) {
    const uint64_t address = guest_->arena().Allocate(bytes.size() + 1);
    std::memcpy(guest_->arena().At(address), bytes.data(), bytes.size());
    return address;
  }

  // The used length of a chain, which must come.
  uint32_t Use() {
    guest_->Kick(1);
    const absl::Status used = guest_->WaitUsed(1);
    EXPECT_TRUE(used.ok()) << used;
    const std::optional<DriverQueue::Used> element = guest_->queue(1).PopUsed();
    EXPECT_TRUE(element.has_value());
    return element ? element->written : ~0u;
  }
  uint32_t Use(std::vector<Buffer> readable, std::vector<Buffer> writable) {
    EXPECT_TRUE(guest_->queue(1).Submit(readable, writable).has_value());
    return Use();
  }

  // The errno of the answer to a message, or kNoReply.
  int Send(std::string_view message, uint32_t room = 512) {
    const uint64_t reply = guest_->arena().Allocate(room + 1);
    std::vector<Buffer> writable;
    if (room > 0) writable.push_back({reply, room});
    const uint32_t written = Use({{Put(message), static_cast<uint32_t>(message.size())}}, writable);
    if (written == 0) return kNoReply;
    fuse_out_header header;
    std::memcpy(&header, guest_->arena().At(reply), sizeof header);
    EXPECT_EQ(header.len, written);
    EXPECT_EQ(header.unique, 4711u);
    return -header.error;
  }
  int Send(uint32_t opcode, uint64_t node, std::string_view arguments, uint32_t room = 512) {
    return Send(Message(opcode, node, arguments), room);
  }

  struct File {
    uint64_t node = 0;
    uint64_t handle = 0;
  };
  File Create(std::string_view name, uint32_t flags = O_RDWR) {
    const auto reply = fuse_->Create(FUSE_ROOT_ID, name, 0600, flags);
    EXPECT_TRUE(reply.ok() && reply->error == 0);
    fuse_open_out open{};
    std::memcpy(&open, reply->body.data() + sizeof(fuse_entry_out), sizeof open);
    return {.node = reply->As<fuse_entry_out>().nodeid, .handle = open.fh};
  }

  std::unique_ptr<harness::RunningSupervisor> supervisor_;
  std::unique_ptr<FrontEnd> guest_;
  std::unique_ptr<FuseClient> fuse_;
  pid_t worker_ = 0;
};

// --- 27 ---

TEST_F(HostileCasesTest, CreateOfANameThatExistsOpensItWhateverItsFlagsCarry) {
  Mount();
  std::ofstream(supervisor_->share("web") + "/taken") << "contents";
  const fuse_create_in in{.flags = O_CREAT | O_RDWR, .mode = 0600, .umask = 0, .open_flags = 0};
  EXPECT_EQ(Send(FUSE_CREATE, FUSE_ROOT_ID, Raw(in) + Name("taken")), 0);
  EXPECT_EQ(std::filesystem::file_size(supervisor_->share("web") + "/taken"), 8u);
}

TEST_F(HostileCasesTest, CreateExclusivelyOfANameThatExistsIsEEXIST) {
  Mount();
  std::ofstream(supervisor_->share("web") + "/taken") << "contents";
  const fuse_create_in in{
      .flags = O_CREAT | O_EXCL | O_RDWR, .mode = 0600, .umask = 0, .open_flags = 0};
  EXPECT_EQ(Send(FUSE_CREATE, FUSE_ROOT_ID, Raw(in) + Name("taken")), EEXIST);
}

// --- 28 ---

TEST_F(HostileCasesTest, AChainWithoutWritableBytesIsCompletedWithLengthZero) {
  Mount();
  EXPECT_EQ(Send(FUSE_GETATTR, FUSE_ROOT_ID, Raw(fuse_getattr_in{}), 0), kNoReply);
}

TEST_F(HostileCasesTest, AChainWithTooFewWritableBytesForAHeaderIsCompletedWithLengthZero) {
  Mount();
  for (const uint32_t room : {1u, 15u}) {
    EXPECT_EQ(Send(FUSE_GETATTR, FUSE_ROOT_ID, Raw(fuse_getattr_in{}), room), kNoReply);
  }
}

TEST_F(HostileCasesTest, AChainWithTooFewWritableBytesForTheReplyIsEINVAL) {
  Mount();
  for (const uint32_t room : {16u, 17u, 119u}) {
    EXPECT_EQ(Send(FUSE_GETATTR, FUSE_ROOT_ID, Raw(fuse_getattr_in{}), room), EINVAL);
  }
}

TEST_F(HostileCasesTest, AHeaderLongerThanTheChainIsEINVAL) {
  Mount();
  std::string message = Message(FUSE_GETATTR, FUSE_ROOT_ID, Raw(fuse_getattr_in{}));
  for (const uint32_t length : {57u, ~0u}) {
    std::memcpy(message.data(), &length, sizeof length);
    EXPECT_EQ(Send(message), EINVAL);
  }
}

TEST_F(HostileCasesTest, AHeaderCutShortIsEINVAL) {
  Mount();
  const std::string header = Message(FUSE_STATFS, FUSE_ROOT_ID, "");
  const uint64_t reply = guest_->arena().Allocate(64);
  EXPECT_EQ(Use({{Put(header), 39}}, {{reply, 64}}), sizeof(fuse_out_header));
  EXPECT_EQ(guest_->arena().At<fuse_out_header>(reply)->error, -EINVAL);
}

TEST_F(HostileCasesTest, AnUnknownOpcodeIsENOSYS) {
  Mount();
  for (const uint32_t opcode : {0u, 7u, 54u, 4096u, ~0u}) {
    EXPECT_EQ(Send(opcode, FUSE_ROOT_ID, ""), ENOSYS);
  }
}

TEST_F(HostileCasesTest, ANameWithoutNulIsEINVAL) {
  Mount();
  EXPECT_EQ(Send(FUSE_LOOKUP, FUSE_ROOT_ID, "name"), EINVAL);
  EXPECT_EQ(Send(FUSE_LOOKUP, FUSE_ROOT_ID, ""), EINVAL);
}

TEST_F(HostileCasesTest, ANameWithASlashIsEINVAL) {
  Mount();
  EXPECT_EQ(Send(FUSE_LOOKUP, FUSE_ROOT_ID, Name("../etc/passwd")), EINVAL);
  EXPECT_EQ(Send(FUSE_MKDIR, FUSE_ROOT_ID, Raw(fuse_mkdir_in{}) + Name("a/b")), EINVAL);
}

TEST_F(HostileCasesTest, AReadLargerThanTheWritableSpaceIsEINVAL) {
  Mount();
  const File file = Create("file");
  fuse_read_in in{};
  in.fh = file.handle;
  for (const uint32_t size : {497u, ~0u}) {
    in.size = size;
    EXPECT_EQ(Send(FUSE_READ, file.node, Raw(in), 512), EINVAL);
  }
}

TEST_F(HostileCasesTest, AWriteWhoseSizeIsNotItsPayloadsIsEINVAL) {
  Mount();
  const File file = Create("file");
  fuse_write_in in{};
  in.fh = file.handle;
  for (const uint32_t size : {4u, 6u, ~0u}) {
    in.size = size;
    EXPECT_EQ(Send(FUSE_WRITE, file.node, Raw(in) + "hello"), EINVAL);
  }
  EXPECT_EQ(std::filesystem::file_size(supervisor_->share("web") + "/file"), 0u);
}

TEST_F(HostileCasesTest, NodeidZeroIsESTALE) {
  Mount();
  EXPECT_EQ(Send(FUSE_GETATTR, 0, Raw(fuse_getattr_in{})), ESTALE);
  EXPECT_EQ(Send(FUSE_LOOKUP, 0, Name("file")), ESTALE);
}

TEST_F(HostileCasesTest, ANodeidThatWasFreedIsESTALE) {
  Mount();
  const auto made = fuse_->MakeDirectory(FUSE_ROOT_ID, "d", 0700);
  ASSERT_TRUE(made.ok() && made->error == 0);
  const uint64_t node = made->As<fuse_entry_out>().nodeid;
  ASSERT_TRUE(fuse_->Forget(node, 1).ok());
  EXPECT_EQ(Send(FUSE_GETATTR, node, Raw(fuse_getattr_in{})), ESTALE);
}

TEST_F(HostileCasesTest, ANodeidThatWasNeverGivenIsESTALE) {
  Mount();
  for (const uint64_t node : {uint64_t{2}, uint64_t{77}, uint64_t{1} << 32, ~uint64_t{0}}) {
    EXPECT_EQ(Send(FUSE_GETATTR, node, Raw(fuse_getattr_in{})), ESTALE);
  }
}

TEST_F(HostileCasesTest, AHandleOfAnotherInodeIsEBADF) {
  Mount();
  const File one = Create("one");
  const File other = Create("other");
  fuse_read_in in{};
  in.fh = one.handle;
  in.size = 10;
  EXPECT_EQ(Send(FUSE_READ, other.node, Raw(in)), EBADF);
  for (const uint64_t handle : {uint64_t{77}, ~uint64_t{0}}) {
    in.fh = handle;
    EXPECT_EQ(Send(FUSE_READ, one.node, Raw(in)), EBADF);
  }
}

TEST_F(HostileCasesTest, AForgetOfMoreThanWasGivenFreesTheNodeOnce) {
  Mount();
  const auto made = fuse_->MakeDirectory(FUSE_ROOT_ID, "d", 0700);
  ASSERT_TRUE(made.ok() && made->error == 0);
  const uint64_t node = made->As<fuse_entry_out>().nodeid;
  ASSERT_TRUE(fuse_->Forget(node, ~uint64_t{0}).ok());
  ASSERT_TRUE(fuse_->Forget(node, 1).ok());
  EXPECT_EQ(Send(FUSE_GETATTR, node, Raw(fuse_getattr_in{})), ESTALE);
  const auto again = fuse_->Lookup(FUSE_ROOT_ID, "d");
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->error, 0);
}

TEST_F(HostileCasesTest, AForgetOfTheRootLeavesIt) {
  Mount();
  ASSERT_TRUE(fuse_->Forget(FUSE_ROOT_ID, ~uint64_t{0}).ok());
  EXPECT_EQ(Send(FUSE_GETATTR, FUSE_ROOT_ID, Raw(fuse_getattr_in{})), 0);
}

TEST_F(HostileCasesTest, ASecondInitBeginsASessionAnew) {
  Mount();
  const File file = Create("file");
  Mount();
  EXPECT_EQ(Send(FUSE_GETATTR, file.node, Raw(fuse_getattr_in{})), ESTALE);
  EXPECT_EQ(Send(FUSE_LOOKUP, FUSE_ROOT_ID, Name("file")), 0);
}

TEST_F(HostileCasesTest, RequestsBeforeInitAreEIO) {
  EXPECT_EQ(Send(FUSE_GETATTR, FUSE_ROOT_ID, Raw(fuse_getattr_in{})), EIO);
  EXPECT_EQ(Send(FUSE_LOOKUP, FUSE_ROOT_ID, Name("file")), EIO);
}

TEST_F(HostileCasesTest, InitOfMajor8IsAnsweredByOurMajorAndBeginsNoSession) {
  fuse_init_in in{};
  in.major = 8;
  EXPECT_EQ(Send(FUSE_INIT, 0, Raw(in)), 0);
  EXPECT_EQ(Send(FUSE_GETATTR, FUSE_ROOT_ID, Raw(fuse_getattr_in{})), EIO);
}

TEST_F(HostileCasesTest, BuffersOutsideTheGuestsMemoryCompleteTheirChainWithLengthZero) {
  Mount();
  const std::string message = Message(FUSE_STATFS, FUSE_ROOT_ID, "");
  const auto size = static_cast<uint32_t>(message.size());
  const Buffer good_request{Put(message), size};
  const Buffer good_reply{guest_->arena().Allocate(512), 512};
  const uint64_t end = GuestArena::kGuestBase + guest_->arena().size();
  for (const uint64_t outside :
       {uint64_t{0}, GuestArena::kGuestBase - 1, end - 1, end, ~uint64_t{0}, ~uint64_t{0} - 100}) {
    EXPECT_EQ(Use({{outside, size}}, {good_reply}), 0u) << outside;
    EXPECT_EQ(Use({good_request}, {{outside, 512}}), 0u) << outside;
  }
}

TEST_F(HostileCasesTest, AnIndirectTableOutsideTheGuestsMemoryCompletesItsChainWithLengthZero) {
  Mount();
  for (const uint64_t outside : {uint64_t{0}, ~uint64_t{0} - 15, GuestArena::kUserBase}) {
    guest_->queue(1).descriptors()[100] = {
        .addr = outside, .len = 32, .flags = VRING_DESC_F_INDIRECT, .next = 0};
    guest_->queue(1).Publish(100);
    EXPECT_EQ(Use(), 0u);
  }
}

TEST_F(HostileCasesTest, AnIndirectTableInsideAnotherCompletesItsChainWithLengthZero) {
  Mount();
  const uint64_t inner = guest_->arena().Allocate(2 * sizeof(vring_desc));
  const uint64_t outer = guest_->arena().Allocate(sizeof(vring_desc));
  *guest_->arena().At<vring_desc>(outer) = {
      .addr = inner, .len = 32, .flags = VRING_DESC_F_INDIRECT, .next = 0};
  guest_->queue(1).descriptors()[100] = {
      .addr = outer, .len = 16, .flags = VRING_DESC_F_INDIRECT, .next = 0};
  guest_->queue(1).Publish(100);
  EXPECT_EQ(Use(), 0u);
}

TEST_F(HostileCasesTest, AChainThatLoopsCompletesWithLengthZero) {
  Mount();
  vring_desc* const table = guest_->queue(1).descriptors();
  table[100] = {.addr = Put("x"), .len = 1, .flags = VRING_DESC_F_NEXT, .next = 101};
  table[101] = {.addr = Put("x"), .len = 1, .flags = VRING_DESC_F_NEXT, .next = 100};
  guest_->queue(1).Publish(100);
  EXPECT_EQ(Use(), 0u);
}

// As a device of the VMM's own that the guest names as a buffer: the guest has that memory, we do
// not. The Rust daemon exits on it.
TEST_F(HostileCasesTest, ABufferInGuestMemoryThatIsNotSharedCompletesItsChainWithLengthZero) {
  Mount();
  const File file = Create("file");
  constexpr uint64_t kUnshared = 0xfe00'0000;
  fuse_read_in in{};
  in.fh = file.handle;
  in.size = 4096;
  const std::string message = Message(FUSE_READ, file.node, Raw(in));
  const Buffer request{Put(message), static_cast<uint32_t>(message.size())};
  EXPECT_EQ(Use({request}, {{guest_->arena().Allocate(16), 16}, {kUnshared, 4096}}), 0u);
  const std::string write = Message(FUSE_WRITE, file.node, Raw(fuse_write_in{}));
  const Buffer header{Put(write), static_cast<uint32_t>(write.size())};
  EXPECT_EQ(Use({header, {kUnshared, 4096}}, {{guest_->arena().Allocate(64), 64}}), 0u);
}

// A region whose file is too short for it: its pages past the end are refused before they can kill.
TEST_F(HostileCasesTest, ARegionLargerThanItsFileIsRefused) {
  Mount();
  const os::UniqueFd small(::memfd_create("small", MFD_CLOEXEC));
  ASSERT_EQ(::ftruncate(small.get(), 4096), 0);
  const struct {
    uint64_t padding;
    GuestArena::Region region;
  } body{.padding = 0,
         .region = {.guest_address = 0x4000'0000'0000,
                    .size = 8192,
                    .user_address = 0x1000'0000'0000,
                    .file_offset = 0}};
  const int fds[] = {small.get()};
  const auto refused =
      guest_->SendAcknowledged(kAddMemReg, std::as_bytes(std::span(&body, 1)), fds);
  ASSERT_TRUE(refused.ok()) << refused.status();
  EXPECT_NE(*refused, 0u);
}

}  // namespace
}  // namespace fsd
