#include "server/supervisor/source_directory.h"

#include <atomic>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/errors/status_macros.h"
#include "server/supervisor/error_reason.h"
#include "server/supervisor/paths.h"

namespace fsd::supervisor {
namespace {

// A host may bring back some hundred exports at once; each blocked one costs a thread.
constexpr int kMaxOpensUnderWay = 1000;
std::atomic<int> opens_under_way{0};

absl::Status SourceError(Errno error, const std::vector<std::string>& allowed,
                         const std::string& path) {
  const std::string source = absl::StrCat("source ", path);
  switch (error.value()) {
    case EPERM:
      return ReasonedError(
          absl::StatusCode::kPermissionDenied, ErrorReason::kSourceNotAllowed,
          absl::StrCat(source, ": not below an allowed directory (", absl::StrJoin(allowed, ", "),
                       "); choose one that is, or add its directory to allow_source"));
    case EXDEV:
    case ELOOP:
      return ReasonedError(
          absl::StatusCode::kPermissionDenied, ErrorReason::kSourceNotAllowed,
          absl::StrCat(source, ": a symbolic link leads out of the allowed directories (",
                       absl::StrJoin(allowed, ", "),
                       "); name the directory that it leads to, and "
                       "allow that by allow_source"));
    case ENOENT:
      return ReasonedError(absl::StatusCode::kNotFound, ErrorReason::kSourceNotFound,
                           absl::StrCat(source,
                                        ": no such directory on this host; make it, or "
                                        "mount what holds it"));
    case ENOTDIR:
      return ReasonedError(absl::StatusCode::kFailedPrecondition, ErrorReason::kSourceNotADirectory,
                           absl::StrCat(source,
                                        ": not a directory; only directories can be "
                                        "exported"));
    default:
      return ReasonedError(
          absl::StatusCode::kFailedPrecondition, ErrorReason::kSourceNotFound,
          std::string(ErrnoStatus(error, absl::StrCat("open ", source)).message()));
  }
}

}  // namespace

absl::StatusOr<os::UniqueFd> OpenSourceDirectory(const std::vector<std::string>& allowed,
                                                 const std::string& path) {
  auto opened = OpenAllowedDirectory(allowed, path);
  if (!opened.ok()) return SourceError(opened.error(), allowed, path);
  return *std::move(opened);
}

void OpenSourceDirectoryInBackground(const std::vector<std::string>& allowed,
                                     const std::string& path, std::shared_ptr<TaskQueue> queue,
                                     std::function<void(absl::StatusOr<os::UniqueFd>)> done) {
  const auto answer = [queue, done](absl::StatusOr<os::UniqueFd> result) {
    // Tasks are copyable, descriptors are not.
    auto shared = std::make_shared<absl::StatusOr<os::UniqueFd>>(std::move(result));
    queue->Post([done, shared] { done(std::move(*shared)); });
  };
  const auto too_many = [&] {
    opens_under_way.fetch_sub(1);
    answer(ReasonedError(absl::StatusCode::kUnavailable, ErrorReason::kSourceNotFound,
                         absl::StrCat("source ", path,
                                      ": too many sources are being opened, on "
                                      "file systems that do not answer; try again later")));
  };
  if (opens_under_way.fetch_add(1) >= kMaxOpensUnderWay) return too_many();
  try {
    std::thread([allowed, path, answer] {
      answer(OpenSourceDirectory(allowed, path));
      opens_under_way.fetch_sub(1);
    }).detach();
  } catch (const std::system_error&) {  // no thread to be had
    too_many();
  }
}

}  // namespace fsd::supervisor
