// Reads and writes that go through memory of ours.
//
// A transfer that bypasses the page cache pins the pages of the guest's. If it is stuck, they could
// not be taken from it any more (virtqueue/guest_memory.h): it might write to a guest that has been
// reset long ago, or write to a file what that guest keeps there now. So it uses a buffer of its
// thread's; the copy takes about 10 µs for each 128 KiB, beside a transfer from or to a device.
#ifndef FSD_BACKENDS_PASSTHROUGH_BOUNCED_TRANSFER_H_
#define FSD_BACKENDS_PASSTHROUGH_BOUNCED_TRANSFER_H_

#include <sys/types.h>
#include <sys/uio.h>

namespace fsd::passthrough {

// Whether transfers of the file system's files may pin without O_DIRECT: it decides by itself, as a
// FUSE daemon or a mount option wishes. Also if that cannot be told. What is mounted below is not
// asked.
bool MayPin(int root);

// As preadv(2), of no more than 1 MiB at a time.
ssize_t BouncedRead(int fd, const iovec* vectors, int count, off_t offset);
// As pwritev2(2), likewise.
ssize_t BouncedWrite(int fd, const iovec* vectors, int count, off_t offset, int flags);

}  // namespace fsd::passthrough

#endif  // FSD_BACKENDS_PASSTHROUGH_BOUNCED_TRANSFER_H_
