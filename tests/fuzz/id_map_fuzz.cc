// Translations of ids as an operator may write them, one a line, against a model that looks at each
// in turn.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "backends/passthrough/id_map.h"
#include "cli/id_mapping_syntax.h"
#include "server/errors/check.h"

namespace {

using fsd::passthrough::IdMap;
using fsd::passthrough::IdTranslation;
using Kind = IdTranslation::Kind;

constexpr uint64_t kLastId = 4294967294;
constexpr size_t kMaxTranslations = 64;

std::optional<Kind> KindOf(fsd::v1::IdTranslation::Kind kind) {
  switch (kind) {
    case fsd::v1::IdTranslation::MAP:
      return Kind::kMap;
    case fsd::v1::IdTranslation::SQUASH_GUEST:
      return Kind::kSquashGuest;
    case fsd::v1::IdTranslation::SQUASH_HOST:
      return Kind::kSquashHost;
    case fsd::v1::IdTranslation::FORBID_GUEST:
      return Kind::kForbidGuest;
    case fsd::v1::IdTranslation::GUEST:
      return Kind::kGuest;
    case fsd::v1::IdTranslation::HOST:
      return Kind::kHost;
    default:
      return std::nullopt;
  }
}

bool FromGuest(const IdTranslation& t) {
  return t.kind != Kind::kHost && t.kind != Kind::kSquashHost;
}
bool FromHost(const IdTranslation& t) {
  return t.kind == Kind::kMap || t.kind == Kind::kHost || t.kind == Kind::kSquashHost;
}

// The first id of a line that is read back from what is printed.
std::optional<IdTranslation> ReadLine(std::string_view line) {
  if (const auto range = fsd::cli::ParseIdRange(line)) {
    const auto again = fsd::cli::ParseIdRange(fsd::cli::IdRangeText(*range));
    FSD_CHECK(again.has_value());
    FSD_CHECK(again->SerializeAsString() == range->SerializeAsString());
  }
  const auto read = fsd::cli::ParseIdTranslation(line);
  if (!read) return std::nullopt;
  const auto again = fsd::cli::ParseIdTranslation(fsd::cli::IdTranslationText(*read));
  FSD_CHECK(again.has_value());
  FSD_CHECK(again->SerializeAsString() == read->SerializeAsString());
  const std::optional<Kind> kind = KindOf(read->kind());
  FSD_CHECK(kind.has_value());
  return IdTranslation{.kind = *kind,
                       .guest_first = read->guest_first(),
                       .host_first = read->host_first(),
                       .count = read->count()};
}

uint64_t SourceOf(const IdTranslation& t, bool from_guest) {
  return from_guest ? t.guest_first : t.host_first;
}

bool Covers(const IdTranslation& t, bool from_guest, uint32_t id) {
  const uint64_t first = SourceOf(t, from_guest);
  return id >= first && id - first < t.count;
}

// What the map shall make of an id; nothing if it is forbidden.
std::optional<uint32_t> Model(const std::vector<IdTranslation>& all, bool from_guest, uint32_t id) {
  for (const IdTranslation& t : all) {
    if (!(from_guest ? FromGuest(t) : FromHost(t)) || !Covers(t, from_guest, id)) continue;
    if (t.kind == Kind::kForbidGuest) return std::nullopt;
    const uint32_t target = from_guest ? t.host_first : t.guest_first;
    const bool squash = t.kind == Kind::kSquashGuest || t.kind == Kind::kSquashHost;
    return squash ? target : target + static_cast<uint32_t>(id - SourceOf(t, from_guest));
  }
  return id;
}

void Check(const IdMap& map, const std::vector<IdTranslation>& all, uint32_t id) {
  const fsd::ErrnoOr<uint32_t> host = map.ToHost(id);
  const std::optional<uint32_t> wanted = Model(all, true, id);
  FSD_CHECK(host.ok() == wanted.has_value());
  if (host.ok()) FSD_CHECK(*host == *wanted);
  FSD_CHECK(map.ToGuest(id) == Model(all, false, id));
  // No translation makes the id that is none out of one that is.
  if (id <= kLastId && host.ok()) FSD_CHECK(*host <= kLastId);
  if (id <= kLastId) FSD_CHECK(map.ToGuest(id) <= kLastId);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  std::vector<IdTranslation> all;
  while (!text.empty() && all.size() < kMaxTranslations) {
    const size_t end = std::min(text.find('\n'), text.size());
    if (const auto translation = ReadLine(text.substr(0, end))) all.push_back(*translation);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  const absl::StatusOr<IdMap> map = IdMap::Create(all);
  if (!map.ok()) return 0;
  for (const uint32_t id : {0u, 1u, 65534u, 4294967294u, 4294967295u}) Check(*map, all, id);
  for (const IdTranslation& t : all) {
    FSD_CHECK(t.count > 0);
    for (const uint32_t first : std::array{t.guest_first, t.host_first}) {
      const auto last = static_cast<uint32_t>(first + (t.count - 1));
      for (const uint32_t id : std::array{first - 1, first, first + 1, last, last + 1}) {
        Check(*map, all, id);
      }
    }
  }
  return 0;
}
