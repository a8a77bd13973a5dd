#include "cli/progress.h"

#include <unistd.h>

#include <iostream>
#include <utility>

#include "cli/output.h"

namespace fsd::cli {
namespace {

constexpr char kClearLine[] = "\r\x1b[K";

}  // namespace

std::string ProgressText(const std::string& what, std::chrono::seconds passed,
                         const std::optional<std::chrono::nanoseconds>& limit) {
  std::string text = what + " ... " + AgeText(passed);
  if (limit.has_value()) {
    text += " of " + AgeText(std::chrono::duration_cast<std::chrono::seconds>(*limit));
  }
  return text;
}

Progress::Progress(std::string what, std::optional<std::chrono::nanoseconds> limit)
    : limit_(limit), what_(std::move(what)) {
  if (isatty(STDERR_FILENO) == 1) thread_ = std::thread([this] { Show(); });
}

Progress::~Progress() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    ended_ = true;
  }
  changed_.notify_all();
  thread_.join();
  std::cerr << kClearLine << std::flush;
}

void Progress::Set(std::string what) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    what_ = std::move(what);
  }
  changed_.notify_all();
}

void Progress::Show() {
  std::unique_lock<std::mutex> lock(mutex_);
  while (!ended_) {
    const auto passed =
        std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - begin_);
    std::cerr << kClearLine << ProgressText(what_, passed, limit_) << std::flush;
    changed_.wait_until(lock, begin_ + passed + std::chrono::seconds(1));
  }
}

}  // namespace fsd::cli
