#include "cli/watch_view.h"

#include "google/protobuf/util/message_differencer.h"

namespace fsd::cli {
namespace {

using Response = v1::WatchExportsResponse;

Response Event(Response::Kind kind, const v1::Export& resource) {
  Response event;
  event.set_kind(kind);
  *event.mutable_export_() = resource;
  return event;
}

// What only counts is no change; see WatchExports.
v1::Export WithoutCounters(v1::Export resource) {
  resource.mutable_status()->clear_open_files();
  resource.mutable_status()->clear_inodes();
  return resource;
}

bool IsUnchanged(const v1::Export& before, const v1::Export& now) {
  return google::protobuf::util::MessageDifferencer::Equals(WithoutCounters(before),
                                                            WithoutCounters(now));
}

}  // namespace

void WatchView::BeginSnapshot() {
  in_snapshot_ = true;
  missing_.clear();
  for (const auto& [name, resource] : known_) missing_.insert(name);
}

std::vector<Response> WatchView::TakeOfSnapshot(const Response& response) {
  std::vector<Response> events;
  if (response.kind() == Response::BOOKMARK) {
    for (const std::string& name : missing_) {
      events.push_back(Event(Response::REMOVED, known_[name]));
      known_.erase(name);
    }
    missing_.clear();
    in_snapshot_ = false;
    events.push_back(response);
    return events;
  }
  const v1::Export& resource = response.export_();
  missing_.erase(resource.name());
  const auto before = known_.find(resource.name());
  if (before == known_.end()) {
    events.push_back(response);
  } else if (before->second.uid() != resource.uid()) {
    events.push_back(Event(Response::REMOVED, before->second));
    events.push_back(response);
  } else if (!IsUnchanged(before->second, resource)) {
    events.push_back(Event(Response::MODIFIED, resource));
  }
  known_[resource.name()] = resource;
  return events;
}

std::vector<Response> WatchView::Take(const Response& response) {
  if (in_snapshot_) return TakeOfSnapshot(response);
  if (response.kind() == Response::REMOVED) {
    known_.erase(response.export_().name());
  } else if (response.has_export_()) {
    known_[response.export_().name()] = response.export_();
  }
  return {response};
}

}  // namespace fsd::cli
