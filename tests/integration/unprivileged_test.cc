// A supervisor that is an ordinary user: what a guest of such a one gets, and whose its files are.
#include <fcntl.h>
#include <linux/fuse.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/supervisor/error_reason.h"
#include "tests/harness/guest_of_export.h"
#include "tests/harness/lesser_thread.h"
#include "tests/harness/running_supervisor.h"

namespace fsd {
namespace {

using harness::GuestFile;
using harness::GuestOfExport;
using harness::RunningSupervisor;
using internal::ExportSpec;
using ::testing::HasSubstr;

// Has a name, which newuidmap wants.
constexpr uid_t kNobody = 65534;
constexpr char kSubordinateIds[] = "nobody:300000:65536\n";

class UnprivilegedTest : public ::testing::Test {
 protected:
  UnprivilegedTest() {
    char path[] = "/tmp/fsd-test-XXXXXX";
    directory_ = ::mkdtemp(path);
    EXPECT_EQ(::chmod(directory_.c_str(), 0755), 0);
    // Where anybody can run it.
    worker_binary_ = directory_ + "/fsd-worker";
    std::filesystem::copy_file(std::filesystem::canonical("server/exe/fsd-worker"), worker_binary_);
  }
  ~UnprivilegedTest() override { std::filesystem::remove_all(directory_); }

  std::unique_ptr<RunningSupervisor> StartSupervisor(bool subordinate_ids = false) {
    auto started = RunningSupervisor::Start(worker_binary_, [=](supervisor::Config& config) {
      config.subordinate_ids = subordinate_ids;
    });
    EXPECT_TRUE(started.ok()) << started.status();
    return started.ok() ? *std::move(started) : nullptr;
  }

  // Runs `with` on a mounted guest of the ordinary user's supervisor.
  void AsNobody(const std::function<void(ExportSpec&)>& set_options,
                const std::function<void(RunningSupervisor&, GuestOfExport&)>& with,
                const std::string& subordinate_ids = "") {
    harness::RunAs(kNobody, subordinate_ids, [&] {
      const auto supervisor = StartSupervisor(!subordinate_ids.empty());
      ASSERT_NE(supervisor, nullptr);
      auto guest = GuestOfExport::Make(*supervisor, "web", set_options);
      ASSERT_TRUE(guest.ok()) << guest.status();
      ASSERT_TRUE((*guest)->Init().ok());
      with(*supervisor, **guest);
      EXPECT_EQ(supervisor->Get("web")->restarts, 0u) << "the worker died";
    });
  }

  std::string directory_;
  std::string worker_binary_;
};

void Nothing(ExportSpec&) {}

// Extensions then may follow the names of a request.
void Extensions(ExportSpec& spec) {
  spec.set_xattr(true);
  spec.set_security_label(ExportSpec::USE_AUTO);
}

int CreateError(GuestOfExport& guest, const char* name) {
  return guest.fuse().Create(FUSE_ROOT_ID, name, 0644, O_RDWR)->error;
}

int ChownError(GuestOfExport& guest, const GuestFile& file, uint32_t uid, uint32_t gid) {
  return guest
      .Call(FUSE_SETATTR, file.node,
            fuse_setattr_in{.valid = FATTR_UID | FATTR_GID, .uid = uid, .gid = gid})
      .error;
}

// As a guest sends it whose caller has a group besides its own.
int CreateErrorWithGroup(GuestOfExport& guest, const char* name, uint32_t group) {
  constexpr uint32_t kGroups = 32;  // FUSE_EXT_GROUPS
  const uint32_t extension[4] = {sizeof extension, kGroups, 1, group};
  return guest
      .Call(FUSE_CREATE, FUSE_ROOT_ID, fuse_create_in{.flags = O_RDWR, .mode = 0644}, {name},
            std::string_view(reinterpret_cast<const char*>(extension), sizeof extension))
      .error;
}

TEST_F(UnprivilegedTest, WhatTheGuestsRootMakesIsTheUsers) {
  AsNobody(Nothing, [](RunningSupervisor& supervisor, GuestOfExport& guest) {
    const GuestFile file = guest.Create("file");
    ASSERT_NE(file.node, 0u);
    EXPECT_EQ(guest.fuse().Write(file.node, file.handle, 0, "text")->error, 0);
    const harness::FuseReply read = *guest.fuse().Read(file.node, file.handle, 0, 10);
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(read.body.data()), read.body.size()),
              "text");
    EXPECT_EQ(guest.Call(FUSE_MKDIR, 1, fuse_mkdir_in{.mode = 0755}, {"directory"}).error, 0);
    EXPECT_EQ(guest.Call(FUSE_SYMLINK, 1, {"link", "target"}).error, 0);
    EXPECT_EQ(guest.Call(FUSE_LINK, 1, fuse_link_in{.oldnodeid = file.node}, {"hard"}).error, 0);
    EXPECT_EQ(guest.Call(FUSE_UNLINK, 1, {"hard"}).error, 0);
    EXPECT_EQ(ChownError(guest, file, 0, 0), 0);

    EXPECT_EQ(guest.HostStat("file").st_uid, kNobody);
    EXPECT_EQ(guest.HostStat("file").st_gid, kNobody);
    EXPECT_EQ(guest.HostStat("directory").st_uid, kNobody);
    EXPECT_EQ(guest.Lookup("file").As<fuse_entry_out>().attr.uid, 0u);
    EXPECT_EQ(guest.Lookup("file").As<fuse_entry_out>().attr.gid, 0u);
    // The socket too.
    struct stat socket {};
    const auto view = supervisor.Get("web");
    EXPECT_EQ(::stat(view->record.spec().socket_path().c_str(), &socket), 0);
    EXPECT_EQ(socket.st_uid, kNobody);
    EXPECT_EQ(view->record.spec().socket_uid(), kNobody);
  });
}

TEST_F(UnprivilegedTest, OtherIdsCanNeitherBeUsedNorGiven) {
  AsNobody(Nothing, [](RunningSupervisor&, GuestOfExport& guest) {
    const GuestFile file = guest.Create("file");
    EXPECT_EQ(ChownError(guest, file, 1000, 0), EPERM);
    EXPECT_EQ(ChownError(guest, file, 0, 1000), EPERM);
    guest.fuse().set_caller(1000, 1000, 1);
    EXPECT_EQ(CreateError(guest, "users"), EPERM);
    guest.fuse().set_caller(0, 1000, 1);
    EXPECT_EQ(CreateError(guest, "groups"), EPERM);
    // What an id without a mapping looks like from inside.
    guest.fuse().set_caller(65534, 65534, 1);
    EXPECT_EQ(CreateError(guest, "nobodys"), EPERM);
    EXPECT_EQ(
        guest.Call(FUSE_MKNOD, 1, fuse_mknod_in{.mode = S_IFCHR | 0600, .rdev = 0x103}, {"null"})
            .error,
        EPERM);

    EXPECT_FALSE(std::filesystem::exists(guest.host_path("users")));
    EXPECT_FALSE(std::filesystem::exists(guest.host_path("groups")));
    EXPECT_FALSE(std::filesystem::exists(guest.host_path("nobodys")));
    EXPECT_EQ(guest.HostStat("file").st_uid, kNobody);
  });
}

TEST_F(UnprivilegedTest, ACallersOtherGroupsDoNotKeepItFromCreating) {
  AsNobody(Extensions, [](RunningSupervisor&, GuestOfExport& guest) {
    EXPECT_EQ(CreateErrorWithGroup(guest, "file", 1000), 0);
    EXPECT_EQ(guest.HostStat("file").st_gid, kNobody);
  });
}

TEST_F(UnprivilegedTest, WithSubordinateIdsTheGuestsIdsAreThose) {
  AsNobody(
      Extensions,
      [](RunningSupervisor&, GuestOfExport& guest) {
        ASSERT_EQ(::chmod(guest.host_path("").c_str(), 0777), 0);
        const GuestFile file = guest.Create("file");
        EXPECT_EQ(ChownError(guest, file, 10, 20), 0);
        EXPECT_EQ(ChownError(guest, file, 65537, 0), EPERM);
        guest.fuse().set_caller(1000, 1001, 1);
        EXPECT_EQ(CreateError(guest, "users"), 0);
        EXPECT_EQ(CreateErrorWithGroup(guest, "grouped", 1002), 0);
        EXPECT_EQ(CreateErrorWithGroup(guest, "strange", 70'000), EPERM);

        EXPECT_EQ(guest.HostStat("file").st_uid, 300'009u);
        EXPECT_EQ(guest.HostStat("file").st_gid, 300'019u);
        EXPECT_EQ(guest.HostStat("users").st_uid, 300'999u);
        EXPECT_EQ(guest.HostStat("users").st_gid, 301'000u);
        EXPECT_EQ(guest.Lookup("users").As<fuse_entry_out>().attr.uid, 1000u);
        // What its supervisor could not remove.
        guest.fuse().set_caller(0, 0, 1);
        for (const char* name : {"file", "users", "grouped"}) {
          EXPECT_EQ(guest.Call(FUSE_UNLINK, 1, {name}).error, 0);
        }
      },
      kSubordinateIds);
}

TEST_F(UnprivilegedTest, WithoutNamespacesTheGuestsIdsAreTheHosts) {
  const auto none = [](ExportSpec& spec) {
    Extensions(spec);
    spec.set_sandbox_mode(ExportSpec::SANDBOX_NONE);
  };
  AsNobody(none, [](RunningSupervisor&, GuestOfExport& guest) {
    EXPECT_EQ(CreateError(guest, "roots"), EPERM);
    guest.fuse().set_caller(kNobody, kNobody, 1);
    const GuestFile file = guest.Create("users");
    ASSERT_NE(file.node, 0u);
    EXPECT_EQ(ChownError(guest, file, 1000, 1000), EPERM);
    EXPECT_EQ(CreateErrorWithGroup(guest, "grouped", 1002), 0);

    EXPECT_FALSE(std::filesystem::exists(guest.host_path("roots")));
    EXPECT_EQ(guest.HostStat("users").st_uid, kNobody);
  });
}

TEST_F(UnprivilegedTest, WithoutNamespacesATranslationMakesTheUserTheGuestsRoot) {
  const auto none = [](ExportSpec& spec) {
    spec.set_sandbox_mode(ExportSpec::SANDBOX_NONE);
    for (ExportSpec::IdTranslation* map :
         {spec.add_uid_translations(), spec.add_gid_translations()}) {
      map->set_kind(ExportSpec::IdTranslation::MAP);
      map->set_host_first(kNobody);
      map->set_count(1);
    }
  };
  AsNobody(none, [](RunningSupervisor&, GuestOfExport& guest) {
    const GuestFile file = guest.Create("roots");
    ASSERT_NE(file.node, 0u);
    EXPECT_EQ(guest.fuse().Write(file.node, file.handle, 0, "text")->error, 0);
    EXPECT_EQ(guest.Lookup("roots").As<fuse_entry_out>().attr.uid, 0u);
    EXPECT_EQ(guest.HostStat("roots").st_uid, kNobody);
  });
}

// --- what it cannot have, and why ---

TEST_F(UnprivilegedTest, WhatTakesPrivilegesIsRefusedWithTheReason) {
  harness::RunAs(kNobody, "", [&] {
    const auto supervisor = StartSupervisor();
    const auto refusal = [&](const std::function<void(ExportSpec&)>& set_options) {
      const auto guest = GuestOfExport::Make(*supervisor, "web", set_options);
      return absl::StrCat(supervisor::ReasonOf(guest.status()).value_or("no reason"), ": ",
                          guest.status().message());
    };
    EXPECT_THAT(
        refusal([](ExportSpec& spec) { spec.set_sandbox_mode(ExportSpec::SANDBOX_CHROOT); }),
        HasSubstr("SANDBOX_UNAVAILABLE: the worker's jail cannot be made on this host: "));
    EXPECT_THAT(refusal([](ExportSpec& spec) {
                  spec.add_uid_namespace()->set_count(1);
                  spec.add_gid_namespace()->set_count(1);
                }),
                HasSubstr("take a server with CAP_SETUID and CAP_SETGID"));
    EXPECT_THAT(refusal([](ExportSpec& spec) { spec.set_socket_uid(1); }),
                HasSubstr("only root can give a socket to another user"));
  });
}

TEST_F(UnprivilegedTest, AUserWithoutSubordinateIdsIsToldSo) {
  harness::RunAs(kNobody, "somebody:300000:65536\n", [&] {
    const auto supervisor = StartSupervisor(/*subordinate_ids=*/true);
    EXPECT_THAT(std::string(supervisor->Create("web").status().message()),
                HasSubstr("/etc/subuid gives no ids to user nobody"));
  });
}

}  // namespace
}  // namespace fsd
