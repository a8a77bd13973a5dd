#include "server/worker/supervisor_links.h"

#include <chrono>
#include <memory>
#include <optional>
#include <utility>

#include "gtest/gtest.h"
#include "server/os/unix_socket.h"

namespace fsd::worker {
namespace {

using internal::FromWorker;
using internal::ToWorker;
using internal::WorkerStatus;

class SupervisorLinksTest : public ::testing::Test {
 protected:
  // A supervisor that has said Hello and read the answer.
  void SetUp() override {
    auto pair = os::UnixSocketPair(os::SocketType::kSeqPacket);
    links_->Add(std::move(pair->first));
    supervisor_ = std::make_unique<ipc::WorkerChannel>(std::move(pair->second));
    ToWorker hello;
    hello.mutable_hello()->set_version(ipc::kProtocolVersion);
    ASSERT_TRUE(supervisor_->Send(hello).ok());
    epoll_.Wait(-1);
    ASSERT_TRUE(Next()->has_hello());
    ASSERT_TRUE(Next()->has_status());
  }

  void Change() {
    status_.set_inodes(status_.inodes() + 1);
    links_->PushStatus();
  }
  // Nothing if none has come.
  std::optional<FromWorker> Next() { return *supervisor_->ReceiveFromWorker(); }

  WorkerStatus status_;
  os::Epoll epoll_ = *os::Epoll::Create();
  std::unique_ptr<SupervisorLinks> links_ =
      *SupervisorLinks::Create(epoll_, {.export_name = "test",
                                        .export_uid = "uid",
                                        .status = [this] { return status_; },
                                        .stop = [] {}});
  std::unique_ptr<ipc::WorkerChannel> supervisor_;
};

TEST_F(SupervisorLinksTest, AChangeIsToldAtOnce) {
  Change();
  EXPECT_EQ(Next()->status().inodes(), 1u);
  Change();
  EXPECT_EQ(Next()->status().inodes(), 2u);
}

TEST_F(SupervisorLinksTest, OfAFloodOfChangesSomeAreToldAndTheLastOne) {
  constexpr uint64_t kChanges = 5000;
  const auto begun = std::chrono::steady_clock::now();
  uint64_t told = 0;
  uint64_t last = 0;
  while (last != kChanges) {
    if (status_.inodes() < kChanges) {
      Change();
    } else {
      epoll_.Wait(-1);
    }
    while (const std::optional<FromWorker> message = Next()) {
      last = message->status().inodes();
      ++told;
    }
  }
  const auto seconds =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - begun);
  EXPECT_LE(told,
            static_cast<uint64_t>((seconds.count() + 2) * SupervisorLinks::kMaxPushesPerSecond));
}

TEST_F(SupervisorLinksTest, WhatIsToSayLastIsNotKeptBackByAFlood) {
  for (int i = 0; i < 2 * SupervisorLinks::kMaxPushesPerSecond; ++i) Change();
  status_.set_stuck(true);
  links_->PushNow();
  std::optional<FromWorker> last;
  while (std::optional<FromWorker> message = Next()) last = std::move(message);
  EXPECT_TRUE(last->status().stuck());
}

}  // namespace
}  // namespace fsd::worker
