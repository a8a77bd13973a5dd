#include "server/supervisor/subordinate_ids.h"

#include <pwd.h>

#include <chrono>
#include <fstream>
#include <future>
#include <memory>
#include <string_view>
#include <thread>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "server/errors/status_macros.h"

namespace fsd::supervisor {
namespace {

// What the kernel takes for one map.
constexpr size_t kMaxRanges = 340;
// No id is 4294967295.
constexpr uint64_t kIds = 4294967295;

// Longer than a name service that works takes.
constexpr std::chrono::seconds kNamePatience{10};

// Empty if the user has none. A name service, as of a network, may stand behind it, without a
// bound.
std::string LookUpName(uid_t user) {
  std::string buffer(16 << 10, '\0');
  passwd entry{};
  passwd* found = nullptr;
  if (::getpwuid_r(user, &entry, buffer.data(), buffer.size(), &found) != 0) return "";
  return found == nullptr ? "" : found->pw_name;
}

absl::StatusOr<std::string> NameOf(uid_t user) {
  // If the thread does not come back in time it is left to itself, with what is its own.
  auto found = std::make_shared<std::promise<std::string>>();
  std::future<std::string> name = found->get_future();
  std::thread([user, found] { found->set_value(LookUpName(user)); }).detach();
  if (name.wait_for(kNamePatience) == std::future_status::ready) return name.get();
  return absl::DeadlineExceededError(absl::StrCat("the host did not tell the name of user ", user,
                                                  " within ", kNamePatience.count(),
                                                  " s; see passwd in nsswitch.conf(5)"));
}

// "name:first:count". False if it is not.
bool ParseRange(absl::string_view line, std::string& owner, os::IdRange& range) {
  const std::vector<absl::string_view> fields = absl::StrSplit(line, ':');
  if (fields.size() != 3) return false;
  owner = std::string(fields[0]);
  return absl::SimpleAtoi(fields[1], &range.outside_first) &&
         absl::SimpleAtoi(fields[2], &range.count) && range.count <= kIds - range.outside_first;
}

}  // namespace

absl::StatusOr<std::vector<os::IdRange>> SubordinateIdMap(const std::string& file, uid_t user,
                                                          uint32_t own_id) {
  FSD_ASSIGN_OR_RETURN(const std::string name, NameOf(user));
  const std::string number = absl::StrCat(user);
  std::vector<os::IdRange> map = {{.inside_first = 0, .outside_first = own_id, .count = 1}};
  uint64_t next = 1;
  std::ifstream lines(file);
  for (std::string line; std::getline(lines, line);) {
    const absl::string_view text = absl::StripAsciiWhitespace(line);
    if (text.empty() || text.front() == '#') continue;
    std::string owner;
    os::IdRange range;
    if (!ParseRange(text, owner, range)) {
      return absl::FailedPreconditionError(absl::StrCat(file, ": '",
                                                        absl::CHexEscape(text.substr(0, 100)),
                                                        "' is no line such as alice:100000:65536"));
    }
    if ((owner != name || name.empty()) && owner != number) continue;
    if (range.count == 0) continue;
    if (map.size() == kMaxRanges || range.count > kIds - next) {
      return absl::FailedPreconditionError(
          absl::StrCat(file, ": more ranges or ids for user ", user, " than one map can have"));
    }
    range.inside_first = static_cast<uint32_t>(next);
    next += range.count;
    map.push_back(range);
  }
  if (map.size() > 1) return map;
  const std::string who = name.empty() ? number : name;
  return absl::FailedPreconditionError(
      absl::StrCat(file, " gives no ids to user ", who, "; add a line such as ", who,
                   ":100000:65536 (usermod --add-subuids and --add-subgids do), or switch "
                   "subordinate_ids off"));
}

}  // namespace fsd::supervisor
