// The files by which a cgroup (v2) is read and written; see the kernel's admin-guide/cgroup-v2.rst.
#ifndef FSD_SERVER_SUPERVISOR_CGROUP_FILE_H_
#define FSD_SERVER_SUPERVISOR_CGROUP_FILE_H_

#include <string>
#include <string_view>

#include "server/errors/errno_or.h"

namespace fsd::supervisor {

// `directory` is that of the cgroup. At most a page, which these files are.
ErrnoOr<std::string> ReadCgroupFile(int directory, const std::string& name);
// In one write, as the kernel wants it.
ErrnoOr<void> WriteCgroupFile(int directory, const std::string& name, std::string_view text);

}  // namespace fsd::supervisor

#endif  // FSD_SERVER_SUPERVISOR_CGROUP_FILE_H_
