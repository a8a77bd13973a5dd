#include "server/sandbox/capability_set.h"

#include <cstddef>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/os/capability_name.h"

namespace fsd::sandbox {
namespace {

constexpr int kBits = 64;

}  // namespace

std::string CapabilitySet::Names() const {
  std::vector<std::string> names;
  for (int capability = 0; capability < kBits; ++capability) {
    if (Has(capability)) names.push_back(CapabilityName(capability));
  }
  return absl::StrJoin(names, ", ");
}

std::string CapabilityName(int capability) {
  const auto names = os::CapabilityNames();
  if (capability >= 0 && static_cast<size_t>(capability) < names.size()) {
    return std::string(names[capability]);
  }
  return absl::StrCat("CAP_", capability);
}

}  // namespace fsd::sandbox
