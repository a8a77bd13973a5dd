#include "server/control/export_page.h"

#include <algorithm>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "server/control/export_name.h"
#include "server/control/export_translation.h"
#include "server/errors/status_macros.h"

namespace fsd::control {
namespace {

constexpr std::string_view kTokenVersion = "2";
constexpr char kTokenSeparator = '\n';  // in no key
constexpr int32_t kDefaultPageSize = 100;
constexpr int32_t kMaxPageSize = 1000;
// gRPC clients take messages of up to 4 MiB unless told otherwise.
constexpr size_t kMaxPageBytes = 2 << 20;

// FNV-1a: the same in every program of ours, unlike std::hash.
uint64_t Fingerprint(std::string_view filter, std::string_view order_by) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const std::string_view text : {filter, std::string_view("\0", 1), order_by}) {
    for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  }
  return hash;
}

std::string FingerprintText(const ExportQuery& query) {
  return absl::StrFormat("%016x", query.fingerprint);
}

}  // namespace

ExportQuery ReadQuery(const v1::ListExportsRequest& request, FieldViolations& violations) {
  ExportQuery query;
  query.page_size = request.page_size();
  query.fingerprint = Fingerprint(request.filter(), request.order_by());
  auto filter = ExportFilter::Parse(request.filter());
  if (filter.ok()) {
    query.filter = *std::move(filter);
  } else {
    violations.push_back({"filter", v1::FILTER_INVALID, std::string(filter.status().message())});
  }
  auto order = ExportOrder::Parse(request.order_by());
  if (order.ok()) {
    query.order = *std::move(order);
  } else {
    violations.push_back({"order_by", v1::FIELD_INVALID, std::string(order.status().message())});
  }
  if (!filter.ok() || !order.ok() || request.page_token().empty()) return query;
  query.after = ReadPageToken(query, request.page_token());
  if (!query.after.has_value()) {
    violations.push_back({"page_token", v1::PAGE_TOKEN_INVALID,
                          "not a token of this server for this filter and order_by; take "
                          "next_page_token of the page before, and leave them as they were"});
  }
  return query;
}

std::string MakePageToken(const ExportQuery& query, const ExportPosition& last) {
  std::string text(kTokenVersion);
  text += kTokenSeparator + FingerprintText(query) + kTokenSeparator + last.id;
  for (const std::string& key : last.keys) text += kTokenSeparator + key;
  return absl::WebSafeBase64Escape(text);
}

std::optional<ExportPosition> ReadPageToken(const ExportQuery& query, std::string_view token) {
  std::string text;
  if (!absl::WebSafeBase64Unescape(Absl(token), &text)) return std::nullopt;
  std::vector<std::string> parts = absl::StrSplit(text, kTokenSeparator);
  constexpr size_t kFixedParts = 3;
  if (parts.size() != kFixedParts + query.order.key_count() || parts[0] != kTokenVersion ||
      parts[1] != FingerprintText(query) || !IsExportId(parts[2])) {
    return std::nullopt;
  }
  ExportPosition position;
  position.id = std::move(parts[2]);
  position.keys.assign(std::make_move_iterator(parts.begin() + kFixedParts),
                       std::make_move_iterator(parts.end()));
  return position;
}

v1::ListExportsResponse MakePage(const std::vector<supervisor::ExportView>& views,
                                 const ExportQuery& query) {
  struct Entry {
    ExportPosition position;
    v1::Export resource;
  };
  std::vector<Entry> entries;
  for (const supervisor::ExportView& view : views) {
    Entry entry{.position = {}, .resource = ToExport(view)};
    if (!query.filter.Matches(entry.resource)) continue;
    entry.position = query.order.PositionOf(entry.resource);
    if (query.after.has_value() && !query.order.Less(*query.after, entry.position)) continue;
    entries.push_back(std::move(entry));
  }
  std::sort(entries.begin(), entries.end(), [&query](const Entry& a, const Entry& b) {
    return query.order.Less(a.position, b.position);
  });

  const int32_t limit =
      query.page_size == 0 ? kDefaultPageSize : std::min(query.page_size, kMaxPageSize);
  v1::ListExportsResponse page;
  size_t bytes = 0;
  auto next = entries.begin();
  for (; next != entries.end() && page.exports_size() < limit; ++next) {
    bytes += next->resource.ByteSizeLong();
    if (bytes > kMaxPageBytes && page.exports_size() > 0) break;
    *page.add_exports() = std::move(next->resource);
  }
  if (next != entries.end()) {
    page.set_next_page_token(MakePageToken(query, std::prev(next)->position));
  }
  return page;
}

}  // namespace fsd::control
