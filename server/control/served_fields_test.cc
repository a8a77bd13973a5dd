#include "server/control/served_fields.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/fsd/v1/export_service.pb.h"

namespace fsd::control {
namespace {

using testing::ElementsAre;
using testing::Field;
using testing::IsEmpty;

const std::vector<std::string> kServed = {"export.tag", "export.labels", "export.cache.policy",
                                          "export.sandbox.limits"};
const std::vector<std::string> kOutputOnly = {"export.uid", "export.status"};

FieldViolations Check(const v1::CreateExportRequest& request) {
  FieldViolations violations;
  CheckServedFields(request, {.served = kServed, .output_only = kOutputOnly}, violations);
  return violations;
}

auto Names(const char* field) { return Field(&FieldViolation::field, field); }

TEST(ServedFields, NothingSetIsNothingRefused) {
  EXPECT_THAT(Check(v1::CreateExportRequest()), IsEmpty());
}

TEST(ServedFields, ServedFieldsPass) {
  v1::CreateExportRequest request;
  request.mutable_export_()->set_tag("t");
  (*request.mutable_export_()->mutable_labels())["a"] = "b";
  request.mutable_export_()->mutable_cache()->set_policy(v1::Cache::NEVER);

  EXPECT_THAT(Check(request), IsEmpty());
}

TEST(ServedFields, EveryOtherFieldIsNamedOfWhateverType) {
  v1::CreateExportRequest request;
  v1::Export& resource = *request.mutable_export_();
  request.set_export_id("x");
  resource.set_read_only(true);
  resource.mutable_cache()->mutable_attr_timeout();    // 0 s is not unset
  resource.mutable_semantics()->set_submounts(false);  // nor is an optional that is false
  resource.mutable_semantics()->add_xattr_rules();
  resource.mutable_sandbox()->set_mode(v1::Sandbox::NONE);
  resource.mutable_sandbox()->add_add_capabilities("CAP_CHOWN");
  resource.mutable_qos()->mutable_read()->set_bytes_per_second(1);

  const FieldViolations violations = Check(request);

  EXPECT_THAT(
      violations,
      ElementsAre(Names("export.read_only"), Names("export.cache.attr_timeout"),
                  Names("export.semantics.xattr_rules"), Names("export.semantics.submounts"),
                  Names("export.sandbox.mode"), Names("export.sandbox.add_capabilities"),
                  Names("export.qos.read.bytes_per_second"), Names("export_id")));
  EXPECT_EQ(violations.front().reason, v1::FIELD_NOT_SERVED);
}

TEST(ServedFields, AnEnumValueOfANewerVersionIsNamed) {
  v1::CreateExportRequest request;
  request.mutable_export_()->mutable_cache()->set_policy(static_cast<v1::Cache::Policy>(99));

  EXPECT_THAT(Check(request), ElementsAre(Names("export.cache.policy")));
}

TEST(ServedFields, AServedMessageIsServedWhole) {
  v1::CreateExportRequest request;
  request.mutable_export_()->mutable_sandbox()->mutable_limits()->set_threads(1);

  EXPECT_THAT(Check(request), IsEmpty());
}

TEST(ServedFields, AnEmptyMessageIsItsDefault) {
  v1::CreateExportRequest request;
  request.mutable_export_()->mutable_qos()->mutable_read();

  EXPECT_THAT(Check(request), IsEmpty());
}

TEST(ServedFields, OutputOnlyFieldsAreIgnored) {
  v1::CreateExportRequest request;
  request.mutable_export_()->set_uid("u");
  request.mutable_export_()->mutable_status()->set_restarts(3);

  EXPECT_THAT(Check(request), IsEmpty());
}

TEST(ServedFields, FieldsOfANewerVersionAreNamedByNumber) {
  v1::CreateExportRequest request;
  request.GetReflection()->MutableUnknownFields(&request)->AddVarint(900, 1);
  v1::Limits& limits = *request.mutable_export_()->mutable_sandbox()->mutable_limits();
  limits.GetReflection()->MutableUnknownFields(&limits)->AddLengthDelimited(77, "x");

  EXPECT_THAT(Check(request), ElementsAre(Names("export.sandbox.limits.77"), Names("900")));
}

}  // namespace
}  // namespace fsd::control
