#include "server/fuse/session.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/fuse/abi.h"
#include "server/fuse/recording_filesystem.h"
#include "server/fuse/request_driver.h"
#include "server/telemetry/log.h"

namespace fsd::fuse {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Answer Send(Session& session, uint32_t opcode, std::string_view arguments) {
  return Flight(session, Message(opcode, 1, arguments), {}).answer();
}

Answer SendInit(Session& session, uint32_t major = 7) {
  return Send(session, FUSE_INIT, InitArguments(major, 38, kEveryInitFlag));
}

int GetAttributesError(Session& session) {
  return Send(session, FUSE_GETATTR, Raw(fuse_getattr_in{})).error();
}

TEST(Session, InitMounts) {
  RecordingFilesystem filesystem;
  std::vector<NegotiatedInit> mounts;
  Session session(
      filesystem, {}, [&](const NegotiatedInit& agreed) { mounts.push_back(agreed); }, nullptr);

  EXPECT_EQ(GetAttributesError(session), EIO);
  const Answer answer = SendInit(session);
  EXPECT_EQ(GetAttributesError(session), 0);

  EXPECT_EQ(answer.written, 80u);
  EXPECT_EQ(answer.As<fuse_init_out>().minor, 38u);
  ASSERT_EQ(mounts.size(), 1u);
  EXPECT_EQ(mounts[0].minor, 38u);
  EXPECT_EQ(mounts[0].max_write_bytes, 1u << 20);
}

TEST(Session, ASecondInitResetsAndMountsAnew) {
  RecordingFilesystem filesystem;
  int mounts = 0;
  Session session(
      filesystem, {}, [&](const NegotiatedInit&) { ++mounts; }, nullptr);
  SendInit(session);
  const int resets = filesystem.resets;

  EXPECT_EQ(SendInit(session).error(), 0);

  EXPECT_EQ(filesystem.resets, resets + 1);
  EXPECT_EQ(mounts, 2);
  EXPECT_EQ(GetAttributesError(session), 0);
}

TEST(Session, AnInitThatIsRefusedLeavesNothingMounted) {
  RecordingFilesystem filesystem;
  Session session(filesystem, {}, nullptr, nullptr);
  SendInit(session);

  EXPECT_EQ(Send(session, FUSE_INIT, InitArguments(7, 30, 0)).error(), EPROTO);

  EXPECT_EQ(GetAttributesError(session), EIO);
}

TEST(Session, AGuestThatLacksWhatIsDemandedIsRefusedWithOneLine) {
  RecordingFilesystem filesystem;
  Session session(filesystem, {.export_name = "web", .posix_acl = Use::kAlways}, nullptr, nullptr);
  ::testing::internal::CaptureStderr();

  const Answer answer = Send(session, FUSE_INIT, InitArguments(7, 45, FUSE_BIG_WRITES));

  const std::string log = ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(answer.error(), EPROTO);
  EXPECT_THAT(log, HasSubstr("export web: guest refused: the export demands POSIX_ACL, which the "
                             "guest does not offer\n"));
  EXPECT_EQ(std::count(log.begin(), log.end(), '\n'), 1);
  EXPECT_EQ(GetAttributesError(session), EIO);
}

TEST(Session, AMajorVersionEightIsAnsweredWithSevenAndMayTryAgain) {
  RecordingFilesystem filesystem;
  int mounts = 0;
  Session session(
      filesystem, {}, [&](const NegotiatedInit&) { ++mounts; }, nullptr);

  const Answer answer = SendInit(session, 8);
  EXPECT_EQ(answer.error(), 0);
  EXPECT_EQ(answer.As<fuse_init_out>().major, 7u);
  EXPECT_EQ(mounts, 0);
  EXPECT_EQ(GetAttributesError(session), EIO);

  SendInit(session, 7);
  EXPECT_EQ(mounts, 1);
  EXPECT_EQ(GetAttributesError(session), 0);
}

TEST(Session, AnInitOfABadSizeIsRefusedAndChangesNothing) {
  RecordingFilesystem filesystem;
  Session session(filesystem, {}, nullptr, nullptr);
  SendInit(session);

  EXPECT_EQ(Send(session, FUSE_INIT, "").error(), EINVAL);
  EXPECT_EQ(Send(session, FUSE_INIT, InitArguments(7, 38, 0).substr(0, 15)).error(), EINVAL);

  EXPECT_EQ(GetAttributesError(session), 0);
}

TEST(Session, DestroyEndsTheSessionUntilTheNextInit) {
  RecordingFilesystem filesystem;
  int unmounts = 0;
  Session session(filesystem, {}, nullptr, [&] { ++unmounts; });
  SendInit(session);
  const int resets = filesystem.resets;

  EXPECT_EQ(Send(session, FUSE_DESTROY, "").written, 16u);

  EXPECT_EQ(filesystem.resets, resets + 1);
  EXPECT_EQ(unmounts, 1);
  EXPECT_EQ(GetAttributesError(session), EIO);
  EXPECT_EQ(Send(session, FUSE_DESTROY, "").error(), EIO);
  EXPECT_EQ(unmounts, 1);
  SendInit(session);
  EXPECT_EQ(GetAttributesError(session), 0);
}

TEST(Session, ResetForgetsTheGuestWithoutTellingOfAnUnmount) {
  RecordingFilesystem filesystem;
  int unmounts = 0;
  Session session(filesystem, {}, nullptr, [&] { ++unmounts; });
  SendInit(session);
  const int resets = filesystem.resets;

  session.Reset();

  EXPECT_EQ(filesystem.resets, resets + 1);
  EXPECT_EQ(unmounts, 0);
  EXPECT_EQ(GetAttributesError(session), EIO);
}

TEST(Session, ResetsAndInitsMayMeetRequests) {
  RecordingFilesystem filesystem;
  filesystem.record = false;
  filesystem.manner = RecordingFilesystem::Manner::kAtOnce;
  Session session(filesystem, {}, nullptr, nullptr);
  std::thread resetter([&] {
    for (int i = 0; i < 200; ++i) session.Reset();
  });
  std::thread mounter([&] {
    for (int i = 0; i < 200; ++i) EXPECT_EQ(SendInit(session).error(), 0);
  });

  for (int i = 0; i < 500; ++i) {
    const int error = Send(session, FUSE_FORGET, Raw(fuse_forget_in{.nlookup = 1})).error();
    EXPECT_EQ(error, 0);
  }

  resetter.join();
  mounter.join();
  EXPECT_EQ(filesystem.resets, 400);
}

TEST(Session, TheLaneIsTheRows) {
  RecordingFilesystem filesystem;
  RequestDriver driver(filesystem);

  EXPECT_EQ(driver.Start(FUSE_GETATTR, 1, Raw(fuse_getattr_in{}))->lane(), Session::Lane::kQueue);
  EXPECT_EQ(driver.Start(FUSE_FSYNC, 1, Raw(fuse_fsync_in{}))->lane(), Session::Lane::kSlow);
  EXPECT_EQ(driver.Start(99, 1, "")->lane(), Session::Lane::kQueue);
}

TEST(Session, HeaderAndArgumentsMayBeCutAnywhere) {
  RecordingFilesystem filesystem;
  filesystem.entry.node = backends::NodeId{5};
  RequestDriver driver(filesystem);
  const fuse_mknod_in in = {.mode = S_IFREG | 0600, .rdev = 0, .umask = 022, .padding = 0};
  const std::string message = Message(FUSE_MKNOD, 1, Raw(in) + Text("a-name"));
  const std::string whole = driver.SendBytes(message).body;
  filesystem.TakeCalls();

  for (size_t cut = 0; cut <= message.size(); ++cut) {
    const Answer answer = driver.SendBytes(
        message, {.reply_space = 144, .readable_cuts = {cut}, .writable_cuts = {cut}});

    EXPECT_THAT(filesystem.TakeCalls(),
                ElementsAre("MakeNode(1, a-name, mode=100600, umask=22, device=0)"));
    EXPECT_EQ(answer.body, whole) << cut;
    EXPECT_EQ(answer.written, 144u);
  }
}

TEST(Session, PayloadsMayBeCutAnywhereToo) {
  std::mt19937 random(4711);
  RecordingFilesystem filesystem;
  RequestDriver driver(filesystem);
  const auto cuts = [&random](size_t limit) {
    std::vector<size_t> places(random() % 40);
    for (size_t& place : places) place = random() % (limit + 1);
    std::sort(places.begin(), places.end());
    return places;
  };
  for (int round = 0; round < 500; ++round) {
    std::string data(1 + random() % 300, '\0');
    for (char& byte : data) byte = static_cast<char>(random());
    fuse_write_in write{};
    write.size = static_cast<uint32_t>(data.size());
    fuse_read_in read{};
    read.size = static_cast<uint32_t>(data.size());
    filesystem.written.clear();
    filesystem.content = data;

    const Answer written =
        driver.Send(FUSE_WRITE, 5, Raw(write) + data, {.readable_cuts = cuts(80 + data.size())});
    const Answer got =
        driver.Send(FUSE_READ, 5, Raw(read),
                    {.reply_space = 16 + data.size(), .writable_cuts = cuts(16 + data.size())});

    EXPECT_EQ(written.As<fuse_write_out>().size, data.size());
    EXPECT_EQ(filesystem.written, data);
    EXPECT_EQ(got.body, data);
  }
}

TEST(Session, ARequestMayBeUsedAgainAndAgain) {
  class Owner final : public RequestOwner {
   public:
    void OnReplied(Request&, uint32_t written) override { written_.push_back(written); }
    std::vector<uint32_t> written_;
  };
  RecordingFilesystem filesystem;
  RequestDriver driver(filesystem);
  const ScatteredBytes symlink(Message(FUSE_SYMLINK, 1, Text("n") + Text(std::string(4000, 't'))),
                               {});
  const ScatteredBytes forget(Message(FUSE_FORGET, 1, Raw(fuse_forget_in{.nlookup = 1})), {});
  const ScatteredBytes broken("short", {});
  const ScatteredBytes space(std::string(4096, '.'), {});
  Owner owner;
  Request request;

  for (const ScatteredBytes* message : {&symlink, &forget, &broken, &symlink}) {
    request.Begin(message->iovecs(), space.iovecs(), owner);
    driver.session().Prepare(request);
    driver.session().Serve(request);
  }

  EXPECT_THAT(owner.written_, ElementsAre(144u, 0u, 16u, 144u));
}

TEST(Session, CachePoliciesShowInReplies) {
  RecordingFilesystem filesystem;
  RequestDriver never(filesystem, {.cache = CachePolicy::kNever});
  RequestDriver always(filesystem, {.cache = CachePolicy::kAlways});

  const auto uncached = never.Send(FUSE_LOOKUP, 1, Text("x")).As<fuse_entry_out>();
  const auto cached = always.Send(FUSE_LOOKUP, 1, Text("x")).As<fuse_entry_out>();
  const auto open = always.Send(FUSE_OPEN, 1, Raw(fuse_open_in{})).As<fuse_open_out>();
  const auto opendir = always.Send(FUSE_OPENDIR, 1, Raw(fuse_open_in{})).As<fuse_open_out>();
  const Answer created = always.Send(FUSE_CREATE, 1, Raw(fuse_create_in{}) + Text("x"));
  fuse_open_out create{};
  std::memcpy(&create, created.body.data() + sizeof(fuse_entry_out), sizeof(create));

  EXPECT_EQ(create.open_flags, static_cast<uint32_t>(FOPEN_KEEP_CACHE));
  EXPECT_EQ(uncached.entry_valid, 0u);
  EXPECT_EQ(cached.entry_valid, 86400u);
  EXPECT_EQ(cached.attr_valid, 86400u);
  EXPECT_EQ(open.open_flags, static_cast<uint32_t>(FOPEN_KEEP_CACHE));
  EXPECT_EQ(opendir.open_flags, static_cast<uint32_t>(FOPEN_KEEP_CACHE | FOPEN_CACHE_DIR));
}

TEST(Session, DebugLinesTellOfRequestsAndReplies) {
  RecordingFilesystem filesystem;
  RequestDriver driver(filesystem, {.export_name = "web"});
  telemetry::SetLogLevel(telemetry::LogLevel::kDebug);
  ::testing::internal::CaptureStderr();

  driver.Send(FUSE_LOOKUP, 1, Text("x"));
  filesystem.error = ENOENT;
  driver.Send(FUSE_LOOKUP, 1, Text("x"));
  driver.Send(99, 1, "");

  const std::string log = ::testing::internal::GetCapturedStderr();
  telemetry::SetLogLevel(telemetry::LogLevel::kInfo);
  EXPECT_THAT(log, AllOf(HasSubstr("export web: received request: opcode=LOOKUP (1), inode=1, "
                                   "unique=77, pid=1002\n"),
                         HasSubstr("export web: replying ok: unique=77, len=144\n"),
                         HasSubstr("export web: replying error: unique=77, error=ENOENT\n"),
                         HasSubstr("received request: opcode=UNKNOWN (99), "),
                         HasSubstr("error=ENOSYS\n")));
}

TEST(Session, RequestsLeaveNoLineAtInfo) {
  RecordingFilesystem filesystem;
  RequestDriver driver(filesystem, {.export_name = "web"});
  ::testing::internal::CaptureStderr();

  driver.Send(FUSE_LOOKUP, 1, Text("x"));

  EXPECT_THAT(::testing::internal::GetCapturedStderr(), IsEmpty());
}

}  // namespace
}  // namespace fsd::fuse
