#include "cli/printable.h"

#include "gtest/gtest.h"

namespace fsd::cli {
namespace {

TEST(Printable, EscapesWhatATerminalWouldObey) {
  EXPECT_EQ(Printable("grün\n\x1b[31m\x7f"), "grün\\x0a\\x1b[31m\\x7f");
}

}  // namespace
}  // namespace fsd::cli
