#include "cli/host_checks.h"

#include "gtest/gtest.h"

namespace fsd::cli {
namespace {

TEST(HostChecks, SayWhatALackCostsAndWhatToDo) {
  v1::CheckHostResponse response;
  v1::HostCheck* check = response.add_checks();
  check->set_check("LANDLOCK");
  check->set_level(v1::HostCheck::OK);
  check->set_found("ABI 4");
  check = response.add_checks();
  check->set_check("FILE_HANDLES");
  check->set_subject("/srv");
  check->set_level(v1::HostCheck::WARNING);
  check->set_found("not supported");
  check->set_cost("each file costs a descriptor");
  check->set_remedy("use another file system");

  EXPECT_EQ(HostChecks(response, {}),
            "LEVEL    CHECK              FOUND\n"
            "OK       LANDLOCK           ABI 4\n"
            "WARNING  FILE_HANDLES /srv  not supported\n"
            "\n"
            "FILE_HANDLES /srv: each file costs a descriptor\n"
            "  do: use another file system\n"
            "\n"
            "2 checks, 0 errors, 1 warnings\n");
}

}  // namespace
}  // namespace fsd::cli
