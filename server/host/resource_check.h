// Checks of what the host lets this process use: limits, its cgroup, ids.
#ifndef FSD_SERVER_HOST_RESOURCE_CHECK_H_
#define FSD_SERVER_HOST_RESOURCE_CHECK_H_

#include "server/host/host_check.h"

namespace fsd::host {

HostCheck CheckOpenFiles(const LimitFacts& facts);
HostCheck CheckHostFiles(const LimitFacts& facts);
HostCheck CheckProcesses(const LimitFacts& facts);
HostCheck CheckCgroup(const CgroupFacts& facts);
HostCheck CheckSubordinateIds(const SubordinateIdFacts& facts);

}  // namespace fsd::host

#endif  // FSD_SERVER_HOST_RESOURCE_CHECK_H_
