// Ties a process's life to its parent's (PR_SET_PDEATHSIG of prctl(2)).
//
// The kernel forgets it when the calling thread changes its user, its fsuid too, or gains a
// capability: call it from a thread that does neither.
#ifndef FSD_SERVER_OS_PARENT_DEATH_H_
#define FSD_SERVER_OS_PARENT_DEATH_H_

#include <sys/types.h>

#include "server/errors/errno_or.h"

namespace fsd::os {

// From here on the whole process is killed when its parent, `parent` as getpid() had it there, has
// ended. ESRCH if it has already.
ErrnoOr<void> DieWithParent(pid_t parent);

}  // namespace fsd::os

#endif  // FSD_SERVER_OS_PARENT_DEATH_H_
