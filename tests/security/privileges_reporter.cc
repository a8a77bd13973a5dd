// Says on the standard output who it is: "uid N gid N CAP_NET_RAW 0|1". A program of
// privileges_test.
#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>

int main() {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3] = {};
  if (::syscall(SYS_capget, &header, sets) != 0) return 1;
  const bool raw = (sets[0].effective & CAP_TO_MASK(CAP_NET_RAW)) != 0;
  std::printf("uid %u gid %u CAP_NET_RAW %d", ::geteuid(), ::getegid(), raw ? 1 : 0);
  return 0;
}
