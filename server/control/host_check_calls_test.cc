#include "server/control/host_check_calls.h"

#include <condition_variable>
#include <future>
#include <mutex>
#include <string>
#include <vector>

#include "gmock/gmock.h"

namespace fsd::control {
namespace {

// Looks only when it is let, and tells what it was asked.
class Gate {
 public:
  HostCheckCalls::Look look() {
    return [this](const std::vector<std::string>& export_sources) {
      std::unique_lock<std::mutex> lock(mutex_);
      ++looks_;
      changed_.notify_all();
      changed_.wait(lock, [this] { return let_ > 0; });
      --let_;
      return std::vector<host::HostCheck>{
          {.check = "LOOK", .subject = export_sources.front(), .found = std::to_string(looks_)}};
    };
  }
  void WaitForLook(int number) {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this, number] { return looks_ >= number; });
  }
  void Let() {
    const std::lock_guard<std::mutex> lock(mutex_);
    ++let_;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int looks_ = 0;
  int let_ = 0;
};

struct Call {
  explicit Call(HostCheckCalls& calls, const std::string& source = "/srv") {
    calls.Check({source}, cancellation, [this](const auto& checks) {
      answer.set_value(checks->front().subject + " " + checks->front().found);
    });
  }
  std::string Answer() { return answer.get_future().get(); }

  supervisor::Cancellation cancellation;
  std::promise<std::string> answer;
};

TEST(HostCheckCalls, EachCallerGetsWhatWasFoundAfterItAsked) {
  Gate gate;
  const auto calls = HostCheckCalls::Create(gate.look());
  Call first(*calls, "/a");
  gate.WaitForLook(1);
  Call second(*calls, "/b");
  Call third(*calls, "/c");

  gate.Let();
  EXPECT_EQ(first.Answer(), "/a 1");
  gate.Let();
  EXPECT_EQ(second.Answer(), "/c 2");
  EXPECT_EQ(third.Answer(), "/c 2");

  Call fourth(*calls);
  gate.Let();
  EXPECT_EQ(fourth.Answer(), "/srv 3");
}

TEST(HostCheckCalls, WhoHasGoneIsForgotten) {
  Gate gate;
  const auto calls = HostCheckCalls::Create(gate.look());
  auto gone = std::make_shared<std::string>("held by the call");
  supervisor::Cancellation cancellation;
  calls->Check({"/srv"}, cancellation, [gone](const auto&) { FAIL() << *gone; });
  gate.WaitForLook(1);
  Call other(*calls);

  cancellation.Cancel();
  EXPECT_EQ(gone.use_count(), 1);

  gate.Let();
  gate.Let();
  EXPECT_EQ(other.Answer(), "/srv 2");
}

TEST(HostCheckCalls, WhoHasGoneBeforeIsNotWaitedFor) {
  Gate gate;
  const auto calls = HostCheckCalls::Create(gate.look());
  Call first(*calls);
  gate.WaitForLook(1);
  supervisor::Cancellation cancellation;
  cancellation.Cancel();
  auto gone = std::make_shared<int>();
  calls->Check({"/srv"}, cancellation, [gone](const auto&) { FAIL(); });

  EXPECT_EQ(gone.use_count(), 1);

  gate.Let();
  EXPECT_EQ(first.Answer(), "/srv 1");
}

TEST(HostCheckCalls, ALookThatHangsOutlivesThoseWhoAsked) {
  static auto& gate = *new Gate;  // the look's thread may be the last
  {
    const auto calls = HostCheckCalls::Create(gate.look());
    supervisor::Cancellation cancellation;
    calls->Check({"/srv"}, cancellation, [](const auto&) { FAIL(); });
    gate.WaitForLook(1);
    cancellation.Cancel();
  }
  gate.Let();
}

}  // namespace
}  // namespace fsd::control
