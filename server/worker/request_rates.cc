#include "server/worker/request_rates.h"

namespace fsd::worker {
namespace {

RequestLimits::Rate RateOf(const internal::ExportSpec::Rate& rate) {
  return {.operations_per_second = rate.operations_per_second(),
          .bytes_per_second = rate.bytes_per_second(),
          .burst_operations = rate.burst_operations(),
          .burst_bytes = rate.burst_bytes()};
}

}  // namespace

RequestLimits::Rates RequestRatesOf(const internal::ExportSpec::Qos& qos) {
  return {.read = RateOf(qos.read()), .write = RateOf(qos.write()), .total = RateOf(qos.total())};
}

}  // namespace fsd::worker
