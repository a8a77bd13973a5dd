#include "server/supervisor/export_spec.h"

#include "gmock/gmock.h"
#include "server/supervisor/error_reason.h"

namespace fsd::supervisor {
namespace {

using internal::ExportSpec;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Optional;

Config TestConfig() {
  Config config;
  config.runtime_dir = "/run/fsd";
  config.allow_socket = {"/run/vms"};
  config.allow_source = {"/srv"};
  return config;
}

ExportSpec WebSpec() {
  ExportSpec spec;
  spec.set_id("web");
  spec.set_tag("myfs");
  spec.set_source_path("/srv/www");
  return spec;
}

absl::Status Complete(ExportSpec spec) { return CompleteExportSpec(TestConfig(), spec); }

TEST(ExportSpecTest, FillsInWhatWasLeftToTheServer) {
  ExportSpec spec = WebSpec();
  ASSERT_TRUE(CompleteExportSpec(TestConfig(), spec).ok());
  EXPECT_EQ(spec.socket_path(), "/run/fsd/exports/web.sock");
  EXPECT_EQ(spec.socket_mode(), 0600u);
  EXPECT_EQ(spec.cache(), ExportSpec::CACHE_AUTO);
}

TEST(ExportSpecTest, EqualSpecsBecomeEqualBytes) {
  ExportSpec a = WebSpec();
  a.set_source_path("/srv//www/");
  auto* label = a.add_labels();
  label->set_key("b");
  a.add_labels()->set_key("a");
  ExportSpec b = WebSpec();
  b.set_socket_path("/run/fsd/exports/web.sock");
  b.set_socket_mode(0600);
  b.set_cache(ExportSpec::CACHE_AUTO);
  b.add_labels()->set_key("a");
  b.add_labels()->set_key("b");
  ASSERT_TRUE(CompleteExportSpec(TestConfig(), a).ok());
  ASSERT_TRUE(CompleteExportSpec(TestConfig(), b).ok());
  EXPECT_EQ(a.SerializeAsString(), b.SerializeAsString());
}

TEST(ExportSpecTest, IdsAreLowerCaseLabels) {
  for (const char* good : {"a", "0", "web-1", "a--b"}) EXPECT_TRUE(IsValidExportId(good)) << good;
  EXPECT_TRUE(IsValidExportId(std::string(63, 'a')));
  EXPECT_FALSE(IsValidExportId(std::string(64, 'a')));
  for (const char* bad : {"", "-a", "a-", "A", "a.b", "a/b", "..", "a_b", "\xc3\xa4"}) {
    EXPECT_FALSE(IsValidExportId(bad)) << bad;
  }
}

TEST(ExportSpecTest, BadFieldsAreNamed) {
  const auto error_with = [](auto change) {
    ExportSpec spec = WebSpec();
    change(spec);
    const absl::Status status = Complete(spec);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return std::string(status.message());
  };
  EXPECT_THAT(error_with([](ExportSpec& s) { s.set_id("Web"); }), HasSubstr("id: 'Web'"));
  EXPECT_THAT(error_with([](ExportSpec& s) { s.clear_tag(); }), HasSubstr("tag: "));
  EXPECT_THAT(error_with([](ExportSpec& s) { s.set_tag(std::string(37, 't')); }),
              HasSubstr("tag: "));
  EXPECT_THAT(error_with([](ExportSpec& s) { s.set_source_path("srv"); }),
              HasSubstr("source_path: 'srv'"));
  EXPECT_THAT(error_with([](ExportSpec& s) { s.set_source_path("/srv/../etc"); }),
              HasSubstr("source_path: "));
  EXPECT_THAT(error_with([](ExportSpec& s) { s.set_socket_path("x.sock"); }),
              HasSubstr("socket_path: "));
  EXPECT_THAT(error_with([](ExportSpec& s) { s.set_socket_mode(01777); }),
              HasSubstr("socket_mode: "));
  EXPECT_THAT(error_with([](ExportSpec& s) { s.set_cache(static_cast<ExportSpec::Cache>(9)); }),
              HasSubstr("cache: "));
  EXPECT_THAT(error_with([](ExportSpec& s) {
                s.add_labels()->set_key("a");
                s.add_labels()->set_key("a");
              }),
              HasSubstr("labels: 'a'"));
  EXPECT_THAT(error_with([](ExportSpec& s) {
                s.set_sandbox_mode(static_cast<ExportSpec::SandboxMode>(9));
              }),
              HasSubstr("sandbox.mode: unknown value 9"));
  EXPECT_THAT(error_with([](ExportSpec& s) { s.set_seccomp(static_cast<ExportSpec::Seccomp>(9)); }),
              HasSubstr("sandbox.seccomp: unknown value 9"));
  EXPECT_THAT(error_with([](ExportSpec& s) { s.add_add_capabilities("CAP_FLY"); }),
              HasSubstr("sandbox.add_capabilities: 'CAP_FLY'"));
  EXPECT_THAT(error_with([](ExportSpec& s) {
                s.add_drop_capabilities("CAP_MKNOD");
                s.add_drop_capabilities("CAP_MKNOD");
              }),
              HasSubstr("sandbox.drop_capabilities: CAP_MKNOD is given twice"));
}

TEST(ExportSpecTest, ATagOf36BytesFits) {
  ExportSpec spec = WebSpec();
  spec.set_tag(std::string(36, 't'));
  EXPECT_TRUE(Complete(spec).ok());
}

TEST(ExportSpecTest, ASocketMustLieBelowAnAllowedDirectory) {
  ExportSpec spec = WebSpec();
  for (const char* good : {"/run/vms/web.sock", "/run/fsd/web.sock"}) {
    spec.set_socket_path(good);
    EXPECT_TRUE(Complete(spec).ok()) << good;
  }
  for (const char* bad : {"/run/web.sock", "/run/vmsx/web.sock", "/run/vms", "/run/fsd",
                          "/run/fsd/control/other.sock"}) {
    spec.set_socket_path(bad);
    EXPECT_THAT(ReasonOf(Complete(spec)), Optional(std::string("SOCKET_NOT_ALLOWED"))) << bad;
  }
}

TEST(ExportSpecTest, ASocketPathThatIsTooLongIsRefusedAlsoWhenTheServerChoseIt) {
  ExportSpec spec = WebSpec();
  spec.set_socket_path("/run/vms/" + std::string(98, 's'));
  EXPECT_TRUE(Complete(spec).ok());
  spec.set_socket_path("/run/vms/" + std::string(99, 's'));
  EXPECT_THAT(ReasonOf(Complete(spec)), Optional(std::string("SOCKET_PATH_TOO_LONG")));

  Config config = TestConfig();
  config.runtime_dir = "/run/" + std::string(60, 'r');
  ExportSpec long_id = WebSpec();
  long_id.set_id(std::string(63, 'i'));
  EXPECT_THAT(ReasonOf(CompleteExportSpec(config, long_id)),
              Optional(std::string("SOCKET_PATH_TOO_LONG")));
}

TEST(ExportSpecTest, CapabilitiesAndLimitsHaveOneForm) {
  Config config = TestConfig();
  config.allow_capabilities = {"CAP_BPF", "CAP_LINUX_IMMUTABLE"};
  ExportSpec spec = WebSpec();
  spec.add_add_capabilities("CAP_LINUX_IMMUTABLE");
  spec.add_add_capabilities("CAP_BPF");
  spec.add_drop_capabilities("CAP_SETFCAP");
  spec.add_drop_capabilities("CAP_MKNOD");
  spec.mutable_limits();
  ASSERT_TRUE(CompleteExportSpec(config, spec).ok());
  EXPECT_THAT(spec.add_capabilities(), ElementsAre("CAP_BPF", "CAP_LINUX_IMMUTABLE"));
  EXPECT_THAT(spec.drop_capabilities(), ElementsAre("CAP_MKNOD", "CAP_SETFCAP"));
  EXPECT_FALSE(spec.has_limits());
}

TEST(ExportSpecTest, TheConfigurationsBoundsHold) {
  ExportSpec spec = WebSpec();
  spec.set_sandbox_mode(ExportSpec::SANDBOX_NONE);
  EXPECT_THAT(ReasonOf(Complete(spec)), Optional(std::string("SANDBOX_NOT_ALLOWED")));
}

}  // namespace
}  // namespace fsd::supervisor
