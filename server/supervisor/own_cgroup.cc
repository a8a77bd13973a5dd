#include "server/supervisor/own_cgroup.h"

#include <fstream>
#include <iterator>
#include <optional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "server/errors/status_macros.h"
#include "server/supervisor/paths.h"

namespace fsd::supervisor {
namespace {

std::string TextOf(const char* path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::vector<std::string> Lines(std::string_view text) {
  return absl::StrSplit(Absl(text), '\n', absl::SkipEmpty());
}

// mountinfo has blanks, tabs, newlines and backslashes as three octal digits.
std::string Unescaped(std::string_view text) {
  std::string plain;
  while (!text.empty()) {
    if (text.size() < 4 || text[0] != '\\') {
      plain += text[0];
      text.remove_prefix(1);
      continue;
    }
    plain += static_cast<char>((text[1] - '0') * 64 + (text[2] - '0') * 8 + (text[3] - '0'));
    text.remove_prefix(4);
  }
  return plain;
}

struct Mount {
  std::string root;  // the cgroup that is shown at `point`
  std::string point;
};

// If the line is one of a mount of cgroup2.
std::optional<Mount> CgroupMount(const std::string& line) {
  // 25 20 0:22 /root /point options optional… - type source options
  const std::vector<std::string> fields = absl::StrSplit(line, ' ');
  for (size_t i = 6; i + 1 < fields.size(); ++i) {
    if (fields[i] != "-") continue;
    if (fields[i + 1] != "cgroup2") return std::nullopt;
    return Mount{.root = Unescaped(fields[3]), .point = Unescaped(fields[4])};
  }
  return std::nullopt;
}

std::optional<std::string> OwnPath(std::string_view cgroup) {
  constexpr std::string_view kUnified = "0::";
  for (const std::string& line : Lines(cgroup)) {
    if (line.starts_with(kUnified)) return line.substr(kUnified.size());
  }
  return std::nullopt;
}

}  // namespace

absl::StatusOr<std::string> OwnCgroupDirectory(std::string_view cgroup,
                                               std::string_view mountinfo) {
  const std::optional<std::string> own = OwnPath(cgroup);
  if (!own.has_value()) return absl::NotFoundError("the kernel has no cgroups (v2)");
  // One with ".." lies outside of what our cgroup namespace shows.
  if (!NormalPath(*own).has_value()) {
    return absl::NotFoundError(absl::StrCat("the cgroup ", *own, " cannot be seen from here"));
  }
  for (const std::string& line : Lines(mountinfo)) {
    const std::optional<Mount> mount = CgroupMount(line);
    if (!mount.has_value() || !IsSameOrBelow(*own, mount->root)) continue;
    const std::string below = mount->root == "/" ? *own : own->substr(mount->root.size());
    std::string directory = *NormalPath(absl::StrCat(mount->point, "/", below));
    const std::string leaf = absl::StrCat("/", kSupervisorLeaf);
    if (below.ends_with(leaf)) directory.resize(directory.size() - leaf.size());
    return directory;
  }
  return absl::NotFoundError("no mount of cgroups (v2) shows the one that this process is in");
}

absl::StatusOr<std::string> OwnCgroupDirectory() {
  return OwnCgroupDirectory(TextOf("/proc/self/cgroup"), TextOf("/proc/self/mountinfo"));
}

}  // namespace fsd::supervisor
