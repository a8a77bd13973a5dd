#include <future>
#include <memory>
#include <set>
#include <system_error>
#include <thread>
#include <utility>

#include "server/host/host_facts.h"
#include "server/os/mutex.h"

namespace fsd::host {
namespace {

// Sources that a thread waits for. Shared with those threads, which may outlast everything.
class Hanging {
 public:
  // False if one does already.
  bool Add(const std::string& path) {
    const os::MutexLock lock(mutex_);
    return paths_.insert(path).second;
  }
  void Remove(const std::string& path) {
    const os::MutexLock lock(mutex_);
    paths_.erase(path);
  }

 private:
  os::Mutex mutex_;
  std::set<std::string> paths_ ABSL_GUARDED_BY(mutex_);
};

Hanging& HangingSources() {
  static auto& hanging = *new Hanging;
  return hanging;
}

}  // namespace

std::vector<SourceFacts> ReadSourcesFacts(
    const std::vector<std::string>& paths, std::chrono::milliseconds patience,
    const std::function<SourceFacts(const std::string&)>& read) {
  std::vector<SourceFacts> all;
  for (const std::string& path : paths) {
    all.push_back({.path = path, .answers = false});
    if (!HangingSources().Add(path)) continue;
    const auto answer = std::make_shared<std::promise<SourceFacts>>();
    std::future<SourceFacts> facts = answer->get_future();
    try {
      std::thread([path, read, answer] {
        SourceFacts found = read(path);
        HangingSources().Remove(path);
        answer->set_value(std::move(found));
      }).detach();
    } catch (const std::system_error&) {  // no thread to be had: then we wait ourselves
      all.back() = read(path);
      HangingSources().Remove(path);
      continue;
    }
    if (facts.wait_for(patience) == std::future_status::ready) all.back() = facts.get();
  }
  return all;
}

}  // namespace fsd::host
