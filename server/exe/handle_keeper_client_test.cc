// The data plane's broker with a real handle keeper, on a file system of the host's.
#include "server/exe/handle_keeper_client.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "backends/passthrough/component_name.h"
#include "gtest/gtest.h"
#include "server/os/unix_socket.h"
#include "server/worker/handle_keeper.h"

namespace fsd::exe {
namespace {

using passthrough::IssuedHandle;

class HandleKeeperClientTest : public ::testing::Test {
 protected:
  HandleKeeperClientTest() {
    char path[] = "/tmp/fsd-handles-XXXXXX";
    directory_ = ::mkdtemp(path);
    int sockets[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets), 0);
    client_ = std::make_unique<HandleKeeperClient>(os::UniqueFd(sockets[0]));
    thread_ = std::thread([socket = os::UniqueFd(sockets[1])] {
      EXPECT_TRUE(worker::HandleKeeper({1, 2}).Serve(socket.get()).ok());
    });
    mount_ = os::UniqueFd(::open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }
  ~HandleKeeperClientTest() override {
    client_.reset();
    thread_.join();
    std::filesystem::remove_all(directory_);
  }

  os::UniqueFd Make(const std::string& name) {
    const std::string path = directory_ + "/" + name;
    std::ofstream(path) << name;
    return os::UniqueFd(::open(path.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  }
  IssuedHandle IssueFor(const os::UniqueFd& file) {
    const int fd = file.get();
    IssuedHandle issued{};
    EXPECT_TRUE(client_->Issue({&fd, 1}, {&issued, 1}).ok());
    EXPECT_GT(issued.handle.size, 0u);
    return issued;
  }
  int ErrorOf(int mount, const IssuedHandle& handle) {
    const auto opened = client_->Open(mount, handle);
    return opened.ok() ? 0 : opened.error().value();
  }

  std::string directory_;
  std::unique_ptr<HandleKeeperClient> client_;
  std::thread thread_;
  os::UniqueFd mount_;
};

void SetAppendOnly(const std::string& path, bool append_only) {
  const os::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  // The others stay: ext4 would move the file for want of its extents' flag, which may fail.
  int flags = 0;
  ASSERT_EQ(::ioctl(fd.get(), FS_IOC_GETFLAGS, &flags), 0);
  flags = append_only ? flags | FS_APPEND_FL : flags & ~FS_APPEND_FL;
  ASSERT_EQ(::ioctl(fd.get(), FS_IOC_SETFLAGS, &flags), 0);
}

ino_t InodeOf(int fd) {
  struct stat info {};
  EXPECT_EQ(::fstat(fd, &info), 0);
  return info.st_ino;
}

TEST_F(HandleKeeperClientTest, WhatWasIssuedOpensTheSameInodeAsAPath) {
  const os::UniqueFd file = Make("file");
  const auto opened = client_->Open(mount_.get(), IssueFor(file));
  ASSERT_TRUE(opened.ok());
  EXPECT_EQ(InodeOf(opened->get()), InodeOf(file.get()));
  EXPECT_EQ(::fcntl(opened->get(), F_GETFL) & O_PATH, O_PATH);
  EXPECT_EQ(::fcntl(opened->get(), F_GETFD), FD_CLOEXEC);
}

TEST_F(HandleKeeperClientTest, WhatARequestCameWithIsClosedWhenItIsAnswered) {
  // Often, as the keeper might be just in time.
  for (int i = 0; i < 200; ++i) {
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    const os::UniqueFd reader(ends[0]);
    os::UniqueFd writer(ends[1]);
    IssuedHandle none{};
    ASSERT_TRUE(client_->Issue({&ends[1], 1}, {&none, 1}).ok());
    writer.reset();
    char byte;
    ASSERT_EQ(::read(reader.get(), &byte, 1), 0) << "somebody else has the other end open";
  }
}

TEST_F(HandleKeeperClientTest, WhatWasIssuedOpensForIo) {
  const os::UniqueFd file = Make("file");
  const auto opened = client_->OpenForIo(mount_.get(), IssueFor(file), O_RDWR | O_NOATIME);
  ASSERT_TRUE(opened.ok());
  EXPECT_EQ(InodeOf(opened->get()), InodeOf(file.get()));
  const int flags = ::fcntl(opened->get(), F_GETFL);
  EXPECT_EQ(flags & (O_ACCMODE | O_NOATIME | O_NONBLOCK | O_PATH), O_RDWR | O_NOATIME);
  EXPECT_EQ(::fcntl(opened->get(), F_GETFD), FD_CLOEXEC);
}

// Its flag cannot be taken away, nor can it be opened for writing without.
TEST_F(HandleKeeperClientTest, AnAppendOnlyFileOpensForAppending) {
  const os::UniqueFd file = Make("file");
  SetAppendOnly(directory_ + "/file", true);
  const auto opened = client_->OpenForIo(mount_.get(), IssueFor(file), O_WRONLY | O_APPEND);
  SetAppendOnly(directory_ + "/file", false);
  ASSERT_TRUE(opened.ok());
  EXPECT_NE(::fcntl(opened->get(), F_GETFL) & O_APPEND, 0);
}

TEST_F(HandleKeeperClientTest, OnlyRegularFilesAreOpenedForIo) {
  ASSERT_EQ(::mkfifo((directory_ + "/fifo").c_str(), 0600), 0);
  ASSERT_EQ(::mknod((directory_ + "/null").c_str(), S_IFCHR | 0600, 0x103), 0);
  ASSERT_EQ(::symlink("file", (directory_ + "/link").c_str()), 0);
  ASSERT_EQ(::mkdir((directory_ + "/d").c_str(), 0700), 0);
  for (const char* name : {"/fifo", "/null", "/link", "/d"}) {
    const os::UniqueFd held(::open((directory_ + name).c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    const auto opened = client_->OpenForIo(mount_.get(), IssueFor(held), O_RDONLY);
    ASSERT_FALSE(opened.ok()) << name;
    EXPECT_EQ(opened.error(), Errno(ENXIO)) << name;
  }
}

TEST_F(HandleKeeperClientTest, NothingIsMadeEmptyOrGivenAnotherKindOfDescriptor) {
  const IssuedHandle issued = IssueFor(Make("file"));
  for (const int flags : {O_RDWR | O_CREAT, O_RDWR | O_TRUNC, O_RDWR | O_TMPFILE, O_PATH, O_ACCMODE,
                          O_RDONLY | O_DIRECTORY}) {
    const auto opened = client_->OpenForIo(mount_.get(), issued, flags);
    ASSERT_FALSE(opened.ok()) << flags;
    EXPECT_EQ(opened.error(), Errno(EINVAL)) << flags;
  }
}

TEST_F(HandleKeeperClientTest, AForgedHandleIsNotOpenedForIo) {
  IssuedHandle issued = IssueFor(Make("file"));
  issued.proof ^= 1;
  const auto opened = client_->OpenForIo(mount_.get(), issued, O_RDONLY);
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error(), Errno(EPERM));
}

TEST_F(HandleKeeperClientTest, ALeaseHoldsNobodyUp) {
  const os::UniqueFd file = Make("file");
  const os::UniqueFd leased(::open((directory_ + "/file").c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_EQ(::fcntl(leased.get(), F_SETLEASE, F_RDLCK), 0);
  ::signal(SIGIO, SIG_IGN);
  const auto opened = client_->OpenForIo(mount_.get(), IssueFor(file), O_RDWR);
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error(), Errno(EWOULDBLOCK));
}

TEST_F(HandleKeeperClientTest, WhatIsHeldGetsAnotherName) {
  const os::UniqueFd file = Make("file");
  const passthrough::ComponentName name("link");
  ASSERT_TRUE(client_->Link(file.get(), mount_.get(), name).ok());
  struct stat info {};
  ASSERT_EQ(::stat((directory_ + "/link").c_str(), &info), 0);
  EXPECT_EQ(info.st_ino, InodeOf(file.get()));
  EXPECT_EQ(client_->Link(file.get(), mount_.get(), name).error(), Errno(EEXIST));
}

TEST_F(HandleKeeperClientTest, ABatchIsIssuedAtOnce) {
  std::vector<os::UniqueFd> files;
  std::vector<int> fds;
  for (size_t i = 0; i < HandleKeeperClient::kMaxBatch; ++i) {
    files.push_back(Make("file" + std::to_string(i)));
    fds.push_back(files.back().get());
  }
  std::vector<IssuedHandle> issued(fds.size());
  ASSERT_TRUE(client_->Issue(fds, issued).ok());
  for (size_t i = 0; i < fds.size(); ++i) {
    const auto opened = client_->Open(mount_.get(), issued[i]);
    ASSERT_TRUE(opened.ok());
    EXPECT_EQ(InodeOf(opened->get()), InodeOf(fds[i]));
  }
}

TEST_F(HandleKeeperClientTest, AnAlteredHandleIsRefused) {
  const IssuedHandle issued = IssueFor(Make("file"));
  IssuedHandle other_inode = issued;
  other_inode.handle.bytes[0] ^= std::byte{1};
  EXPECT_EQ(ErrorOf(mount_.get(), other_inode), EPERM);
  IssuedHandle other_type = issued;
  ++other_type.handle.type;
  EXPECT_EQ(ErrorOf(mount_.get(), other_type), EPERM);
  IssuedHandle other_proof = issued;
  other_proof.proof ^= 1;
  EXPECT_EQ(ErrorOf(mount_.get(), other_proof), EPERM);
  EXPECT_EQ(ErrorOf(mount_.get(), issued), 0);
}

TEST_F(HandleKeeperClientTest, AHandleThatTheKeeperHasNotIssuedIsRefused) {
  // Of a file outside, which the caller knows the handle of all the same.
  const os::UniqueFd outside(::open("/etc/passwd", O_PATH | O_CLOEXEC));
  IssuedHandle forged{.handle = *passthrough::HandleOf(outside.get()), .proof = 0};
  EXPECT_EQ(ErrorOf(mount_.get(), forged), EPERM);
  forged.proof = IssueFor(Make("file")).proof;
  EXPECT_EQ(ErrorOf(mount_.get(), forged), EPERM);
}

TEST_F(HandleKeeperClientTest, AHandleIsOpenedOnItsOwnMountOnly) {
  const IssuedHandle issued = IssueFor(Make("file"));
  const os::UniqueFd other(::open("/dev/shm", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  ASSERT_TRUE(other.valid());
  EXPECT_EQ(ErrorOf(other.get(), issued), EPERM);
}

TEST_F(HandleKeeperClientTest, ALengthBeyondTheRoomIsRefused) {
  IssuedHandle issued = IssueFor(Make("file"));
  issued.handle.size = 1000;
  EXPECT_EQ(ErrorOf(mount_.get(), issued), EINVAL);
  issued.handle.size = 0;
  EXPECT_EQ(ErrorOf(mount_.get(), issued), EINVAL);
}

TEST_F(HandleKeeperClientTest, AnInodeThatIsGoneIsStale) {
  os::UniqueFd file = Make("file");
  const IssuedHandle issued = IssueFor(file);
  file.reset();
  ASSERT_EQ(::unlink((directory_ + "/file").c_str()), 0);
  EXPECT_EQ(ErrorOf(mount_.get(), issued), ESTALE);
}

// A keeper whose one answer is there before it is asked.
class AnsweredClient {
 public:
  AnsweredClient(const ipc::HandleAnswer& answer, std::span<const int> fds) {
    int sockets[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets), 0);
    client = std::make_unique<HandleKeeperClient>(os::UniqueFd(sockets[0]));
    keeper_.reset(sockets[1]);
    EXPECT_TRUE(os::SendWithFds(keeper_.get(), std::as_bytes(std::span(&answer, 1)), fds).ok());
  }

  std::unique_ptr<HandleKeeperClient> client;

 private:
  os::UniqueFd keeper_;
};

TEST(HandleKeeperClient, ADescriptorThatTheTableHasNoRoomForIsEmfile) {
  const os::UniqueFd file(::open("/", O_PATH | O_CLOEXEC));
  const int fd = file.get();
  AnsweredClient answered({}, {&fd, 1});
  rlimit before;
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit full{.rlim_cur = 0, .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &full), 0);

  const auto opened = answered.client->Open(fd, {});

  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error(), Errno(EMFILE));
}

TEST(HandleKeeperClient, AnAnswerForFewerThanAskedIsNone) {
  const os::UniqueFd file(::open("/", O_PATH | O_CLOEXEC));
  const int fds[2] = {file.get(), file.get()};
  AnsweredClient answered({.error = 0, .count = 1, .handles = {}}, {});
  IssuedHandle issued[2];
  const auto result = answered.client->Issue(fds, issued);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error(), Errno(EPIPE));
}

TEST(HandleKeeper, WhatIsNoRequestIsInvalid) {
  const worker::HandleKeeper keeper({1, 2});
  os::UniqueFd opened;
  ipc::HandleRequest request{};
  const auto bytes = std::as_bytes(std::span(&request, 1));
  std::vector<os::UniqueFd> one;
  one.emplace_back(::open("/", O_PATH | O_CLOEXEC));
  EXPECT_EQ(keeper.Answer(bytes, one, opened).error, EINVAL);
  request.operation = ipc::HandleOperation::kIssue;
  EXPECT_EQ(keeper.Answer(bytes, {}, opened).error, EINVAL);
  EXPECT_EQ(keeper.Answer(bytes.first(8), one, opened).error, EINVAL);
  EXPECT_EQ(keeper.Answer(bytes, one, opened).error, 0);
  request.operation = ipc::HandleOperation::kOpen;
  EXPECT_EQ(keeper.Answer(bytes, {}, opened).error, EINVAL);
  EXPECT_FALSE(opened.valid());
}

TEST(HandleKeeper, ANameIsOneComponent) {
  const worker::HandleKeeper keeper({1, 2});
  std::vector<os::UniqueFd> two;
  two.emplace_back(::open("/etc/passwd", O_PATH | O_CLOEXEC));
  two.emplace_back(::open("/tmp", O_PATH | O_CLOEXEC));
  os::UniqueFd opened;
  const auto error = [&](std::string_view name) {
    ipc::HandleRequest request{.operation = ipc::HandleOperation::kLink};
    name.copy(request.name, sizeof request.name);
    return keeper.Answer(std::as_bytes(std::span(&request, 1)), two, opened).error;
  };
  for (const std::string_view name : {"", ".", "..", "../fsd-escape", "/tmp/fsd-escape", "a/b"}) {
    EXPECT_EQ(error(name), EINVAL) << name;
  }
  EXPECT_EQ(error(std::string(sizeof(ipc::HandleRequest::name), 'x')), EINVAL) << "no NUL";
}

TEST(HandleKeeper, OfAReadOnlyExportOpensNothingForWritingAndLinksNothing) {
  const worker::HandleKeeper keeper({1, 2}, /*read_only=*/true);
  char path[] = "/tmp/fsd-handles-XXXXXX";
  std::vector<os::UniqueFd> fds;
  fds.emplace_back(::mkostemp(path, O_CLOEXEC));
  os::UniqueFd opened;
  ipc::HandleRequest request{.operation = ipc::HandleOperation::kIssue};
  const auto answer = [&] {
    return keeper.Answer(std::as_bytes(std::span(&request, 1)), fds, opened);
  };
  request.handle = answer().handles[0];
  request.operation = ipc::HandleOperation::kOpenForIo;
  request.open_flags = O_RDONLY;
  EXPECT_EQ(answer().error, 0);
  EXPECT_TRUE(opened.valid());
  opened.reset();
  for (const int flags : {O_WRONLY, O_RDWR}) {
    request.open_flags = flags;
    EXPECT_EQ(answer().error, EROFS);
    EXPECT_FALSE(opened.valid());
  }
  request.operation = ipc::HandleOperation::kLink;
  std::string_view("fsd-link").copy(request.name, sizeof request.name);
  fds.emplace_back(::open("/tmp", O_PATH | O_CLOEXEC));
  EXPECT_EQ(answer().error, EROFS);
  ::unlink(path);
}

// What a keeper answers to `request`, sent as one message.
ipc::HandleAnswer AnswerTo(std::span<const std::byte> request, std::span<const int> fds) {
  auto sockets = os::UnixSocketPair(os::SocketType::kSeqPacket);
  EXPECT_TRUE(sockets.ok());
  const auto& [client, keeper] = *sockets;
  EXPECT_TRUE(os::SendWithFds(client.get(), request, fds).ok());
  EXPECT_EQ(::shutdown(client.get(), SHUT_WR), 0);
  EXPECT_TRUE(worker::HandleKeeper({1, 2}).Serve(keeper.get()).ok());
  ipc::HandleAnswer answer{};
  const auto received =
      os::ReceiveWithFds(client.get(), std::as_writable_bytes(std::span(&answer, 1)), 1);
  EXPECT_TRUE(received.ok());
  EXPECT_EQ(received->bytes, sizeof answer);
  return answer;
}

TEST(HandleKeeper, ARequestThatIsCutOffIsInvalid) {
  const os::UniqueFd file(::open("/", O_PATH | O_CLOEXEC));
  ipc::HandleRequest requests[2]{};
  requests[0].operation = ipc::HandleOperation::kIssue;
  const auto bytes = std::as_bytes(std::span(requests));
  const auto whole = bytes.first(sizeof requests[0]);
  const std::vector<int> one(1, file.get());
  const std::vector<int> most(ipc::kMaxHandlesPerRequest, file.get());
  const std::vector<int> too_many(ipc::kMaxHandlesPerRequest + 1, file.get());
  EXPECT_EQ(AnswerTo(whole, one).error, 0);
  EXPECT_EQ(AnswerTo(whole, most).count, most.size());
  EXPECT_EQ(AnswerTo(bytes, one).error, EINVAL);
  EXPECT_EQ(AnswerTo(bytes.first(whole.size() + 1), one).error, EINVAL);
  EXPECT_EQ(AnswerTo(whole, too_many).error, EINVAL);
}

}  // namespace
}  // namespace fsd::exe
