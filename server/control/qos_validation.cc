#include "server/control/qos_validation.h"

#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"

namespace fsd::control {
namespace {

constexpr uint64_t kMaxOperations = 1'000'000'000;
// Less than a page a second, and one READ of the greatest size stops a guest for longer than its
// kernel looks on without a word.
constexpr uint64_t kMinBytes = 4096;
constexpr uint64_t kMaxBytes = uint64_t{1} << 50;

struct Bounds {
  const char* unit;  // as the fields' names have it
  uint64_t least;
  uint64_t most;
};

void CheckPair(const std::string& rate_field, uint64_t rate, const std::string& burst_field,
               uint64_t burst, const Bounds& bounds, FieldChecks& checks) {
  if (rate != 0 && (rate < bounds.least || rate > bounds.most)) {
    checks.Invalid(rate_field, absl::StrCat(rate, " is not 0, for no limit, or from ", bounds.least,
                                            " to ", bounds.most));
  }
  if (burst > bounds.most) {
    checks.Invalid(burst_field, absl::StrCat(burst, " is more than ", bounds.most));
  }
  if (burst != 0 && rate == 0) {
    checks.Invalid(burst_field, absl::StrCat("a burst needs a limit that it may exceed; set ",
                                             bounds.unit, "_per_second beside it, or neither"));
  }
}

void CheckRate(const std::string& field, const v1::Rate& rate, FieldChecks& checks) {
  CheckPair(field + ".operations_per_second", rate.operations_per_second(),
            field + ".burst_operations", rate.burst_operations(),
            {.unit = "operations", .least = 1, .most = kMaxOperations}, checks);
  CheckPair(field + ".bytes_per_second", rate.bytes_per_second(), field + ".burst_bytes",
            rate.burst_bytes(), {.unit = "bytes", .least = kMinBytes, .most = kMaxBytes}, checks);
}

}  // namespace

void CheckQos(const v1::Qos& qos, FieldChecks& checks) {
  CheckRate("export.qos.read", qos.read(), checks);
  CheckRate("export.qos.write", qos.write(), checks);
  CheckRate("export.qos.total", qos.total(), checks);
}

}  // namespace fsd::control
