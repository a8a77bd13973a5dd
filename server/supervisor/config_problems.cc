#include "server/supervisor/config_problems.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/errors/status_macros.h"

namespace fsd::supervisor {

void ConfigProblems::SetPlace(std::string_view key, std::string place) {
  places_.insert_or_assign(std::string(key), std::move(place));
}

void ConfigProblems::Add(std::string_view key, std::string_view what) {
  const auto place = places_.find(key);
  std::string line;
  if (place != places_.end()) absl::StrAppend(&line, place->second, ": ");
  const bool by_flag = line.starts_with("--");
  if (!by_flag) absl::StrAppend(&line, Absl(key), ": ");
  absl::StrAppend(&line, Absl(what));
  lines_.push_back(std::move(line));
  ++problems_of_[std::string(key)];
}

void ConfigProblems::AddAt(std::string_view place, std::string_view what) {
  lines_.push_back(place.empty() ? std::string(what) : absl::StrCat(Absl(place), ": ", Absl(what)));
}

bool ConfigProblems::Has(std::string_view key) const { return problems_of_.contains(key); }

absl::Status ConfigProblems::ToStatus() const {
  if (lines_.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrJoin(lines_, "\n"));
}

}  // namespace fsd::supervisor
