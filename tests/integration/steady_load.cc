// A guest without a VM that works and checks what it reads until its input ends (SteadyGuest):
//
//   steady_load SOCKET    says "begun", and at the end "REQUESTS SLOWEST_MS PROBLEM", the last empty
#include <unistd.h>

#include <cstdio>
#include <string>

#include "tests/harness/steady_guest.h"

int main(int, char** argv) {
  auto guest = fsd::harness::SteadyGuest::Start(argv[1]);
  if (!guest.ok()) {
    std::fprintf(stderr, "%s\n", guest.status().ToString().c_str());
    return 1;
  }
  std::puts("begun");
  std::fflush(stdout);
  char unused;
  while (::read(STDIN_FILENO, &unused, 1) > 0) {
  }
  const auto account = (*guest)->Stop();
  std::printf("%llu %lld %s\n", static_cast<unsigned long long>(account.requests),
              static_cast<long long>(account.slowest.count()),
              account.problem.ok() ? "" : account.problem.ToString().c_str());
  return account.problem.ok() ? 0 : 1;
}
