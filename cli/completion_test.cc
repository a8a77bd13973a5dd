#include "cli/completion.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace fsd::cli {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// A command line with what the cases need of fsctl's.
class CompletionTest : public testing::Test {
 protected:
  CompletionTest() {
    app_.add_option("-o,--output", text_)->type_name("json|yaml");
    CLI::App& exports = *app_.add_subcommand("export");
    CLI::App& get = *exports.add_subcommand("get");
    get.add_option("NAME", text_);
    get.add_option("--etag", text_);
    get.add_flag("--force", flag_);
    exports.add_subcommand("create")->add_option("NAME", text_);
    app_.add_subcommand("level")->add_option("LEVEL", text_)->type_name("debug|info");
  }

  std::vector<std::string> Complete(const std::vector<std::string>& words) {
    return cli::Complete(app_, words, [] { return std::vector<std::string>{"web", "db"}; });
  }

  CLI::App app_;
  std::string text_;
  bool flag_ = false;
};

TEST_F(CompletionTest, OfCommands) {
  EXPECT_THAT(Complete({""}), ElementsAre("export", "level"));
  EXPECT_THAT(Complete({"ex"}), ElementsAre("export"));
  EXPECT_THAT(Complete({"export", "c"}), ElementsAre("create"));
}

TEST_F(CompletionTest, OfExportsThatAreThere) {
  EXPECT_THAT(Complete({"export", "get", ""}), ElementsAre("web", "db"));
  EXPECT_THAT(Complete({"export", "get", "--force", "w"}), ElementsAre("web"));
  EXPECT_THAT(Complete({"export", "create", ""}), IsEmpty());
}

TEST_F(CompletionTest, OfOptionsHereAndAbove) {
  EXPECT_THAT(Complete({"export", "get", "--f"}), ElementsAre("--force"));
  EXPECT_THAT(Complete({"export", "get", "--o"}), ElementsAre("--output"));
}

TEST_F(CompletionTest, OfTheWordsThatAnOptionTakes) {
  EXPECT_THAT(Complete({"export", "get", "-o", ""}), ElementsAre("json", "yaml"));
  EXPECT_THAT(Complete({"export", "get", "-o", "json", "w"}), ElementsAre("web"));
  EXPECT_THAT(Complete({"--output=y"}), ElementsAre("--output=yaml"));
  EXPECT_THAT(Complete({"--output", "=", "y"}), ElementsAre("yaml"));
  EXPECT_THAT(Complete({"--output", "="}), ElementsAre("json", "yaml"));
  EXPECT_THAT(Complete({"level", "d"}), ElementsAre("debug"));
}

TEST_F(CompletionTest, OfAnythingIsLeftToTheShell) {
  EXPECT_THAT(Complete({"export", "get", "--etag", ""}), IsEmpty());
}

}  // namespace
}  // namespace fsd::cli
