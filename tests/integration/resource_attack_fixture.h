// ResourceAttackTest: an export whose guest uses up what it can, and a neighbour's whose guest does
// its work, under one supervisor.
//
// When a test ends, the neighbour has gone on without an error, both workers are the ones they
// were, and the attacked one, its guest gone, holds no more than before: see TearDown().
#ifndef FSD_TESTS_INTEGRATION_RESOURCE_ATTACK_FIXTURE_H_
#define FSD_TESTS_INTEGRATION_RESOURCE_ATTACK_FIXTURE_H_

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gtest/gtest.h"
#include "tests/harness/front_end.h"
#include "tests/harness/fuse_client.h"
#include "tests/harness/process_usage.h"
#include "tests/harness/running_supervisor.h"
#include "tests/harness/steady_guest.h"

namespace fsd {

class ResourceAttackTest : public ::testing::Test {
 protected:
  // Every process's, so each worker's.
  static constexpr size_t kOpenFiles = 6000;
  static constexpr char kAttacker[] = "attacker";
  static constexpr char kNeighbour[] = "neighbour";

  void SetUp() override;
  void TearDown() override;

  // The attacker's guest comes, and mounts; any that was there is gone.
  void Connect(const harness::FrontEnd::Options& options = {});
  // It goes, and its worker waits for the next.
  void Disconnect();

  harness::FuseClient& fuse() { return *fuse_; }
  harness::FrontEnd& front_end() { return *front_end_; }
  std::string host_path(std::string_view name) const {
    return supervisor_->share(kAttacker) + "/" + std::string(name);
  }
  pid_t worker_pid() const { return worker_pid_; }

  // The reply; one with EIO, and a failure, if the worker breaks the protocol or is gone.
  harness::FuseReply Answer(absl::StatusOr<harness::FuseReply> reply);
  template <typename T>
  harness::FuseReply Call(uint32_t opcode, uint64_t node, const T& body,
                          std::initializer_list<std::string_view> names = {}, size_t room = 4096) {
    return Answer(fuse_->Call(opcode, node,
                              harness::Arguments(std::as_bytes(std::span(&body, 1)), names), room));
  }
  harness::FuseReply Call(uint32_t opcode, uint64_t node,
                          std::initializer_list<std::string_view> names, size_t room = 4096) {
    return Answer(fuse_->Call(opcode, node, harness::Arguments({}, names), room));
  }
  struct File {
    uint64_t node = 0;
    uint64_t handle = 0;
  };
  // In the root; a failure if it cannot be made.
  File Create(std::string_view name);

 private:
  // Waits until what the attacked worker holds is back where it was.
  harness::ProcessUsage AwaitGivenBack();

  std::unique_ptr<harness::RunningSupervisor> supervisor_;
  std::unique_ptr<harness::SteadyGuest> neighbour_;
  std::unique_ptr<harness::FrontEnd> front_end_;
  std::unique_ptr<harness::FuseClient> fuse_;
  std::string socket_;
  pid_t worker_pid_ = 0;
  harness::ProcessUsage before_;
};

}  // namespace fsd

#endif  // FSD_TESTS_INTEGRATION_RESOURCE_ATTACK_FIXTURE_H_
