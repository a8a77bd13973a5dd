// posix_check DIRECTORY [--only AREA]... [--list] [--expect FILE] [--require-all] [--verbose]
//                       [--small-fs DIR] [--quota-fs DIR] [--read-only-fs DIR] [--other-fs DIR]
//
// Checks how the files of DIRECTORY behave. Prints a line for each check that failed, with what it
// got and what it expected, and at last "checks=N failed=M unsupported=K". Ends with 0 when none
// failed. Must be run as root. It needs nothing but a kernel: it runs in a guest with no other
// file.
//
// FILE lists known differences, one a line: the check's name, a tab, and the reason. Each must
// occur, but those with a "?" before the name, which depend on timing, may.
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>
#include <string_view>

#include "tests/semantics/areas.h"
#include "tests/semantics/check.h"

namespace posix_check {
namespace {

int Usage() {
  fprintf(stderr,
          "usage: posix_check DIRECTORY [--only AREA]... [--list] [--expect FILE] [--require-all]\n"
          "         [--verbose] [--small-fs DIR] [--quota-fs DIR] [--read-only-fs DIR]\n"
          "         [--other-fs DIR]\n");
  return 2;
}

// False when the file cannot be read or a line has no reason.
bool ReadExpectations(const char* path, std::vector<Expectation>& expected) {
  std::ifstream file(path);
  if (!file) return false;
  std::string line;
  while (std::getline(file, line)) {
    if (line.empty() || line[0] == '#') continue;
    const size_t tab = line.find('\t');
    if (tab == std::string::npos) return false;
    const size_t name = line[0] == '?' ? 1 : 0;
    expected.push_back({.name = line.substr(name, tab - name),
                        .reason = line.substr(tab + 1),
                        .must_occur = name == 0});
  }
  return true;
}

void AddAll(Registry& registry) {
  AddAclChecks(registry);
  AddAclSettingChecks(registry);
  AddAppendChecks(registry);
  AddCopyChecks(registry);
  AddDirectIoChecks(registry);
  AddDirectIoFileChecks(registry);
  AddDirectoryChecks(registry);
  AddFallocateChecks(registry);
  AddFileAttributeChecks(registry);
  AddFileLockChecks(registry);
  AddKillPrivilegeChecks(registry);
  AddLargeOffsetChecks(registry);
  AddLimitChecks(registry);
  AddLinkChecks(registry);
  AddMappingChangeChecks(registry);
  AddMappingChecks(registry);
  AddModeChecks(registry);
  AddNameChecks(registry);
  AddOpenFlagChecks(registry);
  AddOwnerChecks(registry);
  AddPathErrorChecks(registry);
  AddPermissionChecks(registry);
  AddRangeLockChecks(registry);
  AddRenameChecks(registry);
  AddSparseChecks(registry);
  AddStickyChecks(registry);
  AddSymlinkChecks(registry);
  AddSyncChecks(registry);
  AddTemporaryFileChecks(registry);
  AddTimeChecks(registry);
  AddUnlinkedChecks(registry);
  AddXattrChecks(registry);
  AddXattrNameChecks(registry);
}

int Main(int argc, char** argv) {
  Places places;
  RunOptions options;
  bool list = false;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--list") {
      list = true;
    } else if (argument == "--require-all") {
      options.require_all = true;
    } else if (argument == "--verbose") {
      options.verbose = true;
    } else if (argument.substr(0, 2) != "--" && options.directory.empty()) {
      options.directory = argument;
    } else if (i + 1 == argc) {
      return Usage();
    } else if (argument == "--only") {
      options.only.push_back(argv[++i]);
    } else if (argument == "--small-fs") {
      places.small_fs = argv[++i];
    } else if (argument == "--quota-fs") {
      places.quota_fs = argv[++i];
    } else if (argument == "--read-only-fs") {
      places.read_only_fs = argv[++i];
    } else if (argument == "--other-fs") {
      places.other_fs = argv[++i];
    } else if (argument == "--expect") {
      if (!ReadExpectations(argv[++i], options.expected)) {
        fprintf(stderr, "posix_check: %s is no list of names, tabs and reasons\n", argv[i]);
        return 2;
      }
    } else {
      return Usage();
    }
  }
  Registry registry(places);
  AddAll(registry);
  if (list) {
    for (const Registry::Check& check : registry.checks()) puts(check.name.c_str());
    return 0;
  }
  if (options.directory.empty() || options.directory[0] != '/') return Usage();
  if (geteuid() != 0) {
    fprintf(stderr, "posix_check: must be run as root\n");
    return 2;
  }
  return RunChecks(registry, options) == 0 ? 0 : 1;
}

}  // namespace
}  // namespace posix_check

int main(int argc, char** argv) { return posix_check::Main(argc, argv); }
