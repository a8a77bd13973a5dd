#include "server/os/close_together.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <span>

#include "server/os/uncancelled.h"

namespace fsd::os {
namespace {

thread_local CloseTogether* collector = nullptr;

// Descriptors with numbers in a row.
void CloseRow(std::span<const int> row) {
  if (row.size() > 1 && ::syscall(SYS_close_range, row.front(), row.back(), 0) == 0) return;
  // One alone; or a kernel before 5.9.
  for (const int fd : row) Close(fd);
}

}  // namespace

CloseTogether::CloseTogether() {
  if (collector == nullptr) collector = this;
}

CloseTogether::~CloseTogether() {
  Flush();
  if (collector == this) collector = nullptr;
}

void CloseTogether::Flush() {
  const auto fds = std::span(fds_).first(count_);
  count_ = 0;
  std::sort(fds.begin(), fds.end());
  for (size_t begin = 0, end = 0; begin < fds.size(); begin = end) {
    for (end = begin + 1; end < fds.size() && fds[end] == fds[end - 1] + 1;) ++end;
    CloseRow(fds.subspan(begin, end - begin));
  }
}

void CloseSoon(int fd) {
  if (collector == nullptr) {
    Close(fd);
    return;
  }
  collector->fds_[collector->count_++] = fd;
  if (collector->count_ == CloseTogether::kMost) collector->Flush();
}

}  // namespace fsd::os
