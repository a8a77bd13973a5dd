// Source directories: what an export shows, opened within the configuration's bounds.
//
// Path resolution on a hung network file system blocks for as long as it hangs, so the supervisor
// opens a source on a thread of its own and serves other exports meanwhile.
#ifndef FSD_SERVER_SUPERVISOR_SOURCE_DIRECTORY_H_
#define FSD_SERVER_SUPERVISOR_SOURCE_DIRECTORY_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/os/unique_fd.h"
#include "server/supervisor/task_queue.h"

namespace fsd::supervisor {

// Opens normal `path`, which must be one of `allowed` or lie below one even after every symbolic
// link is followed, as O_PATH|O_DIRECTORY. May block. Fails with SOURCE_NOT_FOUND,
// SOURCE_NOT_A_DIRECTORY or SOURCE_NOT_ALLOWED.
absl::StatusOr<os::UniqueFd> OpenSourceDirectory(const std::vector<std::string>& allowed,
                                                 const std::string& path);

// The same on another thread; `done` runs as a task of `queue`, or never if the queue has closed.
// UNAVAILABLE when very many are under way already.
void OpenSourceDirectoryInBackground(const std::vector<std::string>& allowed,
                                     const std::string& path, std::shared_ptr<TaskQueue> queue,
                                     std::function<void(absl::StatusOr<os::UniqueFd>)> done);

}  // namespace fsd::supervisor

#endif  // FSD_SERVER_SUPERVISOR_SOURCE_DIRECTORY_H_
