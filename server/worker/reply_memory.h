// Where a request's reply lies in the guest's memory, once it is written.
#ifndef FSD_SERVER_WORKER_REPLY_MEMORY_H_
#define FSD_SERVER_WORKER_REPLY_MEMORY_H_

#include <cstddef>
#include <cstdint>

#include "server/virtqueue/dirty_log.h"
#include "server/virtqueue/guest_memory.h"
#include "server/virtqueue/virtqueue.h"
#include "server/worker/request_slot.h"

namespace fsd::worker {

// Fetches what the reply will be written to: a header, and a body that is behind it or in a piece
// of its own.
void PrefetchReply(const virtqueue::Chain& chain);

// Copies a reply out of revoked memory to where the guest expects it, in the `present` one.
// `written`, or 0 if that is no longer shared with us.
uint32_t PutBack(const RequestSlot& slot, uint32_t written, const virtqueue::GuestMemory& present);

// Marks the first `bytes` of the slot's writable buffers.
void MarkWritten(const RequestSlot& slot, size_t bytes, const virtqueue::DirtyLog& log);

}  // namespace fsd::worker

#endif  // FSD_SERVER_WORKER_REPLY_MEMORY_H_
