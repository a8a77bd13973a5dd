// One page of a listing.
//
// A page token says where the page before ended, so an export that exists throughout, and does not
// move in the listing's order, is listed exactly once, whatever is created or deleted between two
// pages.
#ifndef FSD_SERVER_CONTROL_EXPORT_PAGE_H_
#define FSD_SERVER_CONTROL_EXPORT_PAGE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proto/fsd/v1/export_service.pb.h"
#include "server/control/export_filter.h"
#include "server/control/export_order.h"
#include "server/control/field_violation.h"
#include "server/supervisor/export_view.h"

namespace fsd::control {

// What a client wants to see.
struct ExportQuery {
  ExportFilter filter;
  ExportOrder order;
  uint64_t fingerprint = 0;  // of both, as text
  int32_t page_size = 0;     // as in ListExportsRequest, not negative
  // The end of the page before; nothing: the first page is wanted.
  std::optional<ExportPosition> after;
};

// Reads a request; what is wrong is added to `violations`.
ExportQuery ReadQuery(const v1::ListExportsRequest& request, FieldViolations& violations);

// Of the page after the one that ends with `last`.
std::string MakePageToken(const ExportQuery& query, const ExportPosition& last);
// Nothing if the token is not one of ours for this query, but for its page.
std::optional<ExportPosition> ReadPageToken(const ExportQuery& query, std::string_view token);

// The page also ends before it is too large for a client to receive.
v1::ListExportsResponse MakePage(const std::vector<supervisor::ExportView>& views,
                                 const ExportQuery& query);

}  // namespace fsd::control

#endif  // FSD_SERVER_CONTROL_EXPORT_PAGE_H_
