// Checks of the kernel: what jails are made of.
#ifndef FSD_SERVER_HOST_KERNEL_CHECK_H_
#define FSD_SERVER_HOST_KERNEL_CHECK_H_

#include "server/host/host_check.h"

namespace fsd::host {

HostCheck CheckKernel(const KernelFacts& facts);
HostCheck CheckNamespaces(const KernelFacts& facts);
HostCheck CheckSeccomp(const KernelFacts& facts);
HostCheck CheckLandlock(const KernelFacts& facts);

}  // namespace fsd::host

#endif  // FSD_SERVER_HOST_KERNEL_CHECK_H_
