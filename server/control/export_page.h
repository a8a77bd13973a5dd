// One page of a listing.
//
// A page token says after which id the next page begins, so an export that exists throughout is
// listed exactly once, whatever is created or deleted between two pages.
#ifndef FSD_SERVER_CONTROL_EXPORT_PAGE_H_
#define FSD_SERVER_CONTROL_EXPORT_PAGE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proto/fsd/v1/export_service.pb.h"
#include "server/supervisor/export_view.h"

namespace fsd::control {

// The token of the page that begins after `last_id`.
std::string MakePageToken(std::string_view last_id);
// The id within; nothing if the token is not one of ours. The empty token's is empty.
std::optional<std::string> ReadPageToken(std::string_view token);

// The page of `views` (ordered by id) that begins after `after_id`. `page_size` as in
// ListExportsRequest, not negative. The page also ends before it is too large for a client to
// receive.
v1::ListExportsResponse MakePage(const std::vector<supervisor::ExportView>& views,
                                 std::string_view after_id, int32_t page_size);

}  // namespace fsd::control

#endif  // FSD_SERVER_CONTROL_EXPORT_PAGE_H_
