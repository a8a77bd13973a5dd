#include "server/supervisor/export_bounds.h"

#include "gmock/gmock.h"
#include "server/supervisor/error_reason.h"

namespace fsd::supervisor {
namespace {

using internal::ExportSpec;
using ::testing::HasSubstr;
using ::testing::Optional;

ExportSpec With(ExportSpec::SandboxMode mode, ExportSpec::Seccomp seccomp) {
  ExportSpec spec;
  spec.set_sandbox_mode(mode);
  spec.set_seccomp(seccomp);
  return spec;
}

ExportSpec OwnedBy(uint32_t uid, uint32_t gid) {
  ExportSpec spec;
  spec.set_socket_uid(uid);
  spec.set_socket_gid(gid);
  return spec;
}

// Denied with this reason and message.
void ExpectDenied(const Config& config, const ExportSpec& spec, const char* reason,
                  const std::string& message) {
  const absl::Status status = CheckExportBounds(config, spec);
  EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied);
  EXPECT_THAT(ReasonOf(status), Optional(std::string(reason)));
  EXPECT_EQ(status.message(), message);
}

TEST(ExportBoundsTest, TheStrictestJailIsAlwaysAllowed) {
  EXPECT_TRUE(CheckExportBounds({}, {}).ok());
  EXPECT_TRUE(
      CheckExportBounds({}, With(ExportSpec::SANDBOX_NAMESPACE, ExportSpec::SECCOMP_KILL)).ok());
}

TEST(ExportBoundsTest, ByDefaultNoneIsWeaker) {
  ExpectDenied({}, With(ExportSpec::SANDBOX_CHROOT, ExportSpec::SECCOMP_KILL),
               "SANDBOX_NOT_ALLOWED",
               "sandbox chroot: the weakest that is allowed is namespace; choose that, or change "
               "weakest_sandbox in the server's configuration");
  ExpectDenied({}, With(ExportSpec::SANDBOX_NAMESPACE, ExportSpec::SECCOMP_ERRNO),
               "SANDBOX_NOT_ALLOWED",
               "seccomp errno: the weakest that is allowed is kill; choose that, or change "
               "weakest_seccomp in the server's configuration");
}

TEST(ExportBoundsTest, AJailMayBeAsWeakAsTheConfigurationSays) {
  Config config;
  config.weakest_sandbox = ExportSpec::SANDBOX_CHROOT;
  config.weakest_seccomp = ExportSpec::SECCOMP_LOG;
  EXPECT_TRUE(
      CheckExportBounds(config, With(ExportSpec::SANDBOX_CHROOT, ExportSpec::SECCOMP_LOG)).ok());
  EXPECT_TRUE(
      CheckExportBounds(config, With(ExportSpec::SANDBOX_NAMESPACE, ExportSpec::SECCOMP_ERRNO))
          .ok());
  EXPECT_THAT(
      ReasonOf(CheckExportBounds(config, With(ExportSpec::SANDBOX_NONE, ExportSpec::SECCOMP_KILL))),
      Optional(std::string("SANDBOX_NOT_ALLOWED")));
  EXPECT_THAT(ReasonOf(CheckExportBounds(
                  config, With(ExportSpec::SANDBOX_NAMESPACE, ExportSpec::SECCOMP_OFF))),
              Optional(std::string("SANDBOX_NOT_ALLOWED")));
}

TEST(ExportBoundsTest, CapabilitiesAreAddedOnlyIfAllowedAndDroppedFreely) {
  ExportSpec spec;
  spec.add_add_capabilities("CAP_LINUX_IMMUTABLE");
  spec.add_drop_capabilities("CAP_MKNOD");
  ExpectDenied({}, spec, "CAPABILITY_NOT_ALLOWED",
               "capability CAP_LINUX_IMMUTABLE: exports may add none; do without it, or change "
               "allow_capabilities in the server's configuration");
  Config config;
  config.allow_capabilities = {"CAP_SYS_RESOURCE", "CAP_LINUX_IMMUTABLE"};
  EXPECT_TRUE(CheckExportBounds(config, spec).ok());
  spec.add_add_capabilities("CAP_SYS_ADMIN");
  EXPECT_THAT(std::string(CheckExportBounds(config, spec).message()),
              HasSubstr("capability CAP_SYS_ADMIN: exports may add only CAP_SYS_RESOURCE, "
                        "CAP_LINUX_IMMUTABLE;"));
}

TEST(ExportBoundsTest, ASocketIsGivenToThoseAllowedOnly) {
  EXPECT_TRUE(CheckExportBounds({}, OwnedBy(4294967294, 4294967294)).ok());
  Config config;
  config.allow_socket_uid = {{.first = 0, .last = 0}, {.first = 100, .last = 199}};
  config.allow_socket_gid = {{.first = 36, .last = 36}};
  EXPECT_TRUE(CheckExportBounds(config, OwnedBy(0, 36)).ok());
  EXPECT_TRUE(CheckExportBounds(config, OwnedBy(199, 36)).ok());
  ExpectDenied(config, OwnedBy(200, 36), "SOCKET_OWNER_NOT_ALLOWED",
               "the socket's user 200: not among those allowed (0, 100-199); choose one that is, "
               "or change allow_socket_uid in the server's configuration");
  ExpectDenied(config, OwnedBy(0, 0), "SOCKET_OWNER_NOT_ALLOWED",
               "the socket's group 0: not among those allowed (36); choose one that is, or change "
               "allow_socket_gid in the server's configuration");
}

}  // namespace
}  // namespace fsd::supervisor
