// Landlock: what of the file system a process may still reach by any path, jail or not
// (landlock(7)).
#ifndef FSD_SERVER_SANDBOX_LANDLOCK_H_
#define FSD_SERVER_SANDBOX_LANDLOCK_H_

namespace fsd::sandbox {

// The kernel's version of the interface; 0 if it has no Landlock, or it is switched off.
int LandlockAbi();

}  // namespace fsd::sandbox

#endif  // FSD_SERVER_SANDBOX_LANDLOCK_H_
