// IdMap: user or group ids between a guest and its host, translated by the server itself.
//
// Ranges of ids each have one translation (fsd.v1.IdTranslation has the six kinds); an id of no
// range is the same on both sides. An empty map is the identity and costs nothing.
//
// Immutable; any thread.
#ifndef FSD_BACKENDS_PASSTHROUGH_ID_MAP_H_
#define FSD_BACKENDS_PASSTHROUGH_ID_MAP_H_

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "server/errors/errno_or.h"

namespace fsd::passthrough {

struct IdTranslation {
  enum class Kind {
    kMap,          // guest_first + i and host_first + i, both ways
    kSquashGuest,  // guest_first + i becomes host_first
    kSquashHost,   // host_first + i becomes guest_first
    kForbidGuest,  // guest_first + i may not be used
    kGuest,        // as kMap, from guest to host only
    kHost,         // as kMap, from host to guest only
  };
  Kind kind = Kind::kMap;
  uint32_t guest_first = 0;
  uint32_t host_first = 0;
  uint64_t count = 0;
};

class IdMap {
 public:
  // The identity.
  IdMap() = default;
  // INVALID_ARGUMENT: an empty range, one beyond 4294967294 (which is the last id there is), or two
  // of one direction that overlap.
  static absl::StatusOr<IdMap> Create(std::span<const IdTranslation> translations);

  bool identity() const { return to_host_.empty() && to_guest_.empty(); }
  // EPERM if the guest may not use this id.
  ErrnoOr<uint32_t> ToHost(uint32_t guest) const;
  uint32_t ToGuest(uint32_t host) const {
    const Range* const range = Find(to_guest_, host);
    return range == nullptr ? host : range->Translate(host);
  }

 private:
  struct Range {
    enum class Effect { kShift, kSquash, kForbid };

    uint32_t first;
    uint32_t last;
    uint32_t target;
    Effect effect;

    // Of an id in it; not if it is forbidden.
    uint32_t Translate(uint32_t id) const {
      return effect == Effect::kSquash ? target : target + (id - first);
    }
  };
  using Table = std::vector<Range>;  // by `first`, without overlaps

  static absl::Status Add(Table& table, uint32_t from, uint64_t count, uint32_t target,
                          Range::Effect effect);
  static const Range* Find(const Table& table, uint32_t id) {
    return table.empty() ? nullptr : FindAmong(table, id);
  }
  static const Range* FindAmong(const Table& table, uint32_t id);

  Table to_host_;
  Table to_guest_;
};

}  // namespace fsd::passthrough

#endif  // FSD_BACKENDS_PASSTHROUGH_ID_MAP_H_
