#include "server/supervisor/error_reason.h"

#include "gmock/gmock.h"

namespace fsd::supervisor {
namespace {

using ::testing::Optional;

TEST(ErrorReasonTest, AReasonTravelsInTheStatus) {
  const absl::Status status =
      ReasonedError(absl::StatusCode::kNotFound, ErrorReason::kSourceNotFound, "source /srv: gone");
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(status.message(), "source /srv: gone");
  EXPECT_THAT(ReasonOf(status), Optional(std::string("SOURCE_NOT_FOUND")));
}

TEST(ErrorReasonTest, AnOrdinaryStatusHasNone) {
  EXPECT_EQ(ReasonOf(absl::OkStatus()), std::nullopt);
  EXPECT_EQ(ReasonOf(absl::InternalError("x")), std::nullopt);
}

}  // namespace
}  // namespace fsd::supervisor
