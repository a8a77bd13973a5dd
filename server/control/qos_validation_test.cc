#include "server/control/qos_validation.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

namespace fsd::control {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

FieldViolations Check(const std::string& text) {
  v1::Qos qos;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &qos)) << text;
  FieldChecks checks;
  CheckQos(qos, checks);
  return checks.Take();
}

std::vector<std::string> FieldsOf(const FieldViolations& violations) {
  std::vector<std::string> fields;
  for (const FieldViolation& violation : violations) fields.push_back(violation.field);
  return fields;
}

TEST(QosValidationTest, NoLimitsPass) { EXPECT_THAT(Check(""), IsEmpty()); }

TEST(QosValidationTest, TheBoundsThemselvesPass) {
  EXPECT_THAT(
      Check("read { operations_per_second: 1 bytes_per_second: 4096 burst_operations: 1 "
            "burst_bytes: 1 } write { operations_per_second: 1000000000 bytes_per_second: "
            "1125899906842624 burst_operations: 1000000000 burst_bytes: 1125899906842624 }"),
      IsEmpty());
}

TEST(QosValidationTest, WhatIsBeyondTheBoundsIsRefused) {
  const FieldViolations violations = Check(
      "read { bytes_per_second: 4095 } write { operations_per_second: 1000000001 "
      "burst_operations: 1000000001 } total { bytes_per_second: 1125899906842625 "
      "burst_bytes: 1125899906842625 }");
  EXPECT_THAT(
      FieldsOf(violations),
      ElementsAre("export.qos.read.bytes_per_second", "export.qos.write.operations_per_second",
                  "export.qos.write.burst_operations", "export.qos.total.bytes_per_second",
                  "export.qos.total.burst_bytes"));
  EXPECT_EQ(violations[0].description,
            "4095 is not 0, for no limit, or from 4096 to 1125899906842624");
  EXPECT_EQ(violations[2].description, "1000000001 is more than 1000000000");
}

TEST(QosValidationTest, ABurstWithoutItsLimitIsRefused) {
  const FieldViolations violations =
      Check("read { operations_per_second: 1 burst_bytes: 1 } total { burst_operations: 1 }");
  EXPECT_THAT(FieldsOf(violations),
              ElementsAre("export.qos.read.burst_bytes", "export.qos.total.burst_operations"));
  EXPECT_THAT(violations[0].description, HasSubstr("set bytes_per_second beside it"));
}

TEST(QosValidationTest, ABurstMayBeSmallerThanASecondsWorth) {
  EXPECT_THAT(Check("total { operations_per_second: 1000 burst_operations: 10 }"), SizeIs(0));
}

}  // namespace
}  // namespace fsd::control
