#include "server/host/storage_check.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/errors/status_macros.h"

namespace fsd::host {
namespace {

using Level = HostCheck::Level;

struct KnownTrouble {
  std::string_view filesystem;
  std::string_view cost;
  std::string_view remedy;
};

constexpr std::array<KnownTrouble, 5> kTroubles = {{
    {"nfs",
     "a server that does not answer blocks the workers of its exports; changes that other "
     "clients make are seen late",
     "mount it hard, give exports short cache times, and expect WORKER_STUCK while the server is "
     "away"},
    {"cifs",
     "a server that does not answer blocks the workers of its exports; owners and modes are "
     "the mount's and not the files'",
     "share a local file system where guests need owners and modes"},
    {"fuse",
     "a FUSE server that does not answer blocks the workers of its exports; what files can "
     "have is up to it",
     "share what lies below it, if that is a directory of this host"},
    {"9p", "owners, locks and handles are up to the other side, and each operation is a round trip",
     "share a local file system"},
    {"overlay",
     "a file gets another inode when it is first written to, so a guest that has it open "
     "for reading does not see what is written",
     "share the upper directory's own file system, or a directory that is not of an overlay"},
}};

const KnownTrouble* FindTrouble(std::string_view filesystem) {
  for (const KnownTrouble& trouble : kTroubles) {
    if (trouble.filesystem == filesystem) return &trouble;
  }
  return nullptr;
}

void Problem(HostCheck& check, Level level, std::string found, std::string cost,
             std::string remedy) {
  check.level = level;
  check.found = std::move(found);
  check.cost = std::move(cost);
  check.remedy = std::move(remedy);
}

// What would keep `facts`' directory from working at all, if anything would.
bool FindUnusable(const DirectoryFacts& facts, const std::string& cost, HostCheck& check) {
  const std::string place =
      facts.exists ? facts.path : absl::StrCat(facts.path, ", which is to be made,");
  if (facts.open_error != 0) {
    Problem(check, Level::kError,
            absl::StrCat(place, " cannot be opened: ", std::strerror(facts.open_error)), cost,
            absl::StrCat("make it a directory of the user that fsd runs as, or name another: ",
                         facts.key));
  } else if (facts.write_error != 0) {
    Problem(check, Level::kError,
            absl::StrCat(place, " cannot be written to: ", std::strerror(facts.write_error)), cost,
            absl::StrCat("give it to the user that fsd runs as, or name another: ", facts.key));
  } else if (facts.free_files == 0 || facts.free_bytes < (64u << 10)) {
    Problem(check, Level::kError, absl::StrCat(place, " is on a file system that is full"), cost,
            "free some space there");
  } else if (facts.exists && facts.others_write) {
    Problem(check, Level::kError, absl::StrCat(place, " can be written to by everybody"),
            "anybody on this host can put sockets and records in the place of fsd's",
            absl::StrCat("chmod o-w ", facts.path));
  } else if (facts.exists && facts.owner != facts.user && facts.owner != 0) {
    Problem(check, Level::kWarning,
            absl::StrCat(place, " is user ", facts.owner, "'s, and fsd runs as ", facts.user),
            "that user can remove and replace what fsd keeps there",
            absl::StrCat("chown ", facts.user, " ", facts.path));
  } else {
    return false;
  }
  return true;
}

std::string Described(const DirectoryFacts& facts) {
  return absl::StrCat(facts.exists ? "" : "to be made, ", facts.free_bytes >> 20, " MiB free");
}

}  // namespace

HostCheck CheckSource(const SourceFacts& facts) {
  HostCheck check{.check = "SOURCE", .subject = facts.path};
  if (!facts.answers) {
    Problem(
        check, Level::kError, "its file system does not answer",
        "guests that use it wait, exports below it cannot be made, and their workers cannot end",
        "bring back what it is mounted from, or unmount it (umount -f, else umount -l)");
    return check;
  }
  if (facts.open_error == ENOENT) {
    Problem(check, Level::kWarning, "it does not exist",
            "no export below it can be served, and those that there are fail",
            "make it, or mount what it is for, before exports are made; or leave it out of "
            "allow_source");
    return check;
  }
  if (facts.open_error != 0 || !facts.is_directory) {
    Problem(check, Level::kError,
            facts.open_error != 0
                ? absl::StrCat("it cannot be opened: ", std::strerror(facts.open_error))
                : "it is not a directory",
            "no export below it can be served",
            "let the user that fsd runs as open it, or leave it out of allow_source");
    return check;
  }
  if (const KnownTrouble* const trouble = FindTrouble(facts.filesystem)) {
    Problem(check, Level::kWarning,
            absl::StrCat(facts.filesystem, facts.handle_error == 0 ? "" : ", without host handles"),
            std::string(trouble->cost), std::string(trouble->remedy));
    return check;
  }
  if (facts.handle_error != 0) {
    Problem(check, Level::kWarning,
            absl::StrCat(facts.filesystem,
                         ", without host handles: ", std::strerror(facts.handle_error)),
            "each file that a guest knows costs a descriptor, and a guest's file handles (NFS in "
            "the guest) do not survive",
            "share ext4, XFS, btrfs or tmpfs; or set inodes.max_file_descriptors of its exports to "
            "what guests "
            "need");
    return check;
  }
  check.found = absl::StrCat(facts.filesystem, ", with host handles");
  return check;
}

std::vector<HostCheck> CheckExportSources(const std::vector<SourceFacts>& all) {
  std::vector<HostCheck> checks;
  for (const SourceFacts& facts : all) {
    HostCheck check = CheckSource(facts);
    if (check.level == Level::kOk) continue;
    check.check = "EXPORT_SOURCE";
    checks.push_back(std::move(check));
  }
  const size_t good = all.size() - checks.size();
  if (good == 0) return checks;
  checks.insert(checks.begin(),
                HostCheck{.check = "EXPORT_SOURCES",
                          .found = absl::StrCat(good, " of ", all.size(),
                                                " directories of exports, with host handles")});
  return checks;
}

HostCheck CheckStateDirectory(const DirectoryFacts& facts) {
  HostCheck check{.check = "STATE_DIRECTORY", .subject = facts.path, .found = Described(facts)};
  if (FindUnusable(facts, "fsd does not start, or no export can be made", check)) return check;
  if (facts.sync_error != 0) {
    Problem(check, Level::kError,
            absl::StrCat("fsync fails in it: ", std::strerror(facts.sync_error)),
            "no export can be made, as its record could not be kept safe",
            "keep the state on a local disk: state_dir");
  } else if (facts.is_volatile) {
    Problem(check, Level::kWarning, "it is in memory (tmpfs)",
            "exports are forgotten when the host goes down", "keep the state on a disk: state_dir");
  } else if (facts.free_bytes < (16u << 20) || facts.free_files < 1024) {
    Problem(check, Level::kWarning,
            absl::StrCat(facts.free_bytes >> 10, " KiB and ", facts.free_files, " files left"),
            "exports cannot be made or changed when these are used up", "free some space there");
  }
  return check;
}

HostCheck CheckRuntimeDirectory(const DirectoryFacts& facts) {
  HostCheck check{.check = "RUNTIME_DIRECTORY", .subject = facts.path, .found = Described(facts)};
  if (FindUnusable(facts, "fsd does not start, as its sockets have no place", check)) return check;
  if (!facts.is_volatile) {
    Problem(
        check, Level::kWarning, "it is not in memory (tmpfs)",
        "sockets of a host that went down are still there when it comes up; fsd removes its own",
        "keep sockets below /run: runtime_dir");
  }
  return check;
}

HostCheck CheckLeftoverSockets(const LeftoverFacts& facts) {
  HostCheck check{.check = "LEFTOVER_SOCKETS", .found = "none"};
  if (facts.dead_sockets.empty()) return check;
  Problem(check, Level::kWarning,
          absl::StrCat("nobody listens on ", absl::StrJoin(facts.dead_sockets, ", ")),
          "a VM that is pointed at one is refused; while fsd runs, an export whose socket is among "
          "them has failed",
          "if fsd does not run, they go when it starts; else see the state of their exports");
  return check;
}

HostCheck CheckDamagedRecords(const LeftoverFacts& facts) {
  HostCheck check{.check = "DAMAGED_RECORDS", .found = "none"};
  if (facts.damaged_records.empty()) return check;
  Problem(check, Level::kWarning,
          absl::StrCat("set aside: ", absl::StrJoin(facts.damaged_records, ", ")),
          "the exports that they were of are gone",
          "make the exports again, then remove these files; if there was no power failure, look "
          "after the disk");
  return check;
}

}  // namespace fsd::host
