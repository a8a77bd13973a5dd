#include "tests/security/host_process.h"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <new>

#include "server/errors/check.h"

namespace fsd::security {
namespace {

void* MapPage(int sharing) {
  void* page = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, sharing | MAP_ANONYMOUS, -1, 0);
  FSD_CHECK(page != MAP_FAILED);
  return page;
}

void End(pid_t pid) {
  ::kill(pid, SIGKILL);
  ::waitpid(pid, nullptr, 0);
}

}  // namespace

Victim::Victim(const std::string& directory) {
  // A page that is the victim's alone: whoever is forked later has none of its contents.
  void* page = MapPage(MAP_PRIVATE);
  secret_ = page;
  int ready[2];
  FSD_CHECK(::pipe(ready) == 0);
  pid_ = ::fork();
  FSD_CHECK(pid_ >= 0);
  if (pid_ == 0) {
    std::memcpy(page, kSecret, sizeof kSecret);
    FSD_CHECK(::chdir(directory.c_str()) == 0);
    FSD_CHECK(::write(ready[1], "x", 1) == 1);
    while (true) ::pause();
  }
  char byte;
  FSD_CHECK(::read(ready[0], &byte, 1) == 1);
  ::close(ready[0]);
  ::close(ready[1]);
}

Victim::~Victim() { End(pid_); }

Racer::Racer(std::function<void()> there, std::function<void()> back)
    : rounds_(new (MapPage(MAP_SHARED)) std::atomic<uint64_t>(0)) {
  pid_ = ::fork();
  FSD_CHECK(pid_ >= 0);
  while (pid_ == 0) {
    there();
    back();
    ++*rounds_;
  }
}

Racer::~Racer() {
  End(pid_);
  ::munmap(rounds_, 4096);
}

}  // namespace fsd::security
