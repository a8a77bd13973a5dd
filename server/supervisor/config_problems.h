// ConfigProblems: all that is wrong with a configuration, each with its place in a file or on the
// command line.
#ifndef FSD_SERVER_SUPERVISOR_CONFIG_PROBLEMS_H_
#define FSD_SERVER_SUPERVISOR_CONFIG_PROBLEMS_H_

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace fsd::supervisor {

class ConfigProblems {
 public:
  // Where the value of `key` was given, as "fsd.yaml:3" or "--listen". The last one counts.
  void SetPlace(std::string_view key, std::string place);
  // `what` says what is wrong with the key's value, and what to do. Told as "PLACE: KEY: what"; a
  // flag, which says its key, stands for both.
  void Add(std::string_view key, std::string_view what);
  // Of no key; `place` as for SetPlace, or empty.
  void AddAt(std::string_view place, std::string_view what);

  // Whether the key's value could not be read, or was found wrong: then what follows from it is
  // not worth telling.
  bool Has(std::string_view key) const;
  bool empty() const { return lines_.empty(); }
  // In the order in which they were added.
  const std::vector<std::string>& lines() const { return lines_; }
  // OK if there are none; else INVALID_ARGUMENT, a line for each.
  absl::Status ToStatus() const;

 private:
  std::map<std::string, std::string, std::less<>> places_;
  std::map<std::string, int, std::less<>> problems_of_;
  std::vector<std::string> lines_;
};

}  // namespace fsd::supervisor

#endif  // FSD_SERVER_SUPERVISOR_CONFIG_PROBLEMS_H_
