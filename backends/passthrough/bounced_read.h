// Reads that go through memory of ours.
//
// A read that bypasses the page cache pins the pages of its destination. If it is stuck, the
// guest's memory could not be taken from it any more (virtqueue/guest_memory.h), and it might write
// to a guest that has been reset long ago. So it reads into a buffer of its thread's, from where
// what came is copied: about 10 µs for each 128 KiB, beside a transfer from a device.
#ifndef FSD_BACKENDS_PASSTHROUGH_BOUNCED_READ_H_
#define FSD_BACKENDS_PASSTHROUGH_BOUNCED_READ_H_

#include <sys/types.h>
#include <sys/uio.h>

namespace fsd::passthrough {

// Whether reads of the file system's files may pin without O_DIRECT: it decides by itself, as a
// FUSE daemon or a mount option wishes. Also if that cannot be told. What is mounted below is not
// asked.
bool MayPin(int root);

// As preadv(2), of no more than 1 MiB at a time.
ssize_t BouncedRead(int fd, const iovec* vectors, int count, off_t offset);

}  // namespace fsd::passthrough

#endif  // FSD_BACKENDS_PASSTHROUGH_BOUNCED_READ_H_
