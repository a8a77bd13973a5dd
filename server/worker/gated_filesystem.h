// GatedFilesystem: a backend whose operations finish when a test says so.
//
// GETATTR of kRootNodeId is answered at once, of kPendingNode later (CompletePending), of
// kWaitingNode when waits are to end, of any other node with ENOENT. What a gate guards waits, on
// its thread, until the test opens it. FORGET closes the descriptor that the test has given.
#ifndef FSD_SERVER_WORKER_GATED_FILESYSTEM_H_
#define FSD_SERVER_WORKER_GATED_FILESYSTEM_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "backends/filesystem.h"
#include "server/os/mutex.h"

namespace fsd::worker {

class Gate {
 public:
  void Close();
  void Open();
  // Waits until the gate is open.
  void Pass();
  // Waits until so many are waiting. False after a minute.
  [[nodiscard]] bool AwaitWaiting(size_t count);
  // How many are waiting.
  size_t waiting();

 private:
  os::Mutex mutex_;
  os::CondVar changed_;
  bool open_ ABSL_GUARDED_BY(mutex_) = true;
  size_t waiting_ ABSL_GUARDED_BY(mutex_) = 0;
};

class GatedFilesystem final : public backends::Filesystem {
 public:
  static constexpr backends::NodeId kPendingNode{100};
  static constexpr backends::NodeId kBlockingNode{101};
  static constexpr backends::NodeId kWaitingNode{102};
  static constexpr backends::NodeId kOtherBlockingNode{103};

  void Reset() override;
  void EndWaits() override;
  void Forget(backends::NodeId, uint64_t) override;
  backends::FilesystemUsage Usage() const override {
    return {.inodes_refused = refused_, .inodes_spent = spent_};
  }
  void WhenInodesAreRefused(std::function<void()> tell) override { refusal_ = std::move(tell); }
  backends::Outcome<backends::Attributes> GetAttributes(
      backends::Call<backends::Attributes> call, backends::NodeId node,
      std::optional<backends::FileHandle>) override;
  backends::Outcome<void> Fsync(backends::Call<void> call, backends::NodeId, backends::FileHandle,
                                bool data_only) override;

  // Waits until the request with this number is pending, then completes it. False after a minute.
  [[nodiscard]] bool CompletePending(uint64_t unique);
  [[nodiscard]] bool AwaitPending(uint64_t unique);
  // Waits until a request of kWaitingNode is pending. False after a minute.
  [[nodiscard]] bool AwaitWaiting();

  // As if a request had failed for want of inode references.
  void RefuseInode() {
    ++refused_;
    if (!spent_.exchange(true)) refusal_();
  }

  void ForgetInodes() { spent_ = false; }

  Gate blocking_gate;  // of kBlockingNode
  Gate other_gate;     // of kOtherBlockingNode
  Gate fsync_gate;
  Gate reset_gate;
  std::atomic<int> to_close = -1;  // by the next FORGET
  std::atomic<size_t> resets = 0;

 private:
  std::atomic<uint64_t> refused_ = 0;
  std::atomic<bool> spent_ = false;
  std::function<void()> refusal_;
  os::Mutex mutex_;
  os::CondVar deferred_;
  std::map<uint64_t, backends::Completion<backends::Attributes>> pending_ ABSL_GUARDED_BY(mutex_);
  std::vector<backends::Completion<backends::Attributes>> waiting_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace fsd::worker

#endif  // FSD_SERVER_WORKER_GATED_FILESYSTEM_H_
