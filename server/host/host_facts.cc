#include "server/host/host_facts.h"

#include <algorithm>
#include <set>

namespace fsd::host {
namespace {

// A disk that has to wake up takes some seconds.
constexpr std::chrono::seconds kSourcePatience{5};

std::vector<std::string> SourcesBesides(const std::vector<std::string>& configured,
                                        const std::vector<std::string>& of_exports) {
  std::set<std::string> others(of_exports.begin(), of_exports.end());
  for (const std::string& source : configured) others.erase(source);
  return {others.begin(), others.end()};
}

}  // namespace

HostFacts ReadHostFacts(const supervisor::Config& config, const ServerFacts* server) {
  HostFacts facts{.kernel = ReadKernelFacts(), .limits = ReadLimitFacts()};
  facts.cgroup = server == nullptr
                     ? ReadCgroupFacts(config.cgroup)
                     : ReadDividedCgroupFacts(config.cgroup, server->cgroup_directory);
  facts.subordinate_ids =
      ReadSubordinateIdFacts(config.subordinate_ids, !facts.kernel.has_sys_admin);
  facts.sources = ReadSourcesFacts(config.allow_source, kSourcePatience, ReadSourceFacts);
  if (server != nullptr) {
    facts.export_sources =
        ReadSourcesFacts(SourcesBesides(config.allow_source, server->export_sources),
                         kSourcePatience, ReadSourceFacts);
  }
  facts.state = ReadDirectoryFacts("state_dir", config.state_dir);
  facts.runtime = ReadDirectoryFacts("runtime_dir", config.runtime_dir);
  facts.leftovers = ReadLeftoverFacts(config.state_dir, config.runtime_dir);
  return facts;
}

}  // namespace fsd::host
