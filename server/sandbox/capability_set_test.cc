#include "server/sandbox/capability_set.h"

#include <linux/capability.h>

#include "gtest/gtest.h"

namespace fsd::sandbox {
namespace {

TEST(CapabilitySet, HasWhatWasPutInto) {
  constexpr CapabilitySet kSet = {CAP_CHOWN, CAP_SETFCAP};
  EXPECT_TRUE(kSet.Has(CAP_CHOWN));
  EXPECT_TRUE(kSet.Has(CAP_SETFCAP));
  EXPECT_FALSE(kSet.Has(CAP_DAC_OVERRIDE));
  EXPECT_EQ(kSet.bits(), 0x80000001u);
  EXPECT_TRUE(CapabilitySet().empty());
}

TEST(CapabilitySet, AddsTakesAwayAndShares) {
  constexpr CapabilitySet kOne = {CAP_CHOWN, CAP_FOWNER};
  constexpr CapabilitySet kOther = {CAP_FOWNER, CAP_BPF};
  EXPECT_EQ(kOne | kOther, CapabilitySet({CAP_CHOWN, CAP_FOWNER, CAP_BPF}));
  EXPECT_EQ(kOne & kOther, CapabilitySet({CAP_FOWNER}));
  EXPECT_EQ(kOne - kOther, CapabilitySet({CAP_CHOWN}));
}

TEST(CapabilitySet, NamesItsMembersByNumber) {
  EXPECT_EQ(CapabilitySet({CAP_SYS_ADMIN, CAP_CHOWN, 63}).Names(),
            "CAP_CHOWN, CAP_SYS_ADMIN, CAP_63");
  EXPECT_EQ(CapabilitySet().Names(), "");
}

}  // namespace
}  // namespace fsd::sandbox
