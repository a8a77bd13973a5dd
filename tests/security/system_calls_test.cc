// The wall of system calls: each number that is on no list, by each way into the kernel, from each
// process of a worker.
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/sandbox/sandbox.h"
#include "server/sandbox/worker_syscalls.h"
#include "tests/security/prison.h"

namespace fsd::security {
namespace {

using sandbox::Process;
using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

// Beyond the highest that there is.
constexpr long kNumbers = 600;

// What a kernel's own trampolines call, and so no filter is asked about on x86-64: uretprobe since
// Linux 6.14, uprobe since 6.18. From anywhere else they do nothing.
constexpr long kUretprobe = 335;
constexpr long kUprobe = 336;

struct Case {
  const char* name;
  Process process;
  std::vector<sandbox::AllowedSyscall> (*list)();
};
constexpr Case kCases[] = {
    {"DataPlane", Process::kDataPlane, [] { return sandbox::DataPlaneSyscalls({}); }},
    {"Keeper", Process::kKeeper, sandbox::KeeperSyscalls},
    {"HandleKeeper", Process::kHandleKeeper, [] { return sandbox::HandleKeeperSyscalls({}); }},
};

class SystemCalls : public ::testing::TestWithParam<Case> {
 protected:
  using Entry = long (*)(long number);

  // What became of those that did not end the process as they must, by number. Prints one line, as
  // ExpectTheyHold does.
  std::vector<std::string> Survivors(Entry entry, const std::vector<long>& numbers,
                                     Walls walls = kEveryWall) {
    std::vector<Attempt> attempts;
    for (const long number : numbers) {
      attempts.push_back([=](const Inmate&) { return Outcome(entry(number)); });
    }
    const std::vector<std::string> outcomes = prison_.Run(walls, attempts, GetParam().process);
    std::vector<std::string> survivors;
    for (size_t i = 0; i < numbers.size(); ++i) {
      // A kernel without the i386 entry has a fault in its place.
      if (outcomes[i] == "SIGSYS" || (entry == CallI386 && outcomes[i] == "SIGSEGV")) continue;
      survivors.push_back(absl::StrCat(numbers[i], ": ", outcomes[i]));
    }
    std::printf("[   WALL   ] system calls of the %s: %zu attempts, %zu climbed\n", GetParam().name,
                numbers.size(), survivors.size());
    return survivors;
  }

  // With nulls for arguments.
  static long Call(long number) { return ::syscall(number, 0, 0, 0, 0, 0, 0); }
  static long CallX32(long number) { return Call(0x40000000 | number); }
  static long CallI386(long number) {
#ifdef __x86_64__
    long result;
    __asm__ volatile("int $0x80"
                     : "=a"(result)
                     : "a"(number), "b"(0L), "c"(0L), "d"(0L)
                     : "memory");
    return result;
#else
    // There is no such entry.
    ::raise(SIGSEGV);
    return number;
#endif
  }

  // Every number, each `stride`th.
  static std::vector<long> Numbers(long stride) {
    std::vector<long> numbers;
    for (long number = 0; number < kNumbers; number += stride) numbers.push_back(number);
    return numbers;
  }
  static std::vector<long> NumbersOnNoList() {
    std::set<long> allowed = {SYS_clone3, kUretprobe, kUprobe};
    for (const sandbox::AllowedSyscall& row : GetParam().list()) allowed.insert(row.number);
    std::vector<long> numbers = Numbers(1);
    std::erase_if(numbers, [&](long number) { return allowed.contains(number); });
    return numbers;
  }
  // The filter knows these entries before any number: the data plane tries each, who can do less
  // some.
  static std::vector<long> NumbersOfOtherEntries() {
    return Numbers(GetParam().process == Process::kDataPlane ? 1 : 16);
  }

  Prison prison_;
};

TEST_P(SystemCalls, OneThatIsNotOnTheListEndsTheProcess) {
  EXPECT_THAT(Survivors(Call, NumbersOnNoList()), IsEmpty());
}

TEST_P(SystemCalls, TheOtherModesHaveTheSameList) {
  for (const Walls walls : {kEveryWallOfChroot, kEveryWallOfNone}) {
    EXPECT_THAT(Survivors(Call, NumbersOnNoList(), walls), IsEmpty()) << walls;
  }
}

TEST_P(SystemCalls, Clone3IsNotThere) {
  const Attempt attempt = [](const Inmate&) { return Outcome(Call(SYS_clone3)); };
  EXPECT_THAT(prison_.Run(kEveryWall, {attempt}, GetParam().process), ElementsAre("ENOSYS"));
}

TEST_P(SystemCalls, WhatNoFilterIsAskedAboutDoesNothing) {
  const auto call = [](long number) {
    return [=](const Inmate&) { return Outcome(Call(number)); };
  };
  EXPECT_THAT(prison_.Run(kEveryWall, {call(kUretprobe), call(kUprobe)}, GetParam().process),
              ElementsAre(AnyOf("SIGSYS", "SIGILL"), AnyOf("SIGSYS", "ENXIO")));
}

TEST_P(SystemCalls, OneOfX32EndsTheProcess) {
  EXPECT_THAT(Survivors(CallX32, NumbersOfOtherEntries()), IsEmpty());
}

TEST_P(SystemCalls, OneOfI386EndsTheProcess) {
  EXPECT_THAT(Survivors(CallI386, NumbersOfOtherEntries()), IsEmpty());
}

TEST_P(SystemCalls, WithoutTheListTheyAreAnswered) {
  const auto call = [](long number) {
    return [=](const Inmate&) { return Outcome(Call(number)); };
  };
  EXPECT_EQ(
      prison_.Run(kEveryWall & ~kSystemCalls,
                  {call(SYS_getppid), call(SYS_sysinfo), call(SYS_socket)}, GetParam().process),
      (std::vector<std::string>{"done", "EFAULT", "EAFNOSUPPORT"}));
}

INSTANTIATE_TEST_SUITE_P(EachProcess, SystemCalls, ::testing::ValuesIn(kCases),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace fsd::security
