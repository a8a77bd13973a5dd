// What an export's options for owners do, seen by a guest without a VM and on the host.
#include <fcntl.h>
#include <linux/fuse.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>

#include "gtest/gtest.h"
#include "tests/harness/guest_of_export.h"

namespace fsd {
namespace {

using harness::GuestFile;
using harness::GuestOfExport;
using internal::ExportSpec;
using Kind = ExportSpec::IdTranslation;

class OwnerOptionsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto started = harness::RunningSupervisor::Start(
        std::filesystem::canonical("server/exe/fsd-worker").string());
    ASSERT_TRUE(started.ok()) << started.status();
    supervisor_ = *std::move(started);
    std::filesystem::create_directories(supervisor_->share("web"));
    ASSERT_EQ(::chmod(supervisor_->share("web").c_str(), 0777), 0);
  }

  std::unique_ptr<GuestOfExport> Mounted(const std::function<void(ExportSpec&)>& set_options) {
    auto guest = GuestOfExport::Make(*supervisor_, "web", set_options);
    EXPECT_TRUE(guest.ok()) << guest.status();
    if (!guest.ok()) return nullptr;
    const auto agreed = (*guest)->Init();
    EXPECT_TRUE(agreed.ok()) << agreed.status();
    return *std::move(guest);
  }

  std::unique_ptr<harness::RunningSupervisor> supervisor_;
};

void Translate(ExportSpec& spec, Kind::Kind kind, uint32_t guest_first, uint32_t host_first,
               uint64_t count) {
  for (ExportSpec::IdTranslation* translation :
       {spec.add_uid_translations(), spec.add_gid_translations()}) {
    translation->set_kind(kind);
    translation->set_guest_first(guest_first);
    translation->set_host_first(host_first);
    translation->set_count(count);
  }
}

// A file of the host's with this owner.
void MakeHostFile(const GuestOfExport& guest, const char* name, uid_t uid, gid_t gid) {
  std::ofstream(guest.host_path(name)) << name;
  ASSERT_EQ(::chown(guest.host_path(name).c_str(), uid, gid), 0);
}

// The owner that the guest sees.
uint32_t UidInGuest(GuestOfExport& guest, const char* name) {
  return guest.Lookup(name).As<fuse_entry_out>().attr.uid;
}

TEST_F(OwnerOptionsTest, MappedIdsDifferBothWays) {
  auto guest = Mounted([](ExportSpec& spec) { Translate(spec, Kind::MAP, 0, 100'000, 1000); });
  MakeHostFile(*guest, "hosts", 100'007, 100'008);

  guest->fuse().set_caller(5, 6, 1);
  const GuestFile made = guest->Create("made");
  EXPECT_EQ(guest
                ->Call(FUSE_SETATTR, guest->NodeOf("hosts"),
                       fuse_setattr_in{.valid = FATTR_UID, .uid = 9})
                .error,
            0);

  EXPECT_EQ(guest->HostStat("made").st_uid, 100'005u);
  EXPECT_EQ(guest->HostStat("made").st_gid, 100'006u);
  EXPECT_EQ(guest->fuse().GetAttributes(made.node)->As<fuse_attr_out>().attr.uid, 5u);
  EXPECT_EQ(guest->HostStat("hosts").st_uid, 100'009u);
  EXPECT_EQ(guest->Lookup("hosts").As<fuse_entry_out>().attr.gid, 8u);
}

TEST_F(OwnerOptionsTest, SquashedGuestIdsAreOneOnTheHost) {
  auto guest = Mounted([](ExportSpec& spec) {
    Translate(spec, Kind::SQUASH_GUEST, 0, 4321, 4'294'967'295);
    Translate(spec, Kind::SQUASH_HOST, 77, 0, 10'000);
  });
  guest->fuse().set_caller(1234, 1234, 1);
  guest->Create("made");

  EXPECT_EQ(guest->HostStat("made").st_uid, 4321u);
  EXPECT_EQ(guest->HostStat("made").st_gid, 4321u);
  EXPECT_EQ(UidInGuest(*guest, "made"), 77u);
}

TEST_F(OwnerOptionsTest, ForbiddenIdsCannotBeUsed) {
  auto guest = Mounted([](ExportSpec& spec) { Translate(spec, Kind::FORBID_GUEST, 1000, 0, 10); });
  guest->fuse().set_caller(1001, 1001, 1);

  EXPECT_EQ(guest->fuse().Create(FUSE_ROOT_ID, "made", 0644, O_RDWR)->error, EPERM);
  guest->fuse().set_caller(0, 0, 1);
  const GuestFile file = guest->Create("roots");
  EXPECT_EQ(
      guest->Call(FUSE_SETATTR, file.node, fuse_setattr_in{.valid = FATTR_UID, .uid = 1009}).error,
      EPERM);
  EXPECT_FALSE(std::filesystem::exists(guest->host_path("made")));
  EXPECT_EQ(guest->HostStat("roots").st_uid, 0u);
}

TEST_F(OwnerOptionsTest, EachDirectionMayBeTranslatedAlone) {
  auto guest = Mounted([](ExportSpec& spec) {
    Translate(spec, Kind::GUEST, 500, 600, 1);
    Translate(spec, Kind::HOST, 700, 800, 1);
  });
  MakeHostFile(*guest, "hosts", 800, 800);
  guest->fuse().set_caller(500, 500, 1);
  guest->Create("made");

  EXPECT_EQ(guest->HostStat("made").st_uid, 600u);
  EXPECT_EQ(UidInGuest(*guest, "made"), 600u);
  EXPECT_EQ(UidInGuest(*guest, "hosts"), 700u);
}

TEST_F(OwnerOptionsTest, AnIdmappedMountTranslatesInTheKernel) {
  // Nobody can write in a directory whose owner the mount does not know.
  ASSERT_EQ(::chown(supervisor_->share("web").c_str(), 200'000, 300'000), 0);
  auto guest = Mounted([](ExportSpec& spec) {
    ExportSpec::IdRange& uids = *spec.add_uid_mount();
    uids.set_outside_first(200'000);
    uids.set_count(65'536);
    ExportSpec::IdRange& gids = *spec.add_gid_mount();
    gids.set_outside_first(300'000);
    gids.set_count(65'536);
  });
  ASSERT_NE(guest, nullptr);
  MakeHostFile(*guest, "hosts", 200'007, 300'008);
  MakeHostFile(*guest, "outside", 1, 1);

  guest->fuse().set_caller(5, 6, 1);
  guest->Create("made");

  EXPECT_EQ(guest->HostStat("made").st_uid, 200'005u);
  EXPECT_EQ(guest->HostStat("made").st_gid, 300'006u);
  EXPECT_EQ(UidInGuest(*guest, "hosts"), 7u);
  EXPECT_EQ(guest->Lookup("hosts").As<fuse_entry_out>().attr.gid, 8u);
  EXPECT_EQ(UidInGuest(*guest, "outside"), 65'534u);
}

}  // namespace
}  // namespace fsd
