// ExportOrder: the order of a listing, as ListExportsRequest.order_by says.
#ifndef FSD_SERVER_CONTROL_EXPORT_ORDER_H_
#define FSD_SERVER_CONTROL_EXPORT_ORDER_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "proto/fsd/v1/export.pb.h"

namespace fsd::control {

// Where an export stands: the fields that it is ordered by, as text that orders as they do, and
// then its id.
struct ExportPosition {
  std::vector<std::string> keys;
  std::string id;
};

class ExportOrder {
 public:
  // By name.
  ExportOrder() = default;

  // INVALID_ARGUMENT: what cannot be read.
  static absl::StatusOr<ExportOrder> Parse(std::string_view text);

  // Of a position's keys.
  size_t key_count() const { return keys_.size(); }
  ExportPosition PositionOf(const v1::Export& resource) const;
  // Of positions with key_count() keys.
  bool Less(const ExportPosition& a, const ExportPosition& b) const;

 private:
  struct Key {
    std::string (*text)(const v1::Export& resource);
    bool descending;
  };
  std::vector<Key> keys_;
};

}  // namespace fsd::control

#endif  // FSD_SERVER_CONTROL_EXPORT_ORDER_H_
