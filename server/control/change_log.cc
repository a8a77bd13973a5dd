#include "server/control/change_log.h"

#include <sys/random.h>

#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "server/control/export_name.h"
#include "server/control/export_translation.h"
#include "server/errors/check.h"
#include "server/errors/status_macros.h"

namespace fsd::control {
namespace {

constexpr std::string_view kTokenVersion = "1";

std::string NewLogId() {
  uint64_t id;
  FSD_CHECK(::getrandom(&id, sizeof id, 0) == sizeof id);
  return absl::StrFormat("%016x", id);
}

// What counts only is no change.
v1::Export WithoutCounters(v1::Export resource) {
  v1::ExportStatus& status = *resource.mutable_status();
  status.clear_open_files();
  status.clear_inodes();
  status.clear_connections_accepted();
  status.clear_connections_refused();
  return resource;
}

bool IsSame(const v1::Export& a, const v1::Export& b) {
  // Labels are a map, whose bytes have no order of their own; a difference there changes the etag.
  v1::Export left = WithoutCounters(a);
  v1::Export right = WithoutCounters(b);
  left.clear_labels();
  right.clear_labels();
  return left.SerializeAsString() == right.SerializeAsString();
}

}  // namespace

ChangeLog::ChangeLog(const Limits& limits) : limits_(limits), log_id_(NewLogId()) {}

void ChangeLog::Add(const supervisor::ExportView& view) {
  SharedExport& slot = exports_[ExportName(view.record.spec().id())];
  ExportChange change{.before = slot, .after = nullptr, .bytes = 0};
  if (!view.gone) change.after = std::make_shared<const v1::Export>(ToExport(view));
  if (change.before != nullptr && change.after != nullptr &&
      IsSame(*change.before, *change.after)) {
    return;
  }
  slot = change.after;
  if (view.gone) exports_.erase(ExportName(view.record.spec().id()));
  if (change.before == nullptr && change.after == nullptr) return;
  // An earlier state is counted with the change that brought it, or was in the snapshot.
  change.bytes = sizeof change + (change.after == nullptr ? 0 : change.after->ByteSizeLong());
  bytes_ += change.bytes;
  changes_.push_back(std::move(change));
  while (changes_.size() > limits_.changes || (bytes_ > limits_.bytes && changes_.size() > 1)) {
    bytes_ -= changes_.front().bytes;
    changes_.pop_front();
    ++forgotten_;
  }
}

std::vector<SharedExport> ChangeLog::Snapshot() const {
  std::vector<SharedExport> snapshot;
  for (const auto& [name, resource] : exports_) snapshot.push_back(resource);
  return snapshot;
}

const ExportChange* ChangeLog::Find(uint64_t number) const {
  FSD_CHECK(number >= 1 && number <= last());
  return number <= forgotten_ ? nullptr : &changes_[number - forgotten_ - 1];
}

std::string ChangeLog::TokenAfter(uint64_t number) const {
  return absl::WebSafeBase64Escape(absl::StrCat(Absl(kTokenVersion), ":", log_id_, ":", number));
}

absl::StatusOr<uint64_t> ChangeLog::ReadToken(std::string_view token) const {
  std::string text;
  uint64_t number = 0;
  std::vector<std::string> parts;
  if (absl::WebSafeBase64Unescape(Absl(token), &text)) parts = absl::StrSplit(text, ':');
  if (parts.size() != 3 || parts[0] != kTokenVersion || !absl::SimpleAtoi(parts[2], &number)) {
    return absl::InvalidArgumentError(
        "not a resume token of this API; take the one of the last response");
  }
  if (parts[1] != log_id_) {
    return absl::OutOfRangeError(
        "the token is of another run of the server; watch again without one");
  }
  if (number < forgotten_ || number > last()) {
    return absl::OutOfRangeError(
        "more has changed since than the server remembers; watch again without a token");
  }
  return number;
}

}  // namespace fsd::control
