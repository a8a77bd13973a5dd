#include "server/sandbox/worker_capabilities.h"

#include <linux/capability.h>

#include "gtest/gtest.h"

namespace fsd::sandbox {
namespace {

TEST(WorkerCapabilities, AReadOnlyExportOverrulesPermissionsAndNothingElse) {
  constexpr CapabilitySet kOne = {CAP_DAC_OVERRIDE};
  EXPECT_EQ(DataPlaneCapabilities({.read_only = true}), kOne);
  EXPECT_EQ(DataPlaneCapabilities({.read_only = true, .xattr = true}), kOne);
}

TEST(WorkerCapabilities, AWritableExportMakesAndChangesFilesForAnyUser) {
  constexpr CapabilitySet kSeven = {CAP_CHOWN,  CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_FSETID,
                                    CAP_SETGID, CAP_SETUID,       CAP_MKNOD};
  EXPECT_EQ(DataPlaneCapabilities({}), kSeven);
}

TEST(WorkerCapabilities, ExtendedAttributesIncludeFileCapabilities) {
  EXPECT_EQ(DataPlaneCapabilities({.xattr = true}) - DataPlaneCapabilities({}),
            CapabilitySet({CAP_SETFCAP}));
}

TEST(WorkerCapabilities, NoDevicesAreMadeWhereTheyCouldBeOpened) {
  EXPECT_EQ(DataPlaneCapabilities({}) - DataPlaneCapabilities({.devices = false}),
            CapabilitySet({CAP_MKNOD}));
}

TEST(WorkerCapabilities, NoDataPlaneOpensHandles) {
  EXPECT_FALSE(DataPlaneCapabilities({.read_only = true}).Has(CAP_DAC_READ_SEARCH));
  EXPECT_FALSE(DataPlaneCapabilities({.xattr = true}).Has(CAP_DAC_READ_SEARCH));
}

TEST(WorkerCapabilities, TheHandleKeeperHasNothingThatTheDataPlaneWasDenied) {
  constexpr CapabilitySet kHandlesOnly = {CAP_DAC_READ_SEARCH};
  EXPECT_EQ(HandleKeeperCapabilities(true, DataPlaneCapabilities({.read_only = true})),
            kHandlesOnly);
  EXPECT_EQ(HandleKeeperCapabilities(false, {CAP_CHOWN, CAP_SYS_ADMIN}), kHandlesOnly);
  EXPECT_EQ(HandleKeeperCapabilities(false, DataPlaneCapabilities({})),
            CapabilitySet({CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE, CAP_FOWNER}));
}

}  // namespace
}  // namespace fsd::sandbox
