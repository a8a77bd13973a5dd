// An export's limits as its specification has them.
#ifndef FSD_SERVER_WORKER_REQUEST_RATES_H_
#define FSD_SERVER_WORKER_REQUEST_RATES_H_

#include "proto/fsd/internal/export_spec.pb.h"
#include "server/worker/request_limits.h"

namespace fsd::worker {

RequestLimits::Rates RequestRatesOf(const internal::ExportSpec::Qos& qos);

}  // namespace fsd::worker

#endif  // FSD_SERVER_WORKER_REQUEST_RATES_H_
