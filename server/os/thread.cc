#include "server/os/thread.h"

#include <signal.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>

#include "server/errors/check.h"

namespace fsd::os {
namespace {

struct StartArguments {
  std::array<char, 16> name{};  // what the kernel keeps, with its NUL
  std::function<void()> body;
};

void* RunThread(void* opaque) {
  const std::unique_ptr<StartArguments> arguments(static_cast<StartArguments*>(opaque));
  ::pthread_setname_np(::pthread_self(), arguments->name.data());
  arguments->body();
  return nullptr;
}

}  // namespace

ErrnoOr<Thread> Thread::Start(const char* name, std::function<void()> body) {
  auto arguments = std::make_unique<StartArguments>();
  std::memcpy(arguments->name.data(), name,
              std::min(std::strlen(name), arguments->name.size() - 1));
  arguments->body = std::move(body);
  // The new thread inherits the mask, so that no signal can find it unblocked.
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread;
  const int error = ::pthread_create(&thread, nullptr, RunThread, arguments.get());
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (error != 0) return Errno(error);
  static_cast<void>(arguments.release());  // the thread's
  return Thread(thread);
}

Thread& Thread::operator=(Thread&& other) noexcept {
  if (this != &other) {
    Join();
    thread_ = other.thread_;
    joinable_ = std::exchange(other.joinable_, false);
  }
  return *this;
}

void Thread::Join() {
  if (std::exchange(joinable_, false)) FSD_CHECK(::pthread_join(thread_, nullptr) == 0);
}

}  // namespace fsd::os
