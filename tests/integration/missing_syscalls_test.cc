// Nothing that a worker does is missing from its lists of system calls: the suites that make a
// worker do all it can run with lists that only log, and a tracer looks at each call.
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/harness/filtered_calls.h"

namespace fsd {
namespace {

using ::testing::IsEmpty;

class MissingSyscallsTest : public ::testing::TestWithParam<const char*> {};

TEST_P(MissingSyscallsTest, None) {
  const std::string suite =
      std::filesystem::canonical(std::string("tests/integration/") + GetParam()).string();

  const harness::FilteredCalls calls = harness::TraceWorkersOf(
      {suite}, {"FSD_TEST_SECCOMP=log", "XML_OUTPUT_FILE=", "GTEST_OUTPUT="});

  EXPECT_EQ(calls.exit_status, 0);
  EXPECT_GE(calls.filters, 3) << "keeper, data plane and handle keeper";
  EXPECT_THAT(calls.not_allowed, IsEmpty());
  for (const auto& [name, times] : calls.made) std::cout << name << " " << times << "\n";
}

INSTANTIATE_TEST_SUITE_P(Suites, MissingSyscallsTest,
                         ::testing::Values("cache_options_test", "inode_references_test",
                                           "jailed_extensions_test", "jailed_operations_test",
                                           "owner_options_test", "semantics_options_test",
                                           "serving_test"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace fsd
