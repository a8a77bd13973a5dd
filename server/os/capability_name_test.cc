#include "server/os/capability_name.h"

#include <linux/capability.h>

#include <optional>
#include <string_view>

#include "gtest/gtest.h"

namespace fsd::os {
namespace {

TEST(CapabilityName, LeadsToItsNumberAndBack) {
  EXPECT_EQ(CapabilityNames().size(), CAP_LAST_CAP + 1u);
  EXPECT_EQ(CapabilityNames()[CAP_LINUX_IMMUTABLE], std::string_view("CAP_LINUX_IMMUTABLE"));
  EXPECT_EQ(CapabilityNumber("CAP_LINUX_IMMUTABLE"), CAP_LINUX_IMMUTABLE);
  EXPECT_EQ(CapabilityNumber("CAP_CHECKPOINT_RESTORE"), CAP_LAST_CAP);
}

TEST(CapabilityName, IsSpelledAsInTheManual) {
  EXPECT_EQ(CapabilityNumber("cap_chown"), std::nullopt);
  EXPECT_EQ(CapabilityNumber("CHOWN"), std::nullopt);
  EXPECT_EQ(CapabilityNumber("CAP_63"), std::nullopt);
  EXPECT_EQ(CapabilityNumber(""), std::nullopt);
}

}  // namespace
}  // namespace fsd::os
