// Checks of directories: what is shared, and where fsd keeps its own.
#ifndef FSD_SERVER_HOST_STORAGE_CHECK_H_
#define FSD_SERVER_HOST_STORAGE_CHECK_H_

#include "server/host/host_check.h"

namespace fsd::host {

HostCheck CheckSource(const SourceFacts& facts);
// One EXPORT_SOURCE for each that lacks something, after one EXPORT_SOURCES for all others.
std::vector<HostCheck> CheckExportSources(const std::vector<SourceFacts>& all);
HostCheck CheckStateDirectory(const DirectoryFacts& facts);
HostCheck CheckRuntimeDirectory(const DirectoryFacts& facts);
HostCheck CheckLeftoverSockets(const LeftoverFacts& facts);
HostCheck CheckDamagedRecords(const LeftoverFacts& facts);

}  // namespace fsd::host

#endif  // FSD_SERVER_HOST_STORAGE_CHECK_H_
