// FilterExpression: the text of a filter, read into a tree. AIP-160, without functions, ordering
// comparisons and the sequences that have neither AND nor OR.
//
//   expression = factor {"AND" factor}
//   factor     = term {"OR" term}
//   term       = ["NOT" | "-"] ("(" expression ")" | comparison)
//   comparison = segment {"." segment} ("=" | "!=" | ":") value
//
// Segments and values are bare or in double quotes, in which \" and \\ stand for " and \. Knows no
// fields: those are export_filter.h's. Any text may be given.
#ifndef FSD_SERVER_CONTROL_FILTER_EXPRESSION_H_
#define FSD_SERVER_CONTROL_FILTER_EXPRESSION_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace fsd::control {

struct FilterComparison {
  enum class Operator { kEquals, kNotEquals, kHas };

  std::vector<std::string> path;  // at least one segment
  Operator op = Operator::kEquals;
  std::string value;
  size_t path_at = 0;  // offsets in the text
  size_t value_at = 0;
};

struct FilterExpression {
  enum class Kind { kAnd, kOr, kNot, kComparison };

  Kind kind = Kind::kComparison;
  std::vector<FilterExpression> operands;  // of kNot one, of kAnd and kOr at least two
  FilterComparison comparison;
};

// INVALID_ARGUMENT "at character 7: …", counted from 1.
absl::Status FilterError(size_t offset, std::string_view what);

// `text` is not blank. Errors are FilterError's.
absl::StatusOr<FilterExpression> ParseFilterExpression(std::string_view text);

}  // namespace fsd::control

#endif  // FSD_SERVER_CONTROL_FILTER_EXPRESSION_H_
