#include "server/fuse/recording_text.h"

#include "absl/strings/str_format.h"

namespace fsd::fuse {
namespace {

std::string TimeText(const char* name,
                     const std::optional<backends::AttributeChanges::Time>& time) {
  if (!time.has_value()) return "";
  if (time->now) return absl::StrFormat(" %s=now", name);
  return absl::StrFormat(" %s=%d.%09d", name, time->time.tv_sec, time->time.tv_nsec);
}

}  // namespace

std::string HandleText(std::optional<backends::FileHandle> file) {
  return file.has_value() ? absl::StrFormat("fh=%u", Number(*file)) : "fh=none";
}

std::string ChangesText(const backends::AttributeChanges& changes) {
  std::string text;
  if (changes.mode.has_value()) text += absl::StrFormat(" mode=%o", *changes.mode);
  if (changes.uid.has_value()) text += absl::StrFormat(" uid=%u", *changes.uid);
  if (changes.gid.has_value()) text += absl::StrFormat(" gid=%u", *changes.gid);
  if (changes.size.has_value()) text += absl::StrFormat(" size=%u", *changes.size);
  text += TimeText("atime", changes.access_time);
  text += TimeText("mtime", changes.modification_time);
  if (changes.kill_suidgid) text += " kill_suidgid";
  return text.empty() ? " nothing" : text;
}

std::string AlongText(const backends::Creation& creation) {
  std::string text;
  if (creation.supplementary_group.has_value()) {
    text += absl::StrFormat(", group=%u", *creation.supplementary_group);
  }
  if (!creation.security_name.empty()) {
    text += absl::StrFormat(
        ", %s=%s", std::string(creation.security_name),
        std::string(creation.security_value.begin(), creation.security_value.end()));
  }
  return text;
}

std::string OptionsText(const backends::OpenOptions& options) {
  return absl::StrFormat("flags=%o, kill=%d%s", options.flags, options.kill_suidgid,
                         options.keep_open ? "" : ", not kept open");
}

std::string LockText(const backends::FileLock& lock) {
  return absl::StrFormat("%u-%u, type=%u, pid=%u", lock.first, lock.last, lock.type, lock.pid);
}

}  // namespace fsd::fuse
