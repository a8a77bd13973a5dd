// Processes of the host that attempts are aimed at.
//
// One thread.
#ifndef FSD_TESTS_SECURITY_HOST_PROCESS_H_
#define FSD_TESTS_SECURITY_HOST_PROCESS_H_

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>

namespace fsd::security {

// A process that waits with a secret in its memory: at `secret_address`, so long as it lives.
class Victim {
 public:
  static constexpr char kSecret[] = "the victim's secret";

  // Its working directory is `directory`.
  explicit Victim(const std::string& directory);
  ~Victim();
  Victim(const Victim&) = delete;
  Victim& operator=(const Victim&) = delete;

  pid_t pid() const { return pid_; }
  const void* secret_address() const { return secret_; }

 private:
  const void* secret_ = nullptr;
  pid_t pid_ = -1;
};

// A process that takes two steps in turn, as often as it can, until it is destroyed.
class Racer {
 public:
  Racer(std::function<void()> there, std::function<void()> back);
  ~Racer();
  Racer(const Racer&) = delete;
  Racer& operator=(const Racer&) = delete;

  // How often it has been there and back. Any process forked from this one may ask.
  uint64_t rounds() const { return rounds_->load(); }

 private:
  std::atomic<uint64_t>* rounds_ = nullptr;
  pid_t pid_ = -1;
};

}  // namespace fsd::security

#endif  // FSD_TESTS_SECURITY_HOST_PROCESS_H_
