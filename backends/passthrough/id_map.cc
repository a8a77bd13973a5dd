#include "backends/passthrough/id_map.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "server/errors/status_macros.h"

namespace fsd::passthrough {
namespace {

// 4294967295 means "no id" to every system call.
constexpr uint64_t kIds = UINT32_MAX;

}  // namespace

absl::Status IdMap::Add(Table& table, uint32_t from, uint64_t count, uint32_t target,
                        Range::Effect effect) {
  const uint64_t targets = effect == Range::Effect::kShift ? count : 1;
  if (count == 0 || count > kIds || from + count > kIds || target + targets > kIds) {
    return absl::InvalidArgumentError(absl::StrCat("a translation of ", count, " ids from ", from,
                                                   " to ", target,
                                                   " is empty or leaves the range of ids"));
  }
  const Range range{.first = from,
                    .last = static_cast<uint32_t>(from + count - 1),
                    .target = target,
                    .effect = effect};
  const auto next = std::ranges::lower_bound(table, range.first, {}, &Range::first);
  if ((next != table.end() && next->first <= range.last) ||
      (next != table.begin() && std::prev(next)->last >= range.first)) {
    return absl::InvalidArgumentError(
        absl::StrCat("two translations have the ids from ", from, " on in common"));
  }
  table.insert(next, range);
  return absl::OkStatus();
}

absl::StatusOr<IdMap> IdMap::Create(std::span<const IdTranslation> translations) {
  using Effect = Range::Effect;
  using Kind = IdTranslation::Kind;
  IdMap map;
  for (const auto& [kind, guest, host, count] : translations) {
    if (kind == Kind::kMap || kind == Kind::kGuest) {
      FSD_RETURN_IF_ERROR(Add(map.to_host_, guest, count, host, Effect::kShift));
    }
    if (kind == Kind::kMap || kind == Kind::kHost) {
      FSD_RETURN_IF_ERROR(Add(map.to_guest_, host, count, guest, Effect::kShift));
    }
    if (kind == Kind::kSquashGuest) {
      FSD_RETURN_IF_ERROR(Add(map.to_host_, guest, count, host, Effect::kSquash));
    }
    if (kind == Kind::kSquashHost) {
      FSD_RETURN_IF_ERROR(Add(map.to_guest_, host, count, guest, Effect::kSquash));
    }
    if (kind == Kind::kForbidGuest) {
      FSD_RETURN_IF_ERROR(Add(map.to_host_, guest, count, 0, Effect::kForbid));
    }
  }
  return map;
}

const IdMap::Range* IdMap::FindAmong(const Table& table, uint32_t id) {
  const auto above = std::ranges::upper_bound(table, id, {}, &Range::first);
  if (above == table.begin()) return nullptr;
  const Range& range = *std::prev(above);
  return id <= range.last ? &range : nullptr;
}

ErrnoOr<uint32_t> IdMap::ToHost(uint32_t guest) const {
  const Range* range = Find(to_host_, guest);
  if (range == nullptr) return guest;
  if (range->effect == Range::Effect::kForbid) return Errno(EPERM);
  return range->Translate(guest);
}

}  // namespace fsd::passthrough
