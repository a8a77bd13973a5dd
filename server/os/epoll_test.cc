#include "server/os/epoll.h"

#include <sys/epoll.h>
#include <unistd.h>

#include "gtest/gtest.h"
#include "server/os/event_fd.h"

namespace fsd::os {
namespace {

TEST(Epoll, CallsTheHandlerOfWhatIsReady) {
  Epoll epoll = *Epoll::Create();
  EventFd ready = *EventFd::Create();
  EventFd quiet = *EventFd::Create();
  int ready_calls = 0;
  int quiet_calls = 0;
  ASSERT_TRUE(epoll.Add(ready.fd(), EPOLLIN, [&](uint32_t) { ++ready_calls; }).ok());
  ASSERT_TRUE(epoll.Add(quiet.fd(), EPOLLIN, [&](uint32_t) { ++quiet_calls; }).ok());

  ready.Signal();
  epoll.Wait(0);

  EXPECT_EQ(ready_calls, 1);
  EXPECT_EQ(quiet_calls, 0);
}

TEST(Epoll, AHandlerRemovedInTheSameRoundIsNotCalled) {
  Epoll epoll = *Epoll::Create();
  EventFd first = *EventFd::Create();
  EventFd second = *EventFd::Create();
  int calls = 0;
  // Whichever runs first removes both.
  const auto handler = [&](uint32_t) {
    ++calls;
    epoll.Remove(first.fd());
    epoll.Remove(second.fd());
  };
  ASSERT_TRUE(epoll.Add(first.fd(), EPOLLIN, handler).ok());
  ASSERT_TRUE(epoll.Add(second.fd(), EPOLLIN, handler).ok());

  first.Signal();
  second.Signal();
  epoll.Wait(0);

  EXPECT_EQ(calls, 1);
}

TEST(Epoll, AReusedDescriptorDoesNotGetTheOldOnesEvent) {
  Epoll epoll = *Epoll::Create();
  EventFd first = *EventFd::Create();
  EventFd second = *EventFd::Create();
  int replaced_calls = 0;
  // Whichever runs first replaces the other's handler, as closing and re-opening would.
  const auto replace = [&](int other) {
    epoll.Remove(other);
    ASSERT_TRUE(epoll.Add(other, EPOLLIN, [&](uint32_t) { ++replaced_calls; }).ok());
  };
  ASSERT_TRUE(epoll.Add(first.fd(), EPOLLIN, [&](uint32_t) { replace(second.fd()); }).ok());
  ASSERT_TRUE(epoll.Add(second.fd(), EPOLLIN, [&](uint32_t) { replace(first.fd()); }).ok());

  first.Signal();
  second.Signal();
  epoll.Wait(0);

  EXPECT_EQ(replaced_calls, 0);
}

TEST(Epoll, ModifyChangesWhatIsWaitedFor) {
  Epoll epoll = *Epoll::Create();
  EventFd event = *EventFd::Create();
  uint32_t seen = 0;
  ASSERT_TRUE(epoll.Add(event.fd(), EPOLLIN, [&](uint32_t events) { seen |= events; }).ok());
  ASSERT_TRUE(epoll.Modify(event.fd(), EPOLLOUT).ok());

  epoll.Wait(0);

  EXPECT_EQ(seen, static_cast<uint32_t>(EPOLLOUT));
}

}  // namespace
}  // namespace fsd::os
