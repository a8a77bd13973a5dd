// hanging_share DIRECTORY: mounts a file system there that hangs on command. It has the files
// "data" (1 MiB of 'd') and "written" (empty).
//
// Commands, one a line, each answered with a line:
//   hang READ|WRITE|GETATTR|LOOKUP|OPEN|FSYNC   ok
//   await                                       ok, once a request hangs
//   go                                          ok; what hung is answered
//   sum NAME                                    bytes and the sum of their values
// Ends with its input.
#include <linux/fuse.h>

#include <iostream>
#include <map>
#include <numeric>
#include <sstream>
#include <string>

#include "tests/harness/hanging_filesystem.h"

namespace {

const std::map<std::string, uint32_t> kOpcodes{{"READ", FUSE_READ},       {"WRITE", FUSE_WRITE},
                                               {"GETATTR", FUSE_GETATTR}, {"LOOKUP", FUSE_LOOKUP},
                                               {"OPEN", FUSE_OPEN},       {"FSYNC", FUSE_FSYNC}};

std::string Obey(fsd::harness::HangingFilesystem& share, const std::string& line) {
  std::istringstream words(line);
  std::string command;
  std::string argument;
  words >> command >> argument;
  if (command == "hang" && kOpcodes.contains(argument)) {
    share.Hang(kOpcodes.at(argument));
    return "ok";
  }
  if (command == "await") return share.AwaitHanging(1) ? "ok" : "nothing hangs";
  if (command == "go") {
    share.GoOn();
    return "ok";
  }
  if (command == "sum") {
    const std::string contents = share.contents(argument);
    const auto sum = std::accumulate(contents.begin(), contents.end(), uint64_t{0});
    return std::to_string(contents.size()) + " " + std::to_string(sum);
  }
  return "unknown command";
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 2) return 2;
  const auto share = fsd::harness::HangingFilesystem::Mount(
      arguments[1], {{"data", std::string(1 << 20, 'd')}, {"written", ""}});
  if (!share.ok()) {
    std::cerr << share.status() << "\n";
    return 1;
  }
  std::cout << "mounted" << std::endl;
  for (std::string line; std::getline(std::cin, line);) {
    std::cout << Obey(**share, line) << std::endl;
  }
  return 0;
}
