#include "server/host/host_check.h"

#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "server/errors/status_macros.h"
#include "server/host/kernel_check.h"
#include "server/host/resource_check.h"
#include "server/host/storage_check.h"

namespace fsd::host {
namespace {

std::string_view LevelWord(HostCheck::Level level) {
  switch (level) {
    case HostCheck::Level::kOk:
      return "ok";
    case HostCheck::Level::kWarning:
      return "warning";
    case HostCheck::Level::kError:
      return "ERROR";
  }
  return "ERROR";
}

}  // namespace

std::vector<HostCheck> CheckHost(const HostFacts& facts) {
  std::vector<HostCheck> checks = {
      CheckKernel(facts.kernel),
      CheckNamespaces(facts.kernel),
      CheckSeccomp(facts.kernel),
      CheckLandlock(facts.kernel),
      CheckOpenFiles(facts.limits),
      CheckHostFiles(facts.limits),
      CheckProcesses(facts.limits),
      CheckCgroup(facts.cgroup),
      CheckSubordinateIds(facts.subordinate_ids),
  };
  for (const SourceFacts& source : facts.sources) checks.push_back(CheckSource(source));
  for (HostCheck& check : CheckExportSources(facts.export_sources)) {
    checks.push_back(std::move(check));
  }
  checks.push_back(CheckStateDirectory(facts.state));
  checks.push_back(CheckRuntimeDirectory(facts.runtime));
  checks.push_back(CheckLeftoverSockets(facts.leftovers));
  checks.push_back(CheckDamagedRecords(facts.leftovers));
  return checks;
}

std::string HostCheckTable(const std::vector<HostCheck>& checks) {
  std::string table;
  for (const HostCheck& check : checks) {
    absl::StrAppendFormat(&table, "%-8s %-18s %s%s\n", Absl(LevelWord(check.level)), check.check,
                          check.subject.empty() ? "" : absl::StrCat(check.subject, ": "),
                          check.found);
    if (check.level == HostCheck::Level::kOk) continue;
    absl::StrAppendFormat(&table, "%27s costs: %s\n%27s do:    %s\n", "", check.cost, "",
                          check.remedy);
  }
  return table;
}

}  // namespace fsd::host
