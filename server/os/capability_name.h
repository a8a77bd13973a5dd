// Names of capabilities, as capabilities(7) spells them: "CAP_CHOWN".
#ifndef FSD_SERVER_OS_CAPABILITY_NAME_H_
#define FSD_SERVER_OS_CAPABILITY_NAME_H_

#include <optional>
#include <span>
#include <string_view>

namespace fsd::os {

// Those that the kernel's headers know, by number.
std::span<const std::string_view> CapabilityNames();

// Nothing if there is none of this name.
std::optional<int> CapabilityNumber(std::string_view name);

}  // namespace fsd::os

#endif  // FSD_SERVER_OS_CAPABILITY_NAME_H_
