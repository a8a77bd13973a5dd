#include "server/host/host_check.h"

#include <cerrno>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "server/host/kernel_check.h"
#include "server/host/resource_check.h"
#include "server/host/storage_check.h"

namespace fsd::host {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;
using Level = HostCheck::Level;

// A host that has everything.
HostFacts Good() {
  const DirectoryFacts directory{
      .path = "/dir", .exists = true, .free_bytes = 1 << 30, .free_files = 1 << 20};
  HostFacts facts{.kernel = {.release = "6.12.0",
                             .landlock_abi = 6,
                             .seccomp_kills = true,
                             .has_sys_admin = true},
                  .limits = {.open_files = 1 << 20,
                             .host_files = 1 << 20,
                             .host_files_used = 1000,
                             .pids = 1 << 22,
                             .threads = 1 << 17},
                  .cgroup = {.configured = "auto",
                             .directory = "/sys/fs/cgroup/fsd",
                             .is_ours = true,
                             .controllers = {"cpu", "io", "memory", "pids"}},
                  .sources = {{.path = "/srv", .is_directory = true, .filesystem = "ext4"}},
                  .export_sources = {{.path = "/a", .is_directory = true, .filesystem = "xfs"},
                                     {.path = "/b", .is_directory = true, .filesystem = "xfs"}},
                  .state = directory,
                  .runtime = directory};
  facts.runtime.is_volatile = true;
  return facts;
}

HostCheck Named(const HostFacts& facts, const std::string& name) {
  for (const HostCheck& check : CheckHost(facts)) {
    if (check.check == name) return check;
  }
  ADD_FAILURE() << "no check " << name;
  return {};
}

TEST(HostCheck, AGoodHostIsOkAndNothingIsToBeDone) {
  std::set<std::string> names;
  for (const HostCheck& check : CheckHost(Good())) {
    EXPECT_EQ(check.level, Level::kOk) << check.check << ": " << check.found;
    EXPECT_THAT(check.found, Not(IsEmpty())) << check.check;
    EXPECT_THAT(check.cost, IsEmpty()) << check.check;
    EXPECT_THAT(check.remedy, IsEmpty()) << check.check;
    EXPECT_TRUE(names.insert(check.check).second) << check.check;
  }
  EXPECT_EQ(names.size(), 15u);
}

struct Case {
  std::string check;
  Level level;
  std::string found;
  std::function<void(HostFacts&)> change;
};

class HostCheckLevels : public testing::TestWithParam<Case> {};

TEST_P(HostCheckLevels, IsTold) {
  HostFacts facts = Good();
  GetParam().change(facts);

  const HostCheck check = Named(facts, GetParam().check);

  EXPECT_EQ(check.level, GetParam().level) << check.found;
  EXPECT_THAT(check.found, HasSubstr(GetParam().found));
  if (check.level == Level::kOk) return;
  EXPECT_THAT(check.cost, Not(IsEmpty()));
  EXPECT_THAT(check.remedy, Not(IsEmpty()));
  // And it is this one's alone.
  for (const HostCheck& other : CheckHost(facts)) {
    if (other.check == check.check) continue;
    EXPECT_EQ(other.level, Level::kOk) << other.check;
  }
}

const std::vector<Case> kKernelCases = {
    {"KERNEL", Level::kOk, "Linux 6.12.0", [](HostFacts& f) { f.kernel.has_statmount = true; }},
    {"KERNEL", Level::kError, "without mount_setattr, pidfd_open",
     [](HostFacts& f) {
       f.kernel.missing_calls = {"pidfd_open", "mount_setattr"};
     }},
    {"NAMESPACES", Level::kWarning, "no user namespace can be made: ENOSPC",
     [](HostFacts& f) { f.kernel.user_namespace_error = "ENOSPC"; }},
    {"NAMESPACES", Level::kWarning, "user namespaces, without CAP_SYS_ADMIN",
     [](HostFacts& f) { f.kernel.has_sys_admin = false; }},
    {"NAMESPACES", Level::kError, "neither CAP_SYS_ADMIN nor user namespaces: EPERM",
     [](HostFacts& f) {
       f.kernel.has_sys_admin = false;
       f.kernel.user_namespace_error = "EPERM";
     }},
    {"SECCOMP", Level::kError, "no filters", [](HostFacts& f) { f.kernel.seccomp_kills = false; }},
    {"LANDLOCK", Level::kOk, "ABI 9", [](HostFacts& f) { f.kernel.landlock_abi = 9; }},
    {"LANDLOCK", Level::kWarning, "no signals", [](HostFacts& f) { f.kernel.landlock_abi = 5; }},
    {"LANDLOCK", Level::kWarning, "not used", [](HostFacts& f) { f.kernel.landlock_abi = 1; }},
    {"LANDLOCK", Level::kWarning, "no Landlock", [](HostFacts& f) { f.kernel.landlock_abi = 0; }},
};
INSTANTIATE_TEST_SUITE_P(Kernel, HostCheckLevels, testing::ValuesIn(kKernelCases));

const std::vector<Case> kResourceCases = {
    {"OPEN_FILES", Level::kOk, "65536", [](HostFacts& f) { f.limits.open_files = 65536; }},
    {"OPEN_FILES", Level::kWarning, "65535", [](HostFacts& f) { f.limits.open_files = 65535; }},
    {"OPEN_FILES", Level::kError, "1023", [](HostFacts& f) { f.limits.open_files = 1023; }},
    {"HOST_FILES", Level::kWarning, "1000 of 60000",
     [](HostFacts& f) { f.limits.host_files = 60000; }},
    {"HOST_FILES", Level::kError, "1000 of 900", [](HostFacts& f) { f.limits.host_files = 900; }},
    {"PROCESSES", Level::kWarning, "4096 process ids", [](HostFacts& f) { f.limits.pids = 4096; }},
    {"PROCESSES", Level::kError, "1000 threads", [](HostFacts& f) { f.limits.threads = 1000; }},
    {"CGROUP", Level::kOk, "none is configured", [](HostFacts& f) { f.cgroup = {}; }},
    {"CGROUP", Level::kWarning, "no cgroups (v2)",
     [](HostFacts& f) { f.cgroup = {.configured = "auto", .error = "no cgroups (v2)"}; }},
    {"CGROUP", Level::kError, "not this user's",
     [](HostFacts& f) {
       f.cgroup.configured = "/sys/fs/cgroup/fsd";
       f.cgroup.is_ours = false;
     }},
    {"CGROUP", Level::kWarning, "with cpu, memory",
     [](HostFacts& f) {
       f.cgroup.controllers = {"cpu", "memory"};
     }},
    {"SUBORDINATE_IDS", Level::kOk, "not needed",
     [](HostFacts& f) { f.subordinate_ids = {.wanted = true}; }},
    {"SUBORDINATE_IDS", Level::kOk, "newuidmap",
     [](HostFacts& f) { f.subordinate_ids = {.needed = true, .wanted = true}; }},
    {"SUBORDINATE_IDS", Level::kWarning, "not used",
     [](HostFacts& f) { f.subordinate_ids = {.needed = true}; }},
    {"SUBORDINATE_IDS", Level::kError, "no ranges",
     [](HostFacts& f) {
       f.subordinate_ids = {.needed = true, .wanted = true, .error = "no ranges"};
     }},
};
INSTANTIATE_TEST_SUITE_P(Resources, HostCheckLevels, testing::ValuesIn(kResourceCases));

std::function<void(HostFacts&)> WithSource(SourceFacts source) {
  return [source](HostFacts& f) { f.sources = {source}; };
}

const std::vector<Case> kSourceCases = {
    {"SOURCE", Level::kError, "does not answer", WithSource({.answers = false})},
    {"SOURCE", Level::kWarning, "does not exist", WithSource({.open_error = ENOENT})},
    {"SOURCE", Level::kError, "Permission denied", WithSource({.open_error = EACCES})},
    {"SOURCE", Level::kError, "not a directory", WithSource({.filesystem = "ext4"})},
    {"SOURCE", Level::kWarning, "without host handles: Operation not supported",
     WithSource({.is_directory = true, .filesystem = "0x1", .handle_error = EOPNOTSUPP})},
    {"SOURCE", Level::kWarning, "nfs, without host handles",
     WithSource({.is_directory = true, .filesystem = "nfs", .handle_error = EOVERFLOW})},
    {"SOURCE", Level::kWarning, "fuse", WithSource({.is_directory = true, .filesystem = "fuse"})},
    {"SOURCE", Level::kWarning, "overlay",
     WithSource({.is_directory = true, .filesystem = "overlay"})},
    {"SOURCE", Level::kWarning, "cifs", WithSource({.is_directory = true, .filesystem = "cifs"})},
    {"SOURCE", Level::kWarning, "9p", WithSource({.is_directory = true, .filesystem = "9p"})},
};
INSTANTIATE_TEST_SUITE_P(Sources, HostCheckLevels, testing::ValuesIn(kSourceCases));

const std::vector<Case> kDirectoryCases = {
    {"STATE_DIRECTORY", Level::kOk, "to be made", [](HostFacts& f) { f.state.exists = false; }},
    {"STATE_DIRECTORY", Level::kError, "cannot be opened: Not a directory",
     [](HostFacts& f) { f.state.open_error = ENOTDIR; }},
    {"STATE_DIRECTORY", Level::kError, "/dir, which is to be made, cannot be written to",
     [](HostFacts& f) {
       f.state.exists = false;
       f.state.write_error = EROFS;
     }},
    {"STATE_DIRECTORY", Level::kError, "full", [](HostFacts& f) { f.state.free_files = 0; }},
    {"STATE_DIRECTORY", Level::kError, "by everybody",
     [](HostFacts& f) { f.state.others_write = true; }},
    {"STATE_DIRECTORY", Level::kError, "fsync fails in it: Input/output error",
     [](HostFacts& f) { f.state.sync_error = EIO; }},
    {"STATE_DIRECTORY", Level::kWarning, "user 7's", [](HostFacts& f) { f.state.owner = 7; }},
    {"STATE_DIRECTORY", Level::kWarning, "in memory",
     [](HostFacts& f) { f.state.is_volatile = true; }},
    {"STATE_DIRECTORY", Level::kWarning, "1024 KiB",
     [](HostFacts& f) { f.state.free_bytes = 1 << 20; }},
    {"RUNTIME_DIRECTORY", Level::kError, "cannot be opened",
     [](HostFacts& f) { f.runtime.open_error = EACCES; }},
    {"RUNTIME_DIRECTORY", Level::kWarning, "not in memory",
     [](HostFacts& f) { f.runtime.is_volatile = false; }},
    {"LEFTOVER_SOCKETS", Level::kWarning, "nobody listens on /run/fsd/exports/a.sock",
     [](HostFacts& f) { f.leftovers.dead_sockets = {"/run/fsd/exports/a.sock"}; }},
    {"DAMAGED_RECORDS", Level::kWarning, "set aside: /var/lib/fsd/exports/a.damaged",
     [](HostFacts& f) { f.leftovers.damaged_records = {"/var/lib/fsd/exports/a.damaged"}; }},
};
INSTANTIATE_TEST_SUITE_P(Directories, HostCheckLevels, testing::ValuesIn(kDirectoryCases));

TEST(HostCheck, OfExportsSourcesOnlyThoseThatLackSomethingAreNamed) {
  HostFacts facts = Good();
  facts.export_sources.push_back({.path = "/c", .is_directory = true, .filesystem = "nfs"});
  facts.export_sources.push_back({.path = "/d", .answers = false});

  std::vector<std::string> found;
  for (const HostCheck& check : CheckHost(facts)) {
    if (check.check == "EXPORT_SOURCES") found.push_back(check.found);
    if (check.check == "EXPORT_SOURCE") found.push_back(check.subject + ": " + check.found);
  }

  EXPECT_THAT(found, testing::ElementsAre("2 of 4 directories of exports, with host handles",
                                          "/c: nfs", "/d: its file system does not answer"));
}

TEST(HostCheck, EachSourceHasItsOwn) {
  HostFacts facts = Good();
  facts.sources.push_back({.path = "/gone", .open_error = ENOENT});

  std::vector<std::string> subjects;
  for (const HostCheck& check : CheckHost(facts)) {
    if (check.check == "SOURCE") subjects.push_back(check.subject);
  }

  EXPECT_THAT(subjects, testing::ElementsAre("/srv", "/gone"));
}

TEST(HostCheck, ATableHasALineForEachAndMoreForALack) {
  EXPECT_EQ(HostCheckTable({{.check = "KERNEL", .found = "Linux 6"},
                            {.check = "SOURCE",
                             .subject = "/srv",
                             .level = Level::kError,
                             .found = "f",
                             .cost = "c",
                             .remedy = "r"}}),
            "ok       KERNEL             Linux 6\n"
            "ERROR    SOURCE             /srv: f\n"
            "                            costs: c\n"
            "                            do:    r\n");
}

}  // namespace
}  // namespace fsd::host
