// The tree that the workloads run in, and its names.
#ifndef FSD_TESTS_BENCH_TREE_H_
#define FSD_TESTS_BENCH_TREE_H_

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace fsd::bench {

inline constexpr size_t kKiB = 1024;
inline constexpr size_t kMiB = 1024 * kKiB;
inline constexpr size_t kFileBytes =
    64 * kMiB;                              // of `data` and of `written`; stays in the page cache
inline constexpr size_t kWrittenParts = 4;  // files that lanes write to at random; 64 MiB together
inline constexpr size_t kPartBytes = kFileBytes / kWrittenParts;
inline constexpr size_t kEntries = 500;
inline constexpr size_t kListingBytes = 32 * kKiB;
inline constexpr char kXattr[] = "user.bench";
inline constexpr char kXattrValue[] = "0123456789abcde";

inline constexpr size_t kMaxLanes = 64;
inline constexpr size_t kOthers = 16;  // of a lane

// A guest holds a file's lock while it writes, so the lanes of up to four vrings write at random to
// files of their own.
inline size_t PartOf(size_t lane) { return lane % kWrittenParts; }
inline std::string PartName(size_t part) { return absl::StrCat("written-", part); }

// In the directory names/: files that are there, files that nobody keeps a node of, names that are
// not there, names of what is made and removed, and of what is renamed to and fro.
inline std::string FileOf(size_t lane) { return absl::StrCat("file-", lane); }
inline std::string OtherOf(size_t lane, size_t other) {
  return absl::StrCat("other-", lane, "-", other);
}
inline std::string AbsentOf(size_t lane) { return absl::StrCat("absent-", lane); }
inline std::string NewOf(size_t lane) { return absl::StrCat("new-", lane); }
inline std::string MovedOf(size_t lane) { return absl::StrCat("moved-", lane); }
inline std::string RenamedOf(size_t lane) { return absl::StrCat("renamed-", lane); }

// Makes it, with or without the large files; slow enough to be done once.
absl::Status MakeTree(const std::string& directory, bool with_data);

}  // namespace fsd::bench

#endif  // FSD_TESTS_BENCH_TREE_H_
