#include "server/control/id_mapping_validation.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace fsd::control {
namespace {

using Translations = google::protobuf::RepeatedPtrField<v1::IdTranslation>;
using Ranges = google::protobuf::RepeatedPtrField<v1::IdNamespaceRange>;

constexpr uint64_t kNoId = 0xffffffff;  // (uid_t)-1: "leave it as it is"
constexpr int kMaxRanges = 340;         // user_namespaces(7), lines of a uid_map

// The ids of one side of a range.
struct Side {
  int index = 0;  // of the range, in its list
  uint64_t first = 0;
  uint64_t count = 0;

  uint64_t last() const { return first + count - 1; }
  bool IsValid() const { return count > 0 && count <= kNoId && first + count <= kNoId; }
};

// Checks one list of ranges. Its sides are compared once all are there.
class RangeList {
 public:
  RangeList(std::string field, FieldChecks& checks) : field_(std::move(field)), checks_(checks) {}

  std::string At(int index) const { return absl::StrCat(field_, "[", index, "]"); }

  bool HasRoom(int size) {
    if (size <= kMaxRanges) return true;
    checks_.Invalid(field_, absl::StrCat("at most ", kMaxRanges, " ranges, not ", size));
    return false;
  }

  bool HasIds(int index, uint64_t count) {
    if (count > 0) return true;
    checks_.Invalid(At(index) + ".count", "a range has at least 1 id");
    return false;
  }

  // `member` names the side's field. `seen`: the sides that this one must not overlap; null if it
  // may.
  void Add(const char* member, const Side& side, std::vector<Side>* seen) {
    if (!side.IsValid()) {
      checks_.Invalid(absl::StrCat(At(side.index), ".", member),
                      absl::StrCat(side.count, side.count == 1 ? " id" : " ids", " from ",
                                   side.first, " on would pass 4294967294, the last id there is"));
    } else if (seen != nullptr) {
      seen->push_back(side);
    }
  }

  void CompareAll(const char* member, std::vector<Side> sides) {
    std::sort(sides.begin(), sides.end(), [](const Side& a, const Side& b) {
      return std::tie(a.first, a.index) < std::tie(b.first, b.index);
    });
    size_t furthest = 0;  // of those before i, the one that reaches furthest
    for (size_t i = 1; i < sides.size(); ++i) {
      if (sides[i].first <= sides[furthest].last()) {
        checks_.Invalid(absl::StrCat(At(sides[i].index), ".", member),
                        absl::StrCat("ids ", sides[i].first, " to ", sides[i].last(), " overlap ",
                                     sides[furthest].first, " to ", sides[furthest].last(), " of ",
                                     At(sides[furthest].index)));
      }
      if (sides[i].last() > sides[furthest].last()) furthest = i;
    }
  }

 private:
  const std::string field_;
  FieldChecks& checks_;
};

void CheckTranslations(std::string field, const Translations& translations, FieldChecks& checks) {
  RangeList list(std::move(field), checks);
  if (!list.HasRoom(translations.size())) return;
  std::vector<Side> guest;
  std::vector<Side> host;
  for (int i = 0; i < translations.size(); ++i) {
    const v1::IdTranslation& translation = translations[i];
    const Side from_guest = {i, translation.guest_first(), translation.count()};
    const Side from_host = {i, translation.host_first(), translation.count()};
    if (!list.HasIds(i, translation.count())) continue;
    switch (translation.kind()) {
      case v1::IdTranslation::KIND_UNSPECIFIED:
        checks.Required(list.At(i) + ".kind",
                        "the translation's kind is missing: MAP, GUEST, HOST, SQUASH_GUEST, "
                        "SQUASH_HOST or FORBID_GUEST");
        break;
      case v1::IdTranslation::MAP:
        list.Add("guest_first", from_guest, &guest);
        list.Add("host_first", from_host, &host);
        break;
      case v1::IdTranslation::GUEST:
        list.Add("guest_first", from_guest, &guest);
        list.Add("host_first", from_host, nullptr);
        break;
      case v1::IdTranslation::HOST:
        list.Add("guest_first", from_guest, nullptr);
        list.Add("host_first", from_host, &host);
        break;
      case v1::IdTranslation::SQUASH_GUEST:
        list.Add("guest_first", from_guest, &guest);
        list.Add("host_first", {i, translation.host_first(), 1}, nullptr);
        break;
      case v1::IdTranslation::SQUASH_HOST:
        list.Add("guest_first", {i, translation.guest_first(), 1}, nullptr);
        list.Add("host_first", from_host, &host);
        break;
      case v1::IdTranslation::FORBID_GUEST:
        list.Add("guest_first", from_guest, &guest);
        if (translation.host_first() != 0) {
          checks.Invalid(list.At(i) + ".host_first",
                         "a FORBID_GUEST translation has no host's ids; leave it unset");
        }
        break;
      default:  // refused as not served
        break;
    }
  }
  list.CompareAll("guest_first", std::move(guest));
  list.CompareAll("host_first", std::move(host));
}

void CheckRanges(std::string field, const Ranges& ranges, FieldChecks& checks) {
  RangeList list(std::move(field), checks);
  if (!list.HasRoom(ranges.size())) return;
  std::vector<Side> inside;
  std::vector<Side> outside;
  for (int i = 0; i < ranges.size(); ++i) {
    if (!list.HasIds(i, ranges[i].count())) continue;
    list.Add("inside_first", {i, ranges[i].inside_first(), ranges[i].count()}, &inside);
    list.Add("outside_first", {i, ranges[i].outside_first(), ranges[i].count()}, &outside);
  }
  list.CompareAll("inside_first", std::move(inside));
  list.CompareAll("outside_first", std::move(outside));
}

void CheckBothOrNeither(const char* uids, bool has_uids, const char* gids, bool has_gids,
                        const char* what, FieldChecks& checks) {
  if (has_uids == has_gids) return;
  checks.Required(absl::StrCat("export.ids.", has_uids ? gids : uids),
                  absl::StrCat(what, " maps users and groups; set both ", uids, " and ", gids));
}

// A worker is 0 in its namespace, before it does without its capabilities.
void CheckHasRoot(const char* field, const Ranges& ranges, FieldChecks& checks) {
  const bool has_root = std::any_of(ranges.begin(), ranges.end(), [](const auto& range) {
    return range.inside_first() == 0 && range.count() > 0;
  });
  if (ranges.empty() || has_root) return;
  checks.Invalid(absl::StrCat("export.ids.", field),
                 "one of the ranges must begin with 0 inside: the worker starts as that");
}

}  // namespace

void CheckIds(const v1::IdMapping& ids, FieldChecks& checks) {
  CheckTranslations("export.ids.uid_translations", ids.uid_translations(), checks);
  CheckTranslations("export.ids.gid_translations", ids.gid_translations(), checks);
  CheckRanges("export.ids.uid_namespace", ids.uid_namespace(), checks);
  CheckRanges("export.ids.gid_namespace", ids.gid_namespace(), checks);
  CheckHasRoot("uid_namespace", ids.uid_namespace(), checks);
  CheckHasRoot("gid_namespace", ids.gid_namespace(), checks);
  CheckRanges("export.ids.uid_mount", ids.uid_mount(), checks);
  CheckRanges("export.ids.gid_mount", ids.gid_mount(), checks);
  const bool maps_uids = !ids.uid_mount().empty();
  const bool maps_gids = !ids.gid_mount().empty();
  const bool has_namespace = !ids.uid_namespace().empty() || !ids.gid_namespace().empty();
  CheckBothOrNeither("uid_namespace", !ids.uid_namespace().empty(), "gid_namespace",
                     !ids.gid_namespace().empty(), "a user namespace", checks);
  CheckBothOrNeither("uid_mount", maps_uids, "gid_mount", maps_gids, "an idmapped mount", checks);
  if ((maps_uids || maps_gids) && has_namespace) {
    checks.Invalid(maps_uids ? "export.ids.uid_mount" : "export.ids.gid_mount",
                   "cannot be made from within a user namespace; use either uid_namespace and "
                   "gid_namespace or this");
  }
  const bool translates = !ids.uid_translations().empty() || !ids.gid_translations().empty();
  if ((maps_uids || maps_gids) && translates) {
    checks.Invalid(maps_uids ? "export.ids.uid_mount" : "export.ids.gid_mount",
                   "not together with uid_translations or gid_translations; use one or the other");
  }
}

}  // namespace fsd::control
