// What the calling thread may do (capabilities(7)).
#ifndef FSD_SERVER_OS_CAPABILITIES_H_
#define FSD_SERVER_OS_CAPABILITIES_H_

namespace fsd::os {

// Whether `capability`, a CAP_… of <linux/capability.h>, is effective; in the user namespace that
// the thread is in.
bool HasCapability(int capability);

}  // namespace fsd::os

#endif  // FSD_SERVER_OS_CAPABILITIES_H_
