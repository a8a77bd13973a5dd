#include "server/exe/failure_report.h"

#include <string>

#include "gtest/gtest.h"
#include "server/ipc/worker_channel.h"

namespace fsd::exe {
namespace {

TEST(CutFailureTest, WhatFitsStays) {
  const std::string most(ipc::kMaxFailureBytes, 'x');
  EXPECT_EQ(CutFailure(most), most);
  EXPECT_EQ(CutFailure(most + "y"), most);
}

TEST(CutFailureTest, NoCharacterIsCutApart) {
  const std::string before(ipc::kMaxFailureBytes - 2, 'x');
  // Of two, three and four bytes.
  EXPECT_EQ(CutFailure(before + "\u00e4" + "y"), before + "\u00e4");
  EXPECT_EQ(CutFailure(before + "\u20ac"), before);
  EXPECT_EQ(CutFailure(before + "\U0001f600"), before);
}

}  // namespace
}  // namespace fsd::exe
