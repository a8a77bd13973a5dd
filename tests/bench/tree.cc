#include "tests/bench/tree.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "server/errors/status_macros.h"

namespace fsd::bench {

absl::Status MakeTree(const std::string& directory, bool with_data) {
  namespace fs = std::filesystem;
  std::error_code error;
  fs::create_directories(directory + "/names", error);
  fs::create_directories(directory + "/entries", error);
  if (error) return absl::InternalError(error.message());
  const auto fill = [](const std::string& path, size_t bytes) {
    std::ofstream file(path, std::ios::binary);
    const std::string block(std::min(bytes, kMiB), 'x');
    for (size_t done = 0; done < bytes; done += block.size()) file << block;
    file.close();
    if (!file) return absl::InternalError("cannot write " + path);
    return absl::OkStatus();
  };
  for (const char* name : {"/data", "/written"}) {
    FSD_RETURN_IF_ERROR(fill(directory + name, with_data ? kFileBytes : kMiB));
  }
  for (size_t part = 0; part < kWrittenParts; ++part) {
    FSD_RETURN_IF_ERROR(fill(directory + "/" + PartName(part), with_data ? kPartBytes : kMiB));
  }
  for (size_t lane = 0; lane < kMaxLanes; ++lane) {
    for (const std::string& name : {FileOf(lane), MovedOf(lane)}) {
      FSD_RETURN_IF_ERROR(fill(directory + "/names/" + name, 4 * kKiB));
    }
    for (size_t other = 0; other < kOthers; ++other) {
      FSD_RETURN_IF_ERROR(fill(directory + "/names/" + OtherOf(lane, other), 4 * kKiB));
    }
  }
  for (size_t i = 0; i < kEntries; ++i) {
    FSD_RETURN_IF_ERROR(fill(absl::StrCat(directory, "/entries/entry-", 100 + i), 10));
  }
  // So that no measurement pays for writing it back.
  ::sync();
  return absl::OkStatus();
}

}  // namespace fsd::bench
