// Progress: a line on a terminal that counts while something is waited for.
#ifndef FSD_CLI_PROGRESS_H_
#define FSD_CLI_PROGRESS_H_

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

namespace fsd::cli {

// "waiting for … 12s of 30s"; without the limit if there is none.
std::string ProgressText(const std::string& what, std::chrono::seconds passed,
                         const std::optional<std::chrono::nanoseconds>& limit);

// Shows the text on stderr, if that is a terminal, each second anew, from its making until its end,
// which takes the line away again.
class Progress {
 public:
  Progress(std::string what, std::optional<std::chrono::nanoseconds> limit);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // What is waited for from now on.
  void Set(std::string what);

 private:
  void Show();

  const std::optional<std::chrono::nanoseconds> limit_;
  const std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string what_;
  bool ended_ = false;
  std::thread thread_;  // none if there is no terminal
};

}  // namespace fsd::cli

#endif  // FSD_CLI_PROGRESS_H_
