// The wall around the host's files: names that lead out of the export.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/security/climb.h"
#include "tests/security/host_process.h"
#include "tests/security/prison.h"

namespace fsd::security {
namespace {

std::string ContentsAt(int directory, const std::string& path) {
  return Contents(::openat(directory, path.c_str(), O_RDONLY | O_CLOEXEC));
}

// Through whatever fd leads there.
std::string ContentsThroughAnyFd(const std::string& path) {
  for (int fd = 0; fd < 256; ++fd) {
    if (const std::string found = ContentsAt(fd, path); found == "secret") return found;
  }
  return "none";
}

TEST(HostFiles, NoNameLeadsToThem) {
  Prison prison;
  const std::string secret = prison.outside_path() + "/secret";
  std::string up;
  for (int i = 0; i < 64; ++i) up += "../";
  const std::vector<Behind> hidden = {{kEveryWall, "ENOENT"},       {kEveryWallOfChroot, "ENOENT"},
                                      {kEveryWallOfNone, "EACCES"}, {kMounts, "ENOENT"},
                                      {kLandlock, "EACCES"},        {kNoWalls, "secret"}};
  ExpectTheyHold(
      prison, "the host's files, by name",
      {
          {"absolute", [&](const Inmate&) { return ContentsAt(AT_FDCWD, secret); }, hidden},
          {"dot-dot from the root",
           [](const Inmate& in) { return ContentsAt(in.root, "../outside/secret"); }, hidden},
          {"dot-dot from a directory of the export",
           [](const Inmate& in) { return ContentsAt(in.root, "sub/../../outside/secret"); },
           hidden},
          {"dot-dot from the working directory",
           [&](const Inmate&) { return ContentsAt(AT_FDCWD, up + secret); }, hidden},
          {"through the root's name in /proc/self/fd",
           [](const Inmate& in) {
             return ContentsAt(in.proc_self_fd, absl::StrCat(in.root, "/../outside/secret"));
           },
           hidden},
          {"/proc/self/root",
           [&](const Inmate& in) { return ContentsAt(in.proc, "self/root" + secret); }, hidden},
          {"/proc/self/cwd",
           [&](const Inmate& in) { return ContentsAt(in.proc, "self/cwd/" + up + secret); },
           hidden},
          {"dot-dot from any fd that there is",
           [](const Inmate&) { return ContentsThroughAnyFd("../outside/secret"); },
           {{kEveryMode, "none"}, {kMounts, "none"}, {kLandlock, "none"}, {kNoWalls, "secret"}}},
      });
}

TEST(HostFiles, NoProcessOfTheHostsLeadsToThem) {
  Prison prison;
  const Victim victim(prison.outside_path());
  const std::string process = absl::StrCat(victim.pid());
  const std::vector<Behind> held = {{kEveryWall, "ENOENT"},       {kEveryWallOfChroot, "ENOENT"},
                                    {kEveryWallOfNone, "EACCES"}, {kPids, "ENOENT"},
                                    {kCapabilities, "EACCES"},    {kNoWalls, "secret"}};
  ExpectTheyHold(
      prison, "the host's files, by /proc/<pid>",
      {
          {"its root",
           [&](const Inmate& in) {
             return ContentsAt(in.proc, process + "/root" + prison.outside_path() + "/secret");
           },
           held},
          {"its working directory",
           [&](const Inmate& in) { return ContentsAt(in.proc, process + "/cwd/secret"); }, held},
      });
}

TEST(HostFiles, NoSymbolicLinkLeadsToThem) {
  Prison prison;
  const std::string secret = prison.outside_path() + "/secret";
  const auto follow = [](const std::string& target, int directory) {
    if (::symlinkat(target.c_str(), directory, "link") != 0) return Outcome(-1);
    const std::string found = ContentsAt(directory, "link");
    ::unlinkat(directory, "link", 0);
    return found;
  };
  const std::vector<Behind> held = {{kEveryWall, "ELOOP"},        {kEveryWallOfChroot, "ENOENT"},
                                    {kEveryWallOfNone, "EACCES"}, {kMounts, "ELOOP"},
                                    {kLandlock, "EACCES"},        {kNoWalls, "secret"}};
  ExpectTheyHold(
      prison, "the host's files, by symbolic link",
      {
          {"an absolute one", [&](const Inmate& in) { return follow(secret, in.root); }, held},
          {"a relative one", [&](const Inmate& in) { return follow("../outside/secret", in.root); },
           held},
          {"one to a file of the export",
           [&](const Inmate& in) { return follow("sub/secret", in.root); },
           {{kEveryWall, "ELOOP"}, {kMounts, "ELOOP"}, {kNoWalls, "inside"}},
           /*of_namespaces_only=*/true},
      });
}

}  // namespace
}  // namespace fsd::security
