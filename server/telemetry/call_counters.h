// CallCounters: the control API's calls, by method and how they ended. Any thread.
#ifndef FSD_SERVER_TELEMETRY_CALL_COUNTERS_H_
#define FSD_SERVER_TELEMETRY_CALL_COUNTERS_H_

#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "server/os/mutex.h"

namespace fsd::telemetry {

class CallCounters {
 public:
  // Method, as "fsd.v1.ExportService/GetExport", and canonical code, as "NOT_FOUND".
  using Key = std::pair<std::string, std::string>;

  // There must be a bound to the methods and codes that are given.
  void Count(std::string method, std::string code) {
    const os::MutexLock lock(mutex_);
    ++calls_[{std::move(method), std::move(code)}];
  }
  std::map<Key, uint64_t> Snapshot() const {
    const os::MutexLock lock(mutex_);
    return calls_;
  }

 private:
  mutable os::Mutex mutex_;
  std::map<Key, uint64_t> calls_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace fsd::telemetry

#endif  // FSD_SERVER_TELEMETRY_CALL_COUNTERS_H_
