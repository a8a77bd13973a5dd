#include "server/supervisor/slow_writes.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <future>
#include <string>

#include "gtest/gtest.h"

namespace fsd::supervisor {
namespace {

// A pipe that is full, so that writing takes until somebody reads.
struct FullPipe {
  FullPipe() {
    int fds[2];
    EXPECT_EQ(::pipe2(fds, O_CLOEXEC), 0);
    reader.reset(fds[0]);
    writer.reset(fds[1]);
    size = static_cast<size_t>(::fcntl(fds[1], F_GETPIPE_SZ));
    const std::string all(size, 'x');
    EXPECT_EQ(::write(fds[1], all.data(), size), static_cast<ssize_t>(size));
  }
  std::string Read(size_t bytes) const {
    std::string text(bytes, '\0');
    size_t got = 0;
    while (got < bytes) got += static_cast<size_t>(::read(reader.get(), &text[got], bytes - got));
    return text;
  }
  os::UniqueFd Writer() const { return os::UniqueFd(::fcntl(writer.get(), F_DUPFD_CLOEXEC, 0)); }

  os::UniqueFd reader;
  os::UniqueFd writer;
  size_t size = 0;
};

TEST(SlowWrites, WhoAsksDoesNotWaitAndOrderIsKept) {
  const FullPipe pipe;
  const FullPipe other;
  other.Read(other.size);
  std::promise<void> first, second;
  {
    const auto writes = SlowWrites::Create();
    writes->Write(pipe.Writer(), "one", [&](ErrnoOr<void> written) {
      EXPECT_TRUE(written.ok());
      first.set_value();
    });
    writes->Write(other.Writer(), "two", [&](ErrnoOr<void> written) {
      EXPECT_TRUE(written.ok());
      second.set_value();
    });
  }
  const std::future<void> second_done = second.get_future();
  EXPECT_EQ(second_done.wait_for(std::chrono::seconds(0)), std::future_status::timeout);

  pollfd second_written{.fd = other.reader.get(), .events = POLLIN, .revents = 0};
  EXPECT_EQ(::poll(&second_written, 1, 100), 0) << "before the first";

  pipe.Read(pipe.size);
  EXPECT_EQ(pipe.Read(3), "one");
  EXPECT_EQ(other.Read(3), "two");
  first.get_future().wait();
  second_done.wait();
}

TEST(SlowWrites, AFailureIsTold) {
  std::promise<ErrnoOr<void>> told;
  const auto writes = SlowWrites::Create();
  writes->Write(os::UniqueFd(::open("/dev/full", O_WRONLY | O_CLOEXEC)), "x",
                [&](ErrnoOr<void> written) { told.set_value(written); });
  EXPECT_EQ(told.get_future().get().error(), Errno(ENOSPC));
}

}  // namespace
}  // namespace fsd::supervisor
