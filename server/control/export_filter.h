// ExportFilter: which exports a client wants to see. The fields and what comparing means are
// ListExportsRequest.filter's.
#ifndef FSD_SERVER_CONTROL_EXPORT_FILTER_H_
#define FSD_SERVER_CONTROL_EXPORT_FILTER_H_

#include <optional>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "proto/fsd/v1/export.pb.h"
#include "server/control/filter_expression.h"

namespace fsd::control {

class ExportFilter {
 public:
  // Matches all.
  ExportFilter() = default;

  // INVALID_ARGUMENT: where and why it cannot be read.
  static absl::StatusOr<ExportFilter> Parse(std::string_view text);

  bool Matches(const v1::Export& resource) const;

 private:
  explicit ExportFilter(FilterExpression expression) : expression_(std::move(expression)) {}

  std::optional<FilterExpression> expression_;
};

}  // namespace fsd::control

#endif  // FSD_SERVER_CONTROL_EXPORT_FILTER_H_
