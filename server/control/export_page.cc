#include "server/control/export_page.h"

#include <algorithm>

#include "absl/strings/escaping.h"
#include "server/control/export_name.h"
#include "server/control/export_translation.h"
#include "server/errors/status_macros.h"

namespace fsd::control {
namespace {

constexpr std::string_view kTokenVersion = "1:";
constexpr int32_t kDefaultPageSize = 100;
constexpr int32_t kMaxPageSize = 1000;
// gRPC clients take messages of up to 4 MiB unless told otherwise.
constexpr size_t kMaxPageBytes = 2 << 20;

}  // namespace

std::string MakePageToken(std::string_view last_id) {
  return absl::WebSafeBase64Escape(Absl(std::string(kTokenVersion).append(last_id)));
}

std::optional<std::string> ReadPageToken(std::string_view token) {
  if (token.empty()) return std::string();
  std::string text;
  if (!absl::WebSafeBase64Unescape(Absl(token), &text)) return std::nullopt;
  std::string_view id = text;
  if (!id.starts_with(kTokenVersion)) return std::nullopt;
  id.remove_prefix(kTokenVersion.size());
  if (!IsExportId(id)) return std::nullopt;
  return std::string(id);
}

v1::ListExportsResponse MakePage(const std::vector<supervisor::ExportView>& views,
                                 std::string_view after_id, int32_t page_size) {
  const int32_t limit = page_size == 0 ? kDefaultPageSize : std::min(page_size, kMaxPageSize);
  auto next = std::find_if(views.begin(), views.end(), [&](const supervisor::ExportView& view) {
    return view.record.spec().id() > after_id;
  });
  v1::ListExportsResponse page;
  size_t bytes = 0;
  for (; next != views.end() && page.exports_size() < limit; ++next) {
    v1::Export resource = ToExport(*next);
    bytes += resource.ByteSizeLong();
    if (bytes > kMaxPageBytes && page.exports_size() > 0) break;
    *page.add_exports() = std::move(resource);
  }
  if (next != views.end()) {
    page.set_next_page_token(MakePageToken(std::prev(next)->record.spec().id()));
  }
  return page;
}

}  // namespace fsd::control
