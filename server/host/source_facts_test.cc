#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <string>

#include "gtest/gtest.h"
#include "server/host/host_facts.h"

namespace fsd::host {
namespace {

TEST(SourcesFacts, OneThatHangsHoldsNobodyUpAndIsNotAskedAgainBeforeItAnswers) {
  std::promise<void> back;
  const std::shared_future<void> answers = back.get_future().share();
  const auto asked = std::make_shared<std::atomic<int>>(0);
  const auto read = [answers, asked](const std::string& path) {
    if (path == "/hangs") {
      ++*asked;
      answers.wait();
    }
    return SourceFacts{.path = path, .is_directory = true};
  };

  for (int i = 0; i < 2; ++i) {
    // Nobody waits so long for a thread that answers at once.
    const auto facts = ReadSourcesFacts({"/good"}, std::chrono::minutes(1), read);
    EXPECT_TRUE(facts[0].answers);
    EXPECT_FALSE(ReadSourcesFacts({"/hangs"}, std::chrono::milliseconds(1), read)[0].answers);
  }
  // The first thread may not have begun yet; the second time there was none.
  back.set_value();
  while (!ReadSourcesFacts({"/hangs"}, std::chrono::minutes(1), read)[0].answers) {
  }
  EXPECT_EQ(*asked, 2);
}

}  // namespace
}  // namespace fsd::host
