// The areas of posix_check, each a file of this room.
#ifndef TESTS_SEMANTICS_AREAS_H_
#define TESTS_SEMANTICS_AREAS_H_

#include "tests/semantics/check.h"

namespace posix_check {

void AddAclChecks(Registry& registry);
void AddAclSettingChecks(Registry& registry);
void AddAppendChecks(Registry& registry);
void AddCopyChecks(Registry& registry);
void AddDirectIoChecks(Registry& registry);
void AddDirectIoFileChecks(Registry& registry);
void AddDirectoryChecks(Registry& registry);
void AddFallocateChecks(Registry& registry);
void AddFileAttributeChecks(Registry& registry);
void AddFileLockChecks(Registry& registry);
void AddKillPrivilegeChecks(Registry& registry);
void AddLargeOffsetChecks(Registry& registry);
void AddLimitChecks(Registry& registry);
void AddLinkChecks(Registry& registry);
void AddMappingChangeChecks(Registry& registry);
void AddMappingChecks(Registry& registry);
void AddModeChecks(Registry& registry);
void AddNameChecks(Registry& registry);
void AddOpenFlagChecks(Registry& registry);
void AddOwnerChecks(Registry& registry);
void AddPathErrorChecks(Registry& registry);
void AddPermissionChecks(Registry& registry);
void AddRangeLockChecks(Registry& registry);
void AddRenameChecks(Registry& registry);
void AddSparseChecks(Registry& registry);
void AddStickyChecks(Registry& registry);
void AddSymlinkChecks(Registry& registry);
void AddSyncChecks(Registry& registry);
void AddTemporaryFileChecks(Registry& registry);
void AddTimeChecks(Registry& registry);
void AddUnlinkedChecks(Registry& registry);
void AddXattrChecks(Registry& registry);
void AddXattrNameChecks(Registry& registry);

}  // namespace posix_check

#endif  // TESTS_SEMANTICS_AREAS_H_
